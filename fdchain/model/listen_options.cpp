#include "fdchain/model/listen_options.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

using Kind = ListenSpec::Kind;
using Number = std::optional<int>;

constexpr std::string_view taken;  // no complaint

constexpr unsigned bits(std::initializer_list<Kind> kinds) {
  unsigned mask = 0;
  for (const Kind kind : kinds) mask |= 1U << static_cast<unsigned>(kind);
  return mask;
}

constexpr unsigned inet = bits({Kind::tcp, Kind::udp});
constexpr unsigned unix_sockets = bits({Kind::unix_stream, Kind::unix_dgram, Kind::unix_seqpacket});
constexpr unsigned sockets = inet | unix_sockets | bits({Kind::vsock, Kind::netlink});
constexpr unsigned paths = unix_sockets | bits({Kind::fifo});
constexpr unsigned accepting = bits({Kind::tcp, Kind::unix_stream, Kind::unix_seqpacket, Kind::vsock});
constexpr unsigned everything = sockets | bits({Kind::fifo, Kind::mqueue, Kind::special});

// Values of one type each, for any member of that type.

template <bool ListenSpec::*member>
constexpr OptionValue flag{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                             const auto is_on = parse_boolean(value);
                             if (!is_on) return "yes or no";
                             spec.*member = *is_on;
                             return taken;
                           },
                           [](const ListenSpec& spec) { return std::string(spec.*member ? "yes" : ""); },
                           true};

template <std::string ListenSpec::*member, std::size_t longest>
constexpr OptionValue one_word{
    [](ListenSpec& spec, std::string_view value) -> std::string_view {
      static const std::string wanted = "a word of 1 to " + std::to_string(longest) + " characters";
      const bool bad = value.empty() || value.size() > longest || printable(value, longest + 1) != value ||
                       value.find_first_of(" /") != std::string_view::npos;
      if (bad) return wanted;
      spec.*member = value;
      return taken;
    },
    [](const ListenSpec& spec) { return spec.*member; }};

template <mode_t ListenSpec::*member>
constexpr OptionValue mode_bits{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                                  mode_t mode = 0;
                                  const char* const end = value.data() + value.size();
                                  const auto [stopped, error] = std::from_chars(value.data(), end, mode, 8);
                                  if (error != std::errc() || stopped != end || mode > 07777)
                                    return "octal, 0 to 7777";
                                  spec.*member = mode;
                                  return taken;
                                },
                                [](const ListenSpec& spec) {
                                  static const ListenSpec standard;
                                  if (spec.*member == standard.*member) return std::string();
                                  std::array<char, 8> digits{};
                                  const auto [end, error] = std::to_chars(
                                      digits.data(), digits.data() + digits.size(), spec.*member, 8);
                                  const std::string text(digits.data(), end);
                                  return std::string(text.size() < 4 ? 4 - text.size() : 0, '0') + text;
                                }};

std::string to_text(const Number& number) { return number ? std::to_string(*number) : ""; }

template <Number ListenSpec::*member, int least, int most>
constexpr OptionValue number{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                               static const std::string range =
                                   "a number from " + std::to_string(least) + " to " + std::to_string(most);
                               const auto read = parse_as_systemd(value, most);
                               if (!read || static_cast<int>(*read) < least) return range;
                               spec.*member = static_cast<int>(*read);
                               return taken;
                             },
                             [](const ListenSpec& spec) { return to_text(spec.*member); }};

constexpr int largest = std::numeric_limits<int>::max();

// `8M` and the like, to the base of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::array units{AmountUnit("", 1),
                                    AmountUnit("B", 1),
                                    AmountUnit("K", 1ULL << 10U),
                                    AmountUnit("M", 1ULL << 20U),
                                    AmountUnit("G", 1ULL << 30U),
                                    AmountUnit("T", 1ULL << 40U)};
  return parse_amounts(text, units);
}

template <Number ListenSpec::*member>
constexpr OptionValue size_in_bytes{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                                      const auto size = parse_size(value);
                                      if (!size || *size == 0 || *size > largest)
                                        return "a size from 1 to 2147483647, K, M or G behind it";
                                      spec.*member = static_cast<int>(*size);
                                      return taken;
                                    },
                                    [](const ListenSpec& spec) { return to_text(spec.*member); }};

// Seconds, or spans with units: `5`, `1min 30s`. systemd rounds up to whole seconds.
std::optional<std::uint64_t> parse_seconds(std::string_view text) {
  static constexpr std::array units{AmountUnit("us", 1ULL),
                                    AmountUnit("usec", 1ULL),
                                    AmountUnit("µs", 1ULL),
                                    AmountUnit("ms", 1000ULL),
                                    AmountUnit("msec", 1000ULL),
                                    AmountUnit("", 1000000ULL),
                                    AmountUnit("s", 1000000ULL),
                                    AmountUnit("sec", 1000000ULL),
                                    AmountUnit("second", 1000000ULL),
                                    AmountUnit("seconds", 1000000ULL),
                                    AmountUnit("m", 60000000ULL),
                                    AmountUnit("min", 60000000ULL),
                                    AmountUnit("minute", 60000000ULL),
                                    AmountUnit("minutes", 60000000ULL),
                                    AmountUnit("h", 3600000000ULL),
                                    AmountUnit("hr", 3600000000ULL),
                                    AmountUnit("hour", 3600000000ULL),
                                    AmountUnit("hours", 3600000000ULL),
                                    AmountUnit("d", 86400000000ULL),
                                    AmountUnit("day", 86400000000ULL),
                                    AmountUnit("days", 86400000000ULL),
                                    AmountUnit("w", 604800000000ULL),
                                    AmountUnit("week", 604800000000ULL),
                                    AmountUnit("weeks", 604800000000ULL),
                                    AmountUnit("M", 2629800000000ULL),
                                    AmountUnit("month", 2629800000000ULL),
                                    AmountUnit("months", 2629800000000ULL),
                                    AmountUnit("y", 31557600000000ULL),
                                    AmountUnit("year", 31557600000000ULL),
                                    AmountUnit("years", 31557600000000ULL)};
  const auto span = parse_amounts(text, units);
  if (!span) return std::nullopt;
  return *span / 1'000'000 + (*span % 1'000'000 == 0 ? 0 : 1);
}

template <Number ListenSpec::*member, int most>
constexpr OptionValue span_of_time{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                                     static const std::string range =
                                         "a time from 1 to " + std::to_string(most) + " seconds";
                                     const auto seconds = parse_seconds(value);
                                     if (!seconds || *seconds == 0 || *seconds > most) return range;
                                     spec.*member = static_cast<int>(*seconds);
                                     return taken;
                                   },
                                   [](const ListenSpec& spec) { return to_text(spec.*member); }};

// Values that only one option has.

constexpr OptionValue descriptor_name{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                                        const bool bad = value.empty() || value.size() > 255 ||
                                                         value.find(':') != std::string_view::npos ||
                                                         printable(value, 256) != value;
                                        if (bad) return "1 to 255 printable characters without a colon";
                                        spec.name = value;
                                        return taken;
                                      },
                                      [](const ListenSpec& spec) { return spec.name.value_or(""); }};

constexpr OptionValue queue_of_clients{
    [](ListenSpec& spec, std::string_view value) -> std::string_view {
      const auto read = parse_as_systemd(value, std::numeric_limits<std::uint32_t>::max());
      if (!read) return "a number from 0 to 4294967295";
      spec.backlog = static_cast<int>(std::min<std::uint64_t>(*read, largest));  // the kernel's cap is lower
      return taken;
    },
    [](const ListenSpec& spec) { return spec.backlog == largest ? "" : std::to_string(spec.backlog); }};

constexpr OptionValue most_connections{
    [](ListenSpec& spec, std::string_view value) -> std::string_view {
      const auto read = parse_as_systemd(value, 100'000);
      if (!read || *read == 0) return "a number from 1 to 100000";
      spec.max_connections = static_cast<int>(*read);
      return taken;
    },
    [](const ListenSpec& spec) {
      return spec.max_connections == ListenSpec().max_connections ? "" : std::to_string(spec.max_connections);
    }};

constexpr OptionValue ipv6_alone{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                                   const auto is_on = parse_boolean(value);
                                   if (!is_on) return "yes or no";
                                   spec.v6_only = *is_on;
                                   return taken;
                                 },
                                 [](const ListenSpec& spec) {
                                   return std::string(!spec.v6_only ? "" : *spec.v6_only ? "yes" : "no");
                                 },
                                 true};

constexpr OptionValue time_stamps{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                                    if (value == "us" || value == "usec" || value == "µs")
                                      spec.timestamping = Timestamping::us;
                                    else if (value == "ns" || value == "nsec")
                                      spec.timestamping = Timestamping::ns;
                                    else if (value == "off")
                                      spec.timestamping = Timestamping::off;
                                    else
                                      return "off, us or ns";
                                    return taken;
                                  },
                                  [](const ListenSpec& spec) {
                                    return std::string(spec.timestamping == Timestamping::us   ? "us"
                                                       : spec.timestamping == Timestamping::ns ? "ns"
                                                                                               : "");
                                  }};

constexpr OptionValue type_of_service{
    [](ListenSpec& spec, std::string_view value) -> std::string_view {
      static constexpr std::array names{std::pair<std::string_view, int>("low-delay", 0x10),
                                        std::pair<std::string_view, int>("throughput", 8),
                                        std::pair<std::string_view, int>("reliability", 4),
                                        std::pair<std::string_view, int>("low-cost", 2)};
      const auto* const found =
          std::ranges::find(names, value, [](const auto& entry) { return entry.first; });
      const auto read = parse_as_systemd(value, 255);
      if (found == names.end() && !read) return "0 to 255, low-delay, throughput, reliability or low-cost";
      spec.ip_tos = found != names.end() ? found->second : static_cast<int>(*read);
      return taken;
    },
    [](const ListenSpec& spec) { return to_text(spec.ip_tos); }};

constexpr OptionValue links{[](ListenSpec& spec, std::string_view value) -> std::string_view {
                              if (!value.starts_with('/') || printable(value, value.size() + 1) != value)
                                return "an absolute path";
                              spec.symlinks.emplace_back(value);
                              return taken;
                            },
                            [](const ListenSpec& spec) {
                              std::string joined;
                              for (const std::string& link : spec.symlinks)
                                joined.append(joined.empty() ? "" : "\n").append(link);
                              return joined;
                            },
                            false, true};

using S = ListenSpec;

constexpr std::string_view path_text = "what is made under a path";
constexpr std::string_view owned_text = "unix paths and FIFOs";
constexpr std::string_view accepting_text = "what accepts connections";
constexpr std::string_view inet_text = "tcp and udp";
constexpr std::string_view told_text = "unix sockets and netlink";

constexpr std::size_t longest_account = 255;
constexpr std::size_t longest_interface = 15;  // IFNAMSIZ with the ending zero is 16

constexpr std::array table{
    ListenOption{"name", "FileDescriptorName", everything, "every kind", descriptor_name},
    ListenOption{"mode", "SocketMode", paths | bits({Kind::mqueue}), path_text, mode_bits<&S::mode>},
    ListenOption{"dirmode", "DirectoryMode", paths, owned_text, mode_bits<&S::directory_mode>},
    ListenOption{"user", "SocketUser", paths, owned_text, one_word<&S::user, longest_account>},
    ListenOption{"group", "SocketGroup", paths, owned_text, one_word<&S::group, longest_account>},
    ListenOption{"symlink", "Symlinks", paths, owned_text, links},
    ListenOption{"backlog", "Backlog", accepting, accepting_text, queue_of_clients},
    ListenOption{"accept", "Accept", accepting, accepting_text, flag<&S::accept>},
    ListenOption{"max-connections", "MaxConnections", accepting, accepting_text, most_connections},
    ListenOption{"v6only", "BindIPv6Only", inet, "IPv6 addresses", ipv6_alone},
    ListenOption{"freebind", "FreeBind", inet, inet_text, flag<&S::free_bind>},
    ListenOption{"transparent", "Transparent", inet, inet_text, flag<&S::transparent>},
    ListenOption{"reuseport", "ReusePort", inet, inet_text, flag<&S::reuse_port>},
    ListenOption{"bind-to-device", "BindToDevice", inet, inet_text,
                 one_word<&S::bind_to_device, longest_interface>},
    ListenOption{"nodelay", "NoDelay", bits({Kind::tcp}), "tcp", flag<&S::no_delay>},
    ListenOption{"keepalive", "KeepAlive", bits({Kind::tcp}), "tcp", flag<&S::keep_alive>},
    ListenOption{"keepalive-time", "KeepAliveTimeSec", bits({Kind::tcp}), "tcp",
                 span_of_time<&S::keep_alive_time, 32767>},
    ListenOption{"keepalive-interval", "KeepAliveIntervalSec", bits({Kind::tcp}), "tcp",
                 span_of_time<&S::keep_alive_interval, 32767>},
    ListenOption{"keepalive-probes", "KeepAliveProbes", bits({Kind::tcp}), "tcp",
                 number<&S::keep_alive_probes, 1, 127>},
    ListenOption{"defer-accept", "DeferAcceptSec", bits({Kind::tcp}), "tcp",
                 span_of_time<&S::defer_accept, 32767>},
    ListenOption{"congestion", "TCPCongestion", bits({Kind::tcp}), "tcp", one_word<&S::congestion, 15>},
    ListenOption{"broadcast", "Broadcast", bits({Kind::udp}), "udp", flag<&S::broadcast>},
    ListenOption{"passcred", "PassCredentials", unix_sockets | bits({Kind::netlink}), told_text,
                 flag<&S::pass_credentials>},
    ListenOption{"passsec", "PassSecurity", unix_sockets | bits({Kind::netlink}), told_text,
                 flag<&S::pass_security>},
    ListenOption{"passpktinfo", "PassPacketInfo", bits({Kind::udp, Kind::netlink}), "udp and netlink",
                 flag<&S::pass_packet_info>},
    ListenOption{"timestamping", "Timestamping", sockets, "sockets", time_stamps},
    ListenOption{"rcvbuf", "ReceiveBuffer", sockets, "sockets", size_in_bytes<&S::receive_buffer>},
    ListenOption{"sndbuf", "SendBuffer", sockets, "sockets", size_in_bytes<&S::send_buffer>},
    ListenOption{"priority", "Priority", sockets, "sockets", number<&S::priority, 0, largest>},
    ListenOption{"mark", "Mark", sockets, "sockets", number<&S::mark, 0, largest>},
    ListenOption{"tos", "IPTOS", inet, inet_text, type_of_service},
    ListenOption{"ttl", "IPTTL", inet, inet_text, number<&S::ip_ttl, 1, 255>},
    ListenOption{"pipe-size", "PipeSize", bits({Kind::fifo}), "fifo", size_in_bytes<&S::pipe_size>},
    ListenOption{"max-messages", "MessageQueueMaxMessages", bits({Kind::mqueue}), "mqueue",
                 number<&S::queue_max_messages, 1, largest>},
    ListenOption{"message-size", "MessageQueueMessageSize", bits({Kind::mqueue}), "mqueue",
                 number<&S::queue_message_size, 1, largest>},
    ListenOption{"writable", "Writable", bits({Kind::special}), "special", flag<&S::writable>},
};

bool is_for(const ListenOption& option, Kind kind) {
  return (option.kinds & (1U << static_cast<unsigned>(kind))) != 0;
}

template <std::string_view ListenOption::*name>
const ListenOption* find_by(std::string_view text) {
  const auto* const found = std::ranges::find(table, text, name);
  return found == table.end() ? nullptr : found;
}

}  // namespace

std::span<const ListenOption> listen_options() { return table; }

const ListenOption* find_option_by_word(std::string_view word) { return find_by<&ListenOption::word>(word); }

const ListenOption* find_option_by_key(std::string_view key) { return find_by<&ListenOption::key>(key); }

bool applies(const ListenOption& option, const ListenSpec& spec) {
  if (!is_for(option, spec.kind)) return false;
  if (const auto* const path = std::get_if<PathAddress>(&spec.address)) {
    const bool of_the_path =
        (option.kinds & unix_sockets) != 0 && (option.kinds & sockets & ~unix_sockets) == 0;
    return !of_the_path || !path->path.starts_with('@');
  }
  const auto* const inet_address = std::get_if<InetAddress>(&spec.address);
  if (inet_address == nullptr || option.word != "v6only") return true;
  return inet_address->ip.empty() || inet_address->ip.find(':') != std::string::npos;
}

std::string option_words(Kind kind) {
  std::vector<std::string_view> words;
  for (const ListenOption& option : table) {
    if (is_for(option, kind)) words.push_back(option.word);
  }
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text.append(i == 0 ? "" : i + 1 == words.size() ? " and " : ", ").append(words[i]);
  return text;
}

std::optional<bool> parse_boolean(std::string_view text) {
  const std::string word(text);
  const auto is = [&](const char* name) { return ::strcasecmp(word.c_str(), name) == 0; };
  if (is("1") || is("yes") || is("y") || is("true") || is("t") || is("on")) return true;
  if (is("0") || is("no") || is("n") || is("false") || is("f") || is("off")) return false;
  return std::nullopt;
}

}  // namespace fdchain
