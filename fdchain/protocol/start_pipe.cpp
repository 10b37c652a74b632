#include "fdchain/protocol/start_pipe.h"

namespace fdchain {
namespace {

constexpr std::uint8_t go_byte = 0;
constexpr std::uint8_t highest_signal = 64;
constexpr std::uint8_t leave_byte = 255;

}  // namespace

std::uint8_t encode(const StartMessage& message) {
  switch (message.kind) {
    case StartMessage::Kind::go: return go_byte;
    case StartMessage::Kind::signal: return static_cast<std::uint8_t>(message.signal);
    case StartMessage::Kind::leave: break;
  }
  return leave_byte;
}

std::optional<StartMessage> decode_start_message(std::uint8_t byte) {
  using enum StartMessage::Kind;
  if (byte == go_byte) return StartMessage{go};
  if (byte <= highest_signal) return StartMessage{signal, byte};
  if (byte == leave_byte) return StartMessage{leave};
  return std::nullopt;
}

}  // namespace fdchain
