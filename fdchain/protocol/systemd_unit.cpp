#include "fdchain/protocol/systemd_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_options.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/unit_syntax.h"

namespace fdchain {
namespace {

constexpr std::string_view longest_suffix = ".service";
constexpr std::string_view quoted_anyway = "\"'\\;";

[[noreturn]] void refuse_name(const std::string& name, std::string_view why) {
  throw Failure(fmt::format("generate systemd {}: {}", printable(name), why));
}

void check_unit_name(const std::string& name) {
  if (name.empty()) refuse_name("''", "a unit needs a name");
  if (name.size() + longest_suffix.size() > longest_unit_name)
    refuse_name(name.substr(0, 40) + "...", "a unit's name has 255 characters at most, .service and all");
  if (!std::ranges::all_of(name, is_plain_in_unit_name))
    refuse_name(name, "a unit's name has letters, digits and : - _ . only");
  if (name.ends_with(".service") || name.ends_with(".socket"))
    refuse_name(name, "the name without .service or .socket is asked for");
}

// systemd-escape's way with what a unit's name cannot have.
std::string escape_for_name(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    if (is_plain_in_unit_name(character))
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
  if (strips || breaks) throw Failure(who_asks(spec) + ": cannot be written into a unit file");
  return double_percent(text);
}

std::string unit_address(const ListenSpec& spec) {
  return (spec.kind == ListenSpec::Kind::vsock ? "vsock:" : "") + address_text(spec);
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

// A value of --listen in the words of a unit. Those of a list come a line each.
std::string unit_value(const ListenOption& option, const std::string& value, const ListenSpec& spec) {
  if (option.word == "v6only") return value == "yes" ? "ipv6-only" : "both";
  if (!option.value.is_list) return line_value(value, spec);
  std::string words;
  for (std::size_t start = 0; start < value.size();) {
    const std::size_t end = std::min(value.find('\n', start), value.size());
    const std::string word = value.substr(start, end - start);
    if (word.find_first_of("\"'\\") != std::string::npos)
      throw Failure(who_asks(spec) + ": cannot be written into a unit file");
    words.append(words.empty() ? "" : " ")
        .append(word.find(' ') == std::string::npos ? word : '"' + word + '"');
    start = end + 1;
  }
  return double_percent(words);
}

/// What one .socket unit holds.
struct SocketGroup {
  const ListenSpec* first;
  std::string listen;  ///< its lines
};

// All but what a unit can have several of.
bool belong_together(const ListenSpec& left, const ListenSpec& right) {
  if (!left.symlinks.empty() || !right.symlinks.empty())
    return false;  // those lead to the only path of a unit
  ListenSpec alike = right;
  alike.kind = left.kind;
  alike.address = left.address;
  alike.text = left.text;
  alike.unit = left.unit;
  return left == alike;
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
  for (const ListenOption& option : listen_options()) {
    const std::string value = option.value.get(spec);
    if (!value.empty()) text += fmt::format("{}={}\n", option.key, unit_value(option, value, spec));
  }
  // What was made for the run goes with it, as the launcher has it.
  if (std::holds_alternative<PathAddress>(spec.address)) text += "RemoveOnStop=yes\n";
  const bool other_service = name != request.name + ".socket" && !spec.accept;
  if (other_service) text += fmt::format("Service={}.service\n", request.name);
  text += "\n[Install]\nWantedBy=sockets.target\n";
  return {std::move(name), std::move(text)};
}

std::string service_lines(const UnitRequest& request) {
  // READY=1 comes from the payload, which is not the process that systemd started.
  std::string text = request.notify ? "Type=notify\nNotifyAccess=all\n" : "Type=exec\n";
  std::string command;
  for (const std::string& word : request.command)
    command.append(command.empty() ? "" : " ").append(exec_word(word));
  // SIGTERM is for the launcher alone, which relays it: the payload would get it twice.
  return text + "ExecStart=" + command + "\nKillMode=mixed\n";
}

// With Accept=yes systemd starts an instance of NAME@.service for each connection.
UnitFile instance_unit(const UnitRequest& request, std::string_view socket) {
  const std::string_view stem = socket.substr(0, socket.size() - std::string_view(".socket").size());
  std::string text =
      fmt::format("[Unit]\nDescription={}, behind fdchain's launcher\n\n[Service]\n", request.name);
  text += service_lines(request);
  return {fmt::format("{}@.service", stem), text};
}

UnitFile service_unit(const UnitRequest& request, const std::vector<UnitFile>& sockets) {
  std::string names;
  for (const UnitFile& socket : sockets) names.append(names.empty() ? "" : " ").append(socket.name);
  std::string text = fmt::format("[Unit]\nDescription={}, behind fdchain's launcher\n", request.name);
  if (!names.empty()) text += fmt::format("Requires={}\nAfter={}\n", names, names);
  text += "\n[Service]\n";
  text += service_lines(request) + "Restart=on-failure\n\n[Install]\n";
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
  const auto* const inet = std::get_if<InetAddress>(&spec.address);
  if (inet != nullptr && inet->port == 0)
    throw Failure(who_asks(spec) + ": systemd has no port that the kernel chooses");
  return fmt::format("{}={}", directive(spec.kind), line_value(unit_address(spec), spec));
}

std::vector<UnitFile> make_units(const UnitRequest& request) {
  check_unit_name(request.name);
  const std::vector<SocketGroup> groups = group(request.listen);
  std::vector<UnitFile> units;
  for (std::size_t i = 0; i < groups.size(); ++i)
    units.push_back(socket_unit(request, groups[i], socket_unit_name(request, groups, i)));
  const bool accepts = std::ranges::any_of(request.listen, &ListenSpec::accept);
  if (!accepts) {
    units.push_back(service_unit(request, units));
    return units;
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].first->accept)
      throw Failure(who_asks(*groups[i].first) + ": with accept for one socket every other one needs it too");
    units.push_back(instance_unit(request, units[i].name));
  }
  return units;
}

}  // namespace fdchain
