#include "fdchain/protocol/trace.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <climits>
#include <new>
#include <stdexcept>
#include <utility>

#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/utf8.h"
#include "fdchain/protocol/json_node.h"

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
  return static_cast<int>(parse_decimal(text, INT_MAX).value_or(-1));
}

// JSON is UTF-8, paths and variables are bytes.
std::string utf8(std::string_view text) {
  std::string result;
  std::size_t taken = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (const std::size_t length = utf8_length(text.substr(at)); length > 0) {
      at += length;
      continue;
    }
    result.append(text.substr(taken, at - taken)).append(printable(text.substr(at, 1)));
    taken = ++at;
  }
  return result.append(text.substr(taken));
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

struct RecordRefusal {
  static constexpr bool null_is_absent = false;
  static constexpr std::string_view after_root{};

  static std::string_view words(JsonWant want) {
    switch (want) {
      case JsonWant::present: return "missing";
      case JsonWant::object: return "not an object";
      case JsonWant::array: return "not an array";
      case JsonWant::text: return "not a text";
      case JsonWant::flag: return "not true or false";
      case JsonWant::whole_number:
      case JsonWant::in_range: break;
    }
    return "not a number that fits here";
  }

  [[noreturn]] static void refuse(const std::string& where, std::string_view why) {
    throw std::invalid_argument((where.empty() ? "the record" : where) + " is " + std::string(why));
  }
};
using Node = JsonNode<RecordRefusal>;

// Linux never gives a number this high; with room above it, sums of numbers cannot overflow.
constexpr int most_descriptors = 1 << 30;

int read_number(const Node& node) {
  const int number = node.number<int>();
  if (number < 0 || number >= most_descriptors) node.refuse("not a descriptor");
  return number;
}

SocketRow read_socket(const Node& node) {
  SocketRow socket{value_of(families, node.at("family").text()),
                   value_of(types, node.at("type").text()),
                   node.at("listening").flag(),
                   node.at("cookie").number<std::uint64_t>(),
                   node.at("local").text(),
                   node.at("peer").text()};
  if (const auto waiting = node.find("waiting")) socket.waiting = waiting->number<int>();
  return socket;
}

FdRow read_row(const Node& node) {
  FdRow row;
  row.number = read_number(node.at("fd"));
  row.type = node.at("type").text();
  row.mode = node.at("mode").text();
  row.close_on_exec = node.at("close_on_exec").flag();
  row.non_blocking = node.at("non_blocking").flag();
  row.device = node.at("device").number<dev_t>();
  row.inode = node.at("inode").number<ino_t>();
  row.name = node.at("name").text();
  if (const auto error = node.find("error")) row.error = error->text();
  if (const auto same = node.find("same_as")) row.same_as = read_number(*same);
  if (const auto socket = node.find("socket")) row.socket = read_socket(*socket);
  return row;
}

// Ascending, as whoever looks something up in it relies on, whoever wrote the trace.
FdTable read_table(const Node& node) {
  FdTable table;
  node.each_element([&](const Node& row) { table.push_back(read_row(row)); });
  std::ranges::stable_sort(table, {}, &FdRow::number);
  return table;
}

std::vector<std::string> read_texts(const std::optional<Node>& node) {
  std::vector<std::string> texts;
  if (node) node->each_element([&](const Node& text) { texts.push_back(text.text()); });
  return texts;
}

Contract read_contract(const Node& node) {
  Contract contract;
  node.at("sockets").each_element([&](const Node& socket) {
    contract.sockets.push_back(
        {read_number(socket.at("fd")), socket.at("name").text(), read_row(socket.at("row"))});
  });
  contract.has_names = node.at("has_names").flag();
  contract.preserved = read_table(node.at("preserved"));
  contract.notify_payload = node.at("notify_payload").flag();
  return contract;
}

std::vector<int> read_signals(const Node& node) {
  std::vector<int> numbers;
  node.each_element([&](const Node& number) { numbers.push_back(number.number<int>()); });
  std::ranges::sort(numbers);
  return numbers;
}

std::vector<ProcessRow> read_children(const std::optional<Node>& node) {
  std::vector<ProcessRow> children;
  if (!node) return children;
  node->each_element([&](const Node& child) {
    children.push_back(
        {child.at("pid").number<pid_t>(), child.at("state").text(), child.at("command").text()});
  });
  return children;
}

HopRecord read_record(const Node& node) {
  HopRecord record;
  record.run = node.at("run").text();
  record.hop = node.at("hop").one_of(parse_hop, "not a hop");
  record.moment = node.at("moment").one_of(parse_moment, "not a moment");
  record.seen_by = node.at("seen_by").one_of(parse_hop, "not a hop");
  record.time_ns = node.at("time_ns").number<std::uint64_t>();
  record.pid = node.at("pid").number<pid_t>();
  record.ppid = node.at("ppid").number<pid_t>();
  record.sid = node.at("sid").number<pid_t>();
  record.pid_in_namespace = node.at("pid_in_namespace").number<pid_t>();
  if (const auto id = node.find("pidfdid")) record.pidfdid = id->number<std::uint64_t>();
  record.exe = node.at("exe").text();
  if (const auto program = node.find("program")) record.program = program->text();
  node.at("environment").each_member([&](std::string name, const Node& value) {
    record.environment.emplace(std::move(name), value.text());
  });
  record.nofile_soft = node.at("nofile_soft").number<std::uint64_t>();
  record.nofile_hard = node.at("nofile_hard").number<std::uint64_t>();
  record.ignored_signals = read_signals(node.at("ignored_signals"));
  if (const auto preserve = node.find("preserve_fds")) record.preserve_fds = preserve->number<int>();
  if (const auto counts = node.find("counts_sockets")) record.counts_sockets = counts->flag();
  if (const auto replaces = node.find("replaces_listen_pid")) record.replaces_listen_pid = replaces->flag();
  if (const auto relays = node.find("relays_notify")) record.relays_notify = relays->flag();
  if (const auto keeps = node.find("keeps_sockets")) record.keeps_sockets = keeps->flag();
  record.fds = read_table(node.at("fds"));
  if (const auto contract = node.find("contract")) record.contract = read_contract(*contract);
  record.heard = read_texts(node.find("heard"));
  record.told = read_texts(node.find("told"));
  if (const auto ended = node.find("ended")) record.ended = ended->text();
  if (const auto queues = node.find("queues")) record.queues = read_table(*queues);
  record.children = read_children(node.find("children"));
  return record;
}

struct NewerSchema {
  std::uint64_t version;
};

// A later version may have changed everything but this one key, so it is read first.
void check_schema(const Node& schema) {
  const auto version = schema.number<std::uint64_t>();
  if (version > trace_schema) throw NewerSchema{version};
  if (version < trace_schema) schema.refuse("not 1");
}

/// Memory for the values of one line. A short line can ask for a lot: `[0,0,0,` takes a dozen times its
/// length.
class BoundedMemory : public json::memory_resource {
 private:
  // Nothing in JSON wants more than the usual alignment, and Boost gives another one back than it asked for.
  void* do_allocate(std::size_t bytes, std::size_t) override {
    if (bytes > left_) throw std::bad_alloc();
    void* const memory = ::operator new(bytes);
    left_ -= bytes;
    return memory;
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t) override {
    left_ += bytes;
    ::operator delete(memory);
  }
  [[nodiscard]] bool do_is_equal(const json::memory_resource& other) const noexcept override {
    return this == &other;
  }

  std::size_t left_ = 48U << 20;
};

json::value parse(std::string_view line, BoundedMemory& memory, json::error_code& error) {
  json::parser parser{json::storage_ptr(&memory)};
  parser.reset(json::storage_ptr(&memory));
  parser.write(line.data(), line.size(), error);
  return error ? json::value() : parser.release();
}

}  // namespace

json::object to_json(const FdRow& row) {
  json::object object{{"fd", row.number},
                      {"type", utf8(row.type)},
                      {"mode", utf8(row.mode)},
                      {"close_on_exec", row.close_on_exec},
                      {"non_blocking", row.non_blocking},
                      {"device", row.device},
                      {"inode", row.inode},
                      {"name", utf8(row.name)}};
  if (!row.error.empty()) object["error"] = utf8(row.error);
  if (row.same_as) object["same_as"] = *row.same_as;
  if (!row.socket) return object;
  object["socket"] = json::object{{"family", name_of(families, row.socket->family)},
                                  {"type", name_of(types, row.socket->type)},
                                  {"listening", row.socket->listening},
                                  {"cookie", row.socket->cookie},
                                  {"local", utf8(row.socket->local)},
                                  {"peer", utf8(row.socket->peer)}};
  if (row.socket->waiting) object["socket"].as_object()["waiting"] = *row.socket->waiting;
  return object;
}

std::string encode(const HopRecord& record) {
  json::object environment;
  for (const auto& [name, value] : record.environment) environment[utf8(name)] = utf8(value);
  json::object object{
      {"schema", record.schema},
      {"run", utf8(record.run)},
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
  if (!record.program.empty()) object["program"] = utf8(record.program);
  if (record.pidfdid) object["pidfdid"] = *record.pidfdid;
  if (record.preserve_fds) object["preserve_fds"] = *record.preserve_fds;
  if (!record.counts_sockets) object["counts_sockets"] = false;
  if (record.replaces_listen_pid) object["replaces_listen_pid"] = true;
  if (record.relays_notify) object["relays_notify"] = true;
  if (record.keeps_sockets) object["keeps_sockets"] = true;
  if (record.contract) object["contract"] = to_json(*record.contract);
  if (!record.heard.empty()) object["heard"] = to_json(record.heard);
  if (!record.told.empty()) object["told"] = to_json(record.told);
  if (record.ended) object["ended"] = utf8(*record.ended);
  if (!record.queues.empty()) object["queues"] = to_json(record.queues);
  if (!record.children.empty()) {
    json::array children;
    for (const ProcessRow& child : record.children) {
      children.push_back(
          json::object{{"pid", child.pid}, {"state", utf8(child.state)}, {"command", utf8(child.command)}});
    }
    object["children"] = std::move(children);
  }
  return json::serialize(object) + '\n';
}

std::variant<HopRecord, BadRecord> decode_record(std::string_view line) {
  BoundedMemory memory;
  try {
    json::error_code error;
    const json::value value = parse(line, memory, error);
    if (error) return BadRecord{BadRecord::Kind::not_json, error.message()};
    const Node node(value);
    check_schema(node.at("schema"));
    return read_record(node);
  } catch (const NewerSchema& newer) {
    return BadRecord{
        BadRecord::Kind::newer_schema,
        "schema " + std::to_string(newer.version) + ", this program reads " + std::to_string(trace_schema)};
  } catch (const std::bad_alloc&) {
    return BadRecord{BadRecord::Kind::not_a_record, "needs too much memory"};
  } catch (const std::invalid_argument& problem) {
    return BadRecord{BadRecord::Kind::not_a_record, problem.what()};
  }
}

}  // namespace fdchain
