#include "fdchain/protocol/socket_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_options.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/socket_keys.h"
#include "fdchain/protocol/unit_syntax.h"

namespace fdchain {
namespace {

using Kind = ListenSpec::Kind;

constexpr std::string_view suffix = ".socket";

/// What has no effect here and does not need one: on when and as what a service starts, and how long it
/// takes.
constexpr std::array<std::string_view, 7> about_the_service{
    "TimeoutSec",   "TriggerLimitIntervalSec", "TriggerLimitBurst", "RemoveOnStop",
    "FlushPending", "PollLimitIntervalSec",    "PollLimitBurst"};
constexpr std::array<std::string_view, 4> commands{"ExecStartPre", "ExecStartPost", "ExecStopPre",
                                                   "ExecStopPost"};
constexpr std::array<std::string_view, 7> listen_keys{
    "ListenStream",  "ListenDatagram",     "ListenSequentialPacket", "ListenFIFO",
    "ListenSpecial", "ListenMessageQueue", "ListenNetlink"};

template <typename Table>
bool contains(const Table& table, std::string_view key) {
  return std::ranges::find(table, key) != table.end();
}

/// A unit's name and its parts.
struct Name {
  explicit Name(const std::string& name)
      : full(name),
        stem(name.substr(0, name.size() - suffix.size())),
        prefix(stem.substr(0, stem.find('@'))),
        instance(stem.find('@') == std::string::npos ? "" : stem.substr(stem.find('@') + 1)) {}
  std::string full;
  std::string stem;
  std::string prefix;
  std::string instance;
};

std::optional<std::string> from_name(const Name& name, char letter) {
  const std::string last = name.prefix.substr(name.prefix.rfind('-') + 1);
  switch (letter) {
    case 'n': return name.full;
    case 'N': return name.stem;
    case 'p': return name.prefix;
    case 'P': return unescape_unit_name(name.prefix);
    case 'i': return name.instance;
    case 'I': return unescape_unit_name(name.instance);
    case 'j': return last;
    case 'J': return unescape_unit_name(last);
    case 'f': {
      const auto path = unescape_unit_name(name.instance.empty() ? name.prefix : name.instance);
      return path && !path->starts_with('/') ? '/' + *path : path;
    }
    default: return std::nullopt;
  }
}

class Parser {
 public:
  Parser(const std::string& name, std::string file, const Specifiers& specifiers)
      : name_(name), file_(std::move(file)), specifiers_(specifiers) {}

  void read(const UnitText& text);
  SocketUnit finish();

 private:
  struct Setting {
    std::string value;
    std::string where;
    std::size_t file = 0;
    std::size_t number = 0;
  };
  struct Note {
    std::size_t file;
    UnitNote of_line;
  };

  void read_socket_line(UnitLine line);
  void listen(const UnitLine& line);
  void set_option(const ListenOption& option, const UnitLine& line);
  void apply(const ListenOption& option, const Setting& setting);
  void check() const;
  [[noreturn]] void refuse(std::string_view where, std::string_view why) const {
    throw Failure(fmt::format("--unit {}: {}: {}", printable(file_), where, why));
  }
  void note(const UnitLine& line, std::string_view what) {
    notes_.push_back({file_number_, {line.number, fmt::format("{}: {}", line.where, what)}});
  }
  void ignore(const UnitLine& line, std::string_view why) {
    note(line, fmt::format("{}={}: {}; ignored", line.key, printable(line.value), why));
  }
  void take_notes();
  [[nodiscard]] std::optional<std::string> expand(std::string_view value, char& unknown) const;

  Name name_;
  std::string file_;
  const Specifiers& specifiers_;
  SocketUnit unit_;
  std::size_t file_number_ = 0;  // of the file that is read, the unit itself being the first
  std::vector<Note> notes_;
  std::map<std::string_view, Setting> settings_;  // the last one counts
  Setting service_;
};

// What is no letter and no digit stays as it is.
std::optional<std::string> Parser::expand(std::string_view value, char& unknown) const {
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '%' || i + 1 == value.size()) {
      text += value[i];
      continue;
    }
    const char letter = value[++i];
    const auto given = specifiers_.find(letter);
    if (letter == '%') {
      text += '%';
    } else if (const auto part = from_name(name_, letter)) {
      text += *part;
    } else if (given != specifiers_.end()) {
      text += given->second;
    } else if (std::isalnum(static_cast<unsigned char>(letter)) == 0) {
      text.append(1, '%').append(1, letter);
    } else {
      unknown = letter;
      return std::nullopt;
    }
  }
  return text;
}

void Parser::read(const UnitText& text) {
  const auto kind = text.is_drop_in ? UnitFileKind::drop_in : UnitFileKind::unit;
  std::vector<UnitNote> of_syntax;
  ++file_number_;
  for (UnitLine& line : parse_unit_lines(text.file, text.text, kind, of_syntax)) {
    if (line.section == "Socket")
      read_socket_line(std::move(line));
    else if (line.section == "Unit" && (line.key.starts_with("Condition") || line.key.starts_with("Assert")))
      note(line, line.key + "= is not checked");
  }
  for (UnitNote& note : of_syntax) notes_.push_back({file_number_, std::move(note)});
}

void Parser::read_socket_line(UnitLine line) {
  if (line.key.starts_with("X-") || contains(about_the_service, line.key)) return;
  if (contains(commands, line.key)) {
    if (!line.value.empty()) note(line, line.key + "= is not run");
    return;
  }
  char unknown = 0;
  const auto value = expand(line.value, unknown);
  if (!value) return ignore(line, fmt::format("nothing is known for %{}", unknown));
  line.value = *value;
  if (contains(listen_keys, line.key)) return listen(line);
  if (const auto* const option = find_option_by_key(line.key)) return set_option(*option, line);
  if (line.key == "Service") {
    service_ = {line.value, line.where, file_number_, line.number};
    return;
  }
  if (contains(keys_not_carried_out, line.key)) {
    if (!line.value.empty() && parse_boolean(line.value) != false)
      note(line, line.key + "= is not carried out by fdchain");
    return;
  }
  const bool decides_what_is_opened = line.key == "SocketProtocol" || line.key == "ListenUSBFunction";
  if (decides_what_is_opened && !line.value.empty())
    refuse(line.where, fmt::format("fdchain cannot open {}={}", line.key, printable(line.value)));
  if (!decides_what_is_opened)
    note(line, "unknown key '" + printable(line.key) + "' in section [Socket]; ignored");
}

Kind kind_for(std::string_view key, std::string_view address) {
  const bool is_unix = address.starts_with('/') || address.starts_with('@');
  if (key == "ListenFIFO") return Kind::fifo;
  if (key == "ListenSpecial") return Kind::special;
  if (key == "ListenMessageQueue") return Kind::mqueue;
  if (key == "ListenNetlink") return Kind::netlink;
  if (key == "ListenSequentialPacket") return Kind::unix_seqpacket;
  if (key == "ListenDatagram") return is_unix ? Kind::unix_dgram : Kind::udp;
  return is_unix ? Kind::unix_stream : address.starts_with("vsock:") ? Kind::vsock : Kind::tcp;
}

// Family and groups may have any blanks between them, and groups any base.
std::string netlink_words(const std::string& value) {
  const auto words = split_unit_words(value);
  if (!words || words->empty() || words->size() > 2) return value;
  if (words->size() == 1) return words->front();
  const auto groups = parse_unsigned_as_systemd(words->back());
  return words->front() + ' ' + (groups.error == 0 ? std::to_string(groups.value) : words->back());
}

void Parser::listen(const UnitLine& line) {
  if (line.value.empty()) return unit_.listen.clear();
  ListenSpec spec;
  spec.unit = file_;
  spec.kind = kind_for(line.key, line.value);
  std::string_view address = line.value;
  const std::string netlink = netlink_words(line.value);
  if (spec.kind == Kind::vsock) address.remove_prefix(std::string_view("vsock:").size());
  if (spec.kind == Kind::netlink) address = netlink;
  try {
    spec.address = parse_address(spec.kind, address);
  } catch (const Failure& failure) {
    return ignore(line, failure.what());
  }
  const auto* const inet = std::get_if<InetAddress>(&spec.address);
  if (inet != nullptr && inet->port == 0) return ignore(line, "0 is no port for systemd");
  spec.text = kind_and_address(spec);
  unit_.listen.push_back(std::move(spec));
}

// The words of one option that systemd has in other words than --listen.
std::string in_words_of_listen(const ListenOption& option, const std::string& value) {
  if (option.word != "v6only") return value;
  if (value == "ipv6-only") return "yes";
  return value == "both" ? "no" : value;
}

bool serves_nobody(const ListenOption& option, const std::string& value) {
  return option.word == "max-connections" && parse_as_systemd(value, 0);
}

void Parser::set_option(const ListenOption& option, const UnitLine& line) {
  const bool is_default = line.value.empty() || (option.word == "v6only" && line.value == "default") ||
                          (option.word == "bind-to-device" && line.value == "*");
  if (is_default) {
    settings_.erase(option.key);
    return;
  }
  const std::string value = in_words_of_listen(option, line.value);
  std::vector<std::string> values{value};
  if (option.value.is_list) {
    const auto words = split_unit_words(value);
    if (!words) return ignore(line, "a quote that does not end");
    values = *words;
  }
  ListenSpec scratch;
  for (const std::string& each : values) {
    if (serves_nobody(option, each)) continue;  // finish() refuses it, unless another one follows
    const std::string_view wanted = option.value.set(scratch, each);
    if (!wanted.empty()) return ignore(line, "not " + std::string(wanted));
  }
  Setting& setting = settings_[option.key];
  const bool adds = option.value.is_list && !setting.value.empty();
  setting = {adds ? setting.value + ' ' + value : value, line.where, file_number_, line.number};
}

void Parser::apply(const ListenOption& option, const Setting& setting) {
  bool has_effect = false;
  for (ListenSpec& spec : unit_.listen) {
    const bool of_accept = option.word == "max-connections";
    if (!applies(option, spec) || (of_accept && !spec.accept)) continue;
    has_effect = true;
    const auto values = option.value.is_list ? split_unit_words(setting.value) : std::nullopt;
    for (const std::string& value : values.value_or(std::vector{setting.value}))
      option.value.set(spec, value);
  }
  const bool off = option.value.is_flag && parse_boolean(setting.value) == false;
  if (!has_effect && !off)
    notes_.push_back({setting.file,
                      {setting.number,
                       fmt::format("{}: {}= means nothing for these sockets", setting.where, option.key)}});
}

// What systemd does not start.
void Parser::check() const {
  const bool accepts = std::ranges::any_of(unit_.listen, &ListenSpec::accept);
  const auto none = settings_.end();
  if (accepts && !service_.value.empty())
    refuse(service_.where,
           "Service= is not for a unit with Accept=yes, which has a service for each connection");
  const auto most = settings_.find("MaxConnections");
  if (accepts && most != none && serves_nobody(*find_option_by_key("MaxConnections"), most->second.value))
    refuse(most->second.where, "MaxConnections=0 serves nobody");
  const auto links = settings_.find("Symlinks");
  const auto paths = std::ranges::count_if(unit_.listen, [](const ListenSpec& spec) {
    const auto* const option = find_option_by_key("Symlinks");
    return applies(*option, spec);
  });
  if (links != none && paths != 1)
    refuse(links->second.where, fmt::format("Symlinks= is for one path, and there are {}", paths));
}

// In the order of the files and of their lines, whenever each of them was found.
void Parser::take_notes() {
  std::ranges::stable_sort(notes_, {},
                           [](const Note& note) { return std::pair(note.file, note.of_line.number); });
  for (Note& note : notes_) unit_.notes.push_back(std::move(note.of_line.text));
}

SocketUnit Parser::finish() {
  for (const ListenOption& option : listen_options()) {
    const auto found = settings_.find(option.key);
    if (found != settings_.end() && !unit_.listen.empty()) apply(option, found->second);
  }
  check();
  take_notes();
  for (ListenSpec& spec : unit_.listen) {
    if (spec.accept) {
      spec.name.reset();  // systemd names a connection itself
    } else if (!spec.name) {
      spec.name = name_.full;
    }
  }
  if (unit_.listen.empty()) {
    std::string remarks;
    for (const std::string& remark : unit_.notes) remarks.append("; ").append(remark);
    throw Failure("--unit " + printable(file_) +
                  ": there is nothing to listen on (ListenStream=, ListenDatagram=, ...)" +
                  printable(remarks, 400));
  }
  return std::move(unit_);
}

bool is_of_a_unit_name(char character) {
  return is_plain_in_unit_name(character) || character == '\\' || character == '@';
}

}  // namespace

SocketUnit parse_socket_unit(const std::string& name, const std::string& file,
                             const std::vector<UnitText>& texts, const Specifiers& specifiers) {
  Parser parser(name, file, specifiers);
  for (const UnitText& text : texts) parser.read(text);
  return parser.finish();
}

bool is_socket_template(std::string_view name) { return name.ends_with("@.socket"); }

bool is_socket_unit_name(std::string_view name) {
  return name.ends_with(suffix) && name.size() > suffix.size() && name.size() <= longest_unit_name &&
         !name.starts_with('@') && !is_socket_template(name) && std::ranges::all_of(name, is_of_a_unit_name);
}

}  // namespace fdchain
