#include "fdchain/protocol/attach.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "fdchain/model/number.h"

namespace fdchain {
namespace {

constexpr int largest_size = 1000;

// The next word of `text`, which is left behind it.
std::string_view next_word(std::string_view& text) {
  const std::size_t start = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(start);
  const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
  text.remove_prefix(word.size());
  return word;
}

bool is_relayed(std::string_view line) {
  static constexpr std::array<std::string_view, 8> states{
      "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1",
      "STATUS=", "ERRNO=",      "BUSERROR=",  "MONOTONIC_USEC="};
  return std::ranges::any_of(states, [&](std::string_view state) {
    return state.ends_with('=') ? line.starts_with(state) : line == state;
  });
}

}  // namespace

std::string_view to_string(AttachStream stream) {
  return stream == AttachStream::err ? "stderr" : stream == AttachStream::in ? "stdin" : "stdout";
}

std::string encode(const AttachFrame& frame) { return static_cast<char>(frame.stream) + frame.bytes; }

std::optional<AttachFrame> decode_attach_frame(std::string_view packet) {
  if (packet.empty()) return std::nullopt;
  const char stream = packet.front();
  if (stream < static_cast<char>(AttachStream::in) || stream > static_cast<char>(AttachStream::err))
    return std::nullopt;
  return AttachFrame{static_cast<AttachStream>(stream), std::string(packet.substr(1))};
}

std::string encode(const ControlMessage& message) {
  return fmt::format("{} {} {}\n", static_cast<int>(message.kind), message.rows, message.columns);
}

std::optional<ControlMessage> decode_control_line(std::string_view line) {
  const auto kind = parse_decimal(next_word(line), 2);
  const auto rows = parse_decimal(next_word(line), largest_size);
  const auto columns = parse_decimal(next_word(line), largest_size);
  if (!kind || *kind == 0 || !rows || !columns) return std::nullopt;
  return ControlMessage{static_cast<ControlMessage::Kind>(*kind), static_cast<int>(*rows),
                        static_cast<int>(*columns)};
}

std::string notification_to_relay(std::string_view datagram) {
  std::string relayed;
  while (!datagram.empty()) {
    const std::string_view line = datagram.substr(0, datagram.find('\n'));
    datagram.remove_prefix(std::min(datagram.size(), line.size() + 1));
    if (!is_relayed(line)) continue;
    if (!relayed.empty()) relayed += '\n';
    relayed += line;
  }
  return relayed;
}

std::string journal_field(std::string_view name, std::string_view value) {
  std::string field(name);
  if (value.find('\n') == std::string_view::npos) return field.append("=").append(value).append("\n");
  // What has a newline in it is announced by its length, 64 bits with the lowest byte first.
  field += '\n';
  for (int shift = 0; shift < 64; shift += 8)
    field += static_cast<char>(static_cast<std::uint64_t>(value.size()) >> shift & 0xff);
  return field.append(value).append("\n");
}

}  // namespace fdchain
