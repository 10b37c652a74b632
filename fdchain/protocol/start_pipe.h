// What the launcher tells the monitor: one byte a time, on conmon's start pipe.
//
// conmon reads one 0x00 byte and closes the pipe. Our launcher keeps its end open while it waits, so the same
// pipe carries the signals it relays, and its end tells the monitor that the launcher is gone. Relaying
// through the monitor, which is the payload's parent, never signals a stranger that got a dead payload's
// number.
#pragma once

#include <cstdint>
#include <optional>

namespace fdchain {

/// One byte from the launcher.
struct StartMessage {
  enum class Kind {
    go,      ///< 0: start the payload
    signal,  ///< 1 … 64: send it this signal
    leave,   ///< 255: the launcher will go away now, and that is how it should be
  };
  Kind kind = Kind::go;
  int signal = 0;

  friend bool operator==(const StartMessage&, const StartMessage&) = default;
};

std::uint8_t encode(const StartMessage& message);

/// Nothing for a byte without a meaning.
std::optional<StartMessage> decode_start_message(std::uint8_t byte);

}  // namespace fdchain
