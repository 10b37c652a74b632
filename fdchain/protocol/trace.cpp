#include "fdchain/protocol/trace.h"

#include <sys/socket.h>

#include <array>
#include <limits>
#include <stdexcept>
#include <utility>

#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

namespace json = boost::json;

template <std::size_t Size>
using Names = std::array<std::pair<int, std::string_view>, Size>;

constexpr Names<6> families{{{AF_UNIX, "AF_UNIX"},
                             {AF_INET, "AF_INET"},
                             {AF_INET6, "AF_INET6"},
                             {AF_NETLINK, "AF_NETLINK"},
                             {AF_VSOCK, "AF_VSOCK"},
                             {AF_PACKET, "AF_PACKET"}}};
constexpr Names<4> types{{{SOCK_STREAM, "SOCK_STREAM"},
                          {SOCK_DGRAM, "SOCK_DGRAM"},
                          {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
                          {SOCK_RAW, "SOCK_RAW"}}};

template <std::size_t Size>
std::string name_of(const Names<Size>& names, int value) {
  for (const auto& [number, name] : names) {
    if (number == value) return std::string(name);
  }
  return std::to_string(value);
}

template <std::size_t Size>
int value_of(const Names<Size>& names, std::string_view text) {
  for (const auto& [number, name] : names) {
    if (name == text) return number;
  }
  return -1;
}

// How many bytes the UTF-8 sequence at the front has; 0 when it is none. Overlong and surrogate forms are
// left to the JSON reader, which is laxer than RFC 3629 there and so are we.
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// JSON is UTF-8, paths and variables are bytes.
std::string utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    result += length == 0 ? printable(text.substr(0, 1)) : std::string(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

json::array to_json(const FdTable& table) {
  json::array rows;
  for (const FdRow& row : table) rows.push_back(fdchain::to_json(row));
  return rows;
}

json::object to_json(const Contract& contract) {
  json::array sockets;
  for (const ContractSocket& socket : contract.sockets) {
    sockets.push_back(
        json::object{{"fd", socket.fd}, {"name", utf8(socket.name)}, {"row", to_json(socket.row)}});
  }
  return {{"sockets", std::move(sockets)},
          {"has_names", contract.has_names},
          {"preserved", to_json(contract.preserved)},
          {"notify_payload", contract.notify_payload}};
}

json::array to_json(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(utf8(text));
  return array;
}

// What a record must have is asked for with at(), which throws; the rest with find().
struct Reader {
  const json::object& object;

  template <typename Integer>
  Integer integer(std::string_view key) const {
    return object.at(key).to_number<Integer>();
  }
  std::string text(std::string_view key) const { return std::string(object.at(key).as_string()); }
  bool flag(std::string_view key) const { return object.at(key).as_bool(); }
  const json::value* find(std::string_view key) const { return object.if_contains(key); }
};

Hop read_hop(const json::value& value) {
  const auto hop = parse_hop(std::string_view(value.as_string()));
  if (!hop) throw std::invalid_argument("no such hop");
  return *hop;
}

Moment read_moment(const json::value& value) {
  const auto moment = parse_moment(std::string_view(value.as_string()));
  if (!moment) throw std::invalid_argument("no such moment");
  return *moment;
}

FdRow read_row(const json::value& value) {
  const Reader reader{value.as_object()};
  FdRow row;
  row.number = reader.integer<int>("fd");
  row.type = reader.text("type");
  row.mode = reader.text("mode");
  row.close_on_exec = reader.flag("close_on_exec");
  row.non_blocking = reader.flag("non_blocking");
  row.device = reader.integer<dev_t>("device");
  row.inode = reader.integer<ino_t>("inode");
  row.name = reader.text("name");
  if (const auto* const error = reader.find("error")) row.error = std::string(error->as_string());
  if (const auto* const same = reader.find("same_as")) row.same_as = same->to_number<int>();
  if (const auto* const socket = reader.find("socket")) {
    const Reader socket_reader{socket->as_object()};
    row.socket = SocketRow{value_of(families, socket_reader.text("family")),
                           value_of(types, socket_reader.text("type")),
                           socket_reader.flag("listening"),
                           socket_reader.integer<std::uint64_t>("cookie"),
                           socket_reader.text("local"),
                           socket_reader.text("peer")};
  }
  return row;
}

FdTable read_table(const json::value& value) {
  FdTable table;
  for (const auto& row : value.as_array()) table.push_back(read_row(row));
  return table;
}

std::vector<std::string> read_texts(const json::value* value) {
  std::vector<std::string> texts;
  if (value == nullptr) return texts;
  for (const auto& text : value->as_array()) texts.emplace_back(text.as_string());
  return texts;
}

Contract read_contract(const json::value& value) {
  const Reader reader{value.as_object()};
  Contract contract;
  for (const auto& entry : reader.object.at("sockets").as_array()) {
    const Reader socket{entry.as_object()};
    contract.sockets.push_back(
        {socket.integer<int>("fd"), socket.text("name"), read_row(socket.object.at("row"))});
  }
  contract.has_names = reader.flag("has_names");
  contract.preserved = read_table(reader.object.at("preserved"));
  contract.notify_payload = reader.flag("notify_payload");
  return contract;
}

HopRecord read_record(const json::object& object) {
  const Reader reader{object};
  HopRecord record;
  record.run = reader.text("run");
  record.hop = read_hop(object.at("hop"));
  record.moment = read_moment(object.at("moment"));
  record.seen_by = read_hop(object.at("seen_by"));
  record.time_ns = reader.integer<std::uint64_t>("time_ns");
  record.pid = reader.integer<pid_t>("pid");
  record.ppid = reader.integer<pid_t>("ppid");
  record.sid = reader.integer<pid_t>("sid");
  record.pid_in_namespace = reader.integer<pid_t>("pid_in_namespace");
  if (const auto* const id = reader.find("pidfdid")) record.pidfdid = id->to_number<std::uint64_t>();
  record.exe = reader.text("exe");
  for (const auto& [name, value] : object.at("environment").as_object()) {
    record.environment.emplace(name, std::string(value.as_string()));
  }
  record.nofile_soft = reader.integer<std::uint64_t>("nofile_soft");
  record.nofile_hard = reader.integer<std::uint64_t>("nofile_hard");
  for (const auto& number : object.at("ignored_signals").as_array())
    record.ignored_signals.push_back(number.to_number<int>());
  record.fds = read_table(object.at("fds"));
  if (const auto* const contract = reader.find("contract")) record.contract = read_contract(*contract);
  record.heard = read_texts(reader.find("heard"));
  record.told = read_texts(reader.find("told"));
  if (const auto* const ended = reader.find("ended")) record.ended = std::string(ended->as_string());
  if (const auto* const children = reader.find("children")) {
    for (const auto& entry : children->as_array()) {
      const Reader child{entry.as_object()};
      record.children.push_back({child.integer<pid_t>("pid"), child.text("state"), child.text("command")});
    }
  }
  return record;
}

}  // namespace

json::object to_json(const FdRow& row) {
  json::object object{{"fd", row.number},
                      {"type", utf8(row.type)},
                      {"mode", row.mode},
                      {"close_on_exec", row.close_on_exec},
                      {"non_blocking", row.non_blocking},
                      {"device", row.device},
                      {"inode", row.inode},
                      {"name", utf8(row.name)}};
  if (!row.error.empty()) object["error"] = row.error;
  if (row.same_as) object["same_as"] = *row.same_as;
  if (!row.socket) return object;
  object["socket"] = json::object{{"family", name_of(families, row.socket->family)},
                                  {"type", name_of(types, row.socket->type)},
                                  {"listening", row.socket->listening},
                                  {"cookie", row.socket->cookie},
                                  {"local", utf8(row.socket->local)},
                                  {"peer", utf8(row.socket->peer)}};
  return object;
}

std::string encode(const HopRecord& record) {
  json::object environment;
  for (const auto& [name, value] : record.environment) environment[utf8(name)] = utf8(value);
  json::object object{
      {"schema", record.schema},
      {"run", record.run},
      {"hop", to_string(record.hop)},
      {"moment", to_string(record.moment)},
      {"seen_by", to_string(record.seen_by)},
      {"time_ns", record.time_ns},
      {"pid", record.pid},
      {"ppid", record.ppid},
      {"sid", record.sid},
      {"pid_in_namespace", record.pid_in_namespace},
      {"exe", utf8(record.exe)},
      {"environment", std::move(environment)},
      {"nofile_soft", record.nofile_soft},
      {"nofile_hard", record.nofile_hard},
      {"ignored_signals", json::array(record.ignored_signals.begin(), record.ignored_signals.end())},
      {"fds", to_json(record.fds)}};
  if (record.pidfdid) object["pidfdid"] = *record.pidfdid;
  if (record.contract) object["contract"] = to_json(*record.contract);
  if (!record.heard.empty()) object["heard"] = to_json(record.heard);
  if (!record.told.empty()) object["told"] = to_json(record.told);
  if (record.ended) object["ended"] = *record.ended;
  if (!record.children.empty()) {
    json::array children;
    for (const ProcessRow& child : record.children) {
      children.push_back(
          json::object{{"pid", child.pid}, {"state", child.state}, {"command", utf8(child.command)}});
    }
    object["children"] = std::move(children);
  }
  return json::serialize(object) + '\n';
}

std::variant<HopRecord, BadRecord> decode_record(std::string_view line) {
  json::error_code error;
  json::value value = json::parse(line, error);
  if (error) return BadRecord{BadRecord::Kind::not_json, error.message()};
  try {
    const json::object& object = value.as_object();
    const int schema = object.at("schema").to_number<int>();
    if (schema > trace_schema) {
      return BadRecord{
          BadRecord::Kind::newer_schema,
          "schema " + std::to_string(schema) + ", this program reads " + std::to_string(trace_schema)};
    }
    return read_record(object);
  } catch (const std::exception& problem) {
    return BadRecord{BadRecord::Kind::not_a_record, problem.what()};
  }
}

}  // namespace fdchain
