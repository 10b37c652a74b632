#include "fdchain/protocol/systemd_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

constexpr std::size_t longest_unit_name = 255;
constexpr std::string_view longest_suffix = ".service";
constexpr std::string_view quoted_anyway = "\"'\\;";

// As systemd's VALID_CHARS, but for `@`: a template would need an instance to be started.
bool is_of_a_unit_name(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 ||
         std::string_view(":-_.").find(character) != std::string_view::npos;
}

[[noreturn]] void refuse_name(const std::string& name, std::string_view why) {
  throw Failure(fmt::format("generate systemd {}: {}", printable(name), why));
}

void check_unit_name(const std::string& name) {
  if (name.empty()) refuse_name("''", "a unit needs a name");
  if (name.size() + longest_suffix.size() > longest_unit_name)
    refuse_name(name.substr(0, 40) + "...", "a unit's name has 255 characters at most, .service and all");
  if (!std::ranges::all_of(name, is_of_a_unit_name))
    refuse_name(name, "a unit's name has letters, digits and : - _ . only");
  if (name.ends_with(".service") || name.ends_with(".socket"))
    refuse_name(name, "the name without .service or .socket is asked for");
}

// systemd-escape's way with what a unit's name cannot have.
std::string escape_for_name(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    if (is_of_a_unit_name(character))
      escaped += character;
    else
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(character));
  }
  return escaped;
}

std::string double_percent(std::string_view text) {
  std::string doubled;
  for (const char character : text) doubled.append(character == '%' ? 2 : 1, character);
  return doubled;
}

// The rest of a line is taken as it is, without quotes, and stripped.
std::string line_value(std::string_view text, const ListenSpec& spec) {
  const bool strips = text.empty() || std::isspace(static_cast<unsigned char>(text.front())) != 0 ||
                      std::isspace(static_cast<unsigned char>(text.back())) != 0 || text.ends_with('\\');
  const bool breaks = std::ranges::any_of(
      text, [](char character) { return std::iscntrl(static_cast<unsigned char>(character)) != 0; });
  if (strips || breaks)
    throw Failure("--listen " + printable(spec.text) + ": cannot be written into a unit file");
  return double_percent(text);
}

std::string inet_text(const InetAddress& address) {
  const std::string port = std::to_string(address.port);
  if (address.ip.empty()) return port;
  const bool v6 = address.ip.find(':') != std::string::npos;
  return (v6 ? '[' + address.ip + ']' : address.ip) + ':' + port +
         (address.scope.empty() ? "" : '%' + address.scope);
}

std::string address_text(const ListenSpec& spec) {
  if (const auto* const inet = std::get_if<InetAddress>(&spec.address)) return inet_text(*inet);
  if (const auto* const path = std::get_if<PathAddress>(&spec.address)) return path->path;
  if (const auto* const vsock = std::get_if<VsockAddress>(&spec.address))
    return fmt::format("vsock:{}:{}", vsock->cid, vsock->port);
  // The value has the family's number; systemd wants the name that was typed.
  const std::size_t start = spec.text.find(':') + 1;
  return spec.text.substr(start, spec.text.find(',') - start);
}

std::string_view directive(ListenSpec::Kind kind) {
  using enum ListenSpec::Kind;
  switch (kind) {
    case tcp:
    case unix_stream:
    case vsock: return "ListenStream";
    case udp:
    case unix_dgram: return "ListenDatagram";
    case unix_seqpacket: return "ListenSequentialPacket";
    case fifo: return "ListenFIFO";
    case netlink: return "ListenNetlink";
    case mqueue: return "ListenMessageQueue";
    case special: return "ListenSpecial";
  }
  return "?";
}

/// What one .socket unit holds.
struct SocketGroup {
  const ListenSpec* first;
  std::string listen;  ///< its lines
};

bool belong_together(const ListenSpec& left, const ListenSpec& right) {
  return left.name == right.name && left.mode == right.mode && left.backlog == right.backlog;
}

std::vector<SocketGroup> group(const std::vector<ListenSpec>& listen) {
  std::vector<SocketGroup> groups;
  for (const ListenSpec& spec : listen) {
    auto found = std::ranges::find_if(
        groups, [&](const SocketGroup& candidate) { return belong_together(*candidate.first, spec); });
    if (found == groups.end()) found = groups.insert(groups.end(), {&spec, ""});
    found->listen += listen_line(spec) + '\n';
  }
  return groups;
}

// NAME.socket for the only one; else NAME-WEB.socket, and numbers where there is no name or not one alone.
std::string socket_unit_name(const UnitRequest& request, const std::vector<SocketGroup>& groups,
                             std::size_t index) {
  if (groups.size() == 1) return request.name + ".socket";
  const auto& name = groups[index].first->name;
  const auto has_the_same = [&](const SocketGroup& other) { return other.first->name == name; };
  const bool alone = name && std::ranges::count_if(groups, has_the_same) == 1;
  const std::string part = alone  ? escape_for_name(*name)
                           : name ? escape_for_name(*name) + '-' + std::to_string(index + 1)
                                  : std::to_string(index + 1);
  return request.name + '-' + part + ".socket";
}

UnitFile socket_unit(const UnitRequest& request, const SocketGroup& group, std::string name) {
  static const ListenSpec standard;
  const ListenSpec& spec = *group.first;
  std::string text =
      fmt::format("[Unit]\nDescription=Sockets of {}\n\n[Socket]\n{}", request.name, group.listen);
  if (spec.name) text += fmt::format("FileDescriptorName={}\n", double_percent(*spec.name));
  if (spec.mode != standard.mode) text += fmt::format("SocketMode={:04o}\n", spec.mode);
  if (spec.backlog != standard.backlog) text += fmt::format("Backlog={}\n", spec.backlog);
  // What was made for the run goes with it, as the launcher has it.
  if (std::holds_alternative<PathAddress>(spec.address)) text += "RemoveOnStop=yes\n";
  if (name != request.name + ".socket") text += fmt::format("Service={}.service\n", request.name);
  text += "\n[Install]\nWantedBy=sockets.target\n";
  return {std::move(name), std::move(text)};
}

UnitFile service_unit(const UnitRequest& request, const std::vector<UnitFile>& sockets) {
  std::string names;
  for (const UnitFile& socket : sockets) names.append(names.empty() ? "" : " ").append(socket.name);
  std::string text = fmt::format("[Unit]\nDescription={}, behind fdchain's launcher\n", request.name);
  if (!names.empty()) text += fmt::format("Requires={}\nAfter={}\n", names, names);
  text += "\n[Service]\n";
  // READY=1 comes from the payload, which is not the process that systemd started.
  text += request.notify ? "Type=notify\nNotifyAccess=all\n" : "Type=exec\n";
  std::string command;
  for (const std::string& word : request.command)
    command.append(command.empty() ? "" : " ").append(exec_word(word));
  text += "ExecStart=" + command + '\n';
  // SIGTERM is for the launcher alone, which relays it: the payload would get it twice.
  text += "KillMode=mixed\nRestart=on-failure\n\n[Install]\n";
  text += names.empty() ? "WantedBy=default.target\n" : fmt::format("Also={}\n", names);
  return {request.name + ".service", std::move(text)};
}

}  // namespace

std::string exec_word(std::string_view word) {
  std::string text;
  bool needs_quotes = word.empty();
  for (const char character : word) {
    const auto byte = static_cast<unsigned char>(character);
    needs_quotes |= byte <= ' ' || quoted_anyway.find(character) != std::string_view::npos;
    if (byte < ' ' || byte >= 0x7f)
      text += fmt::format("\\x{:02x}", byte);  // systemd refuses a line that is not UTF-8
    else if (character == '%' || character == '$')
      text.append(2, character);
    else if (character == '"' || character == '\\')
      text.append("\\").push_back(character);
    else
      text += character;
  }
  return needs_quotes ? '"' + text + '"' : text;
}

std::string listen_line(const ListenSpec& spec) {
  return fmt::format("{}={}", directive(spec.kind), line_value(address_text(spec), spec));
}

std::vector<UnitFile> make_units(const UnitRequest& request) {
  check_unit_name(request.name);
  const std::vector<SocketGroup> groups = group(request.listen);
  std::vector<UnitFile> units;
  for (std::size_t i = 0; i < groups.size(); ++i)
    units.push_back(socket_unit(request, groups[i], socket_unit_name(request, groups, i)));
  units.push_back(service_unit(request, units));
  return units;
}

}  // namespace fdchain
