// What goes over conmon's other channels: the attach socket, the control FIFO, the notify socket.
//
// The attach socket is SEQPACKET. From the monitor: a byte that says which stream, then what was written
// there. To the monitor: bytes for the container's stdin, and their end by shutdown(2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fdchain {

/// The monitor reads so much of a stream at once, so a frame is never longer than this and one byte.
inline constexpr std::size_t attach_read_size = 8192;

/// A client's packet for stdin is at most so long; what is beyond is cut by the kernel.
inline constexpr std::size_t attach_input_max = 32768;

enum class AttachStream : char { in = 1, out = 2, err = 3 };

/// `stdout` or `stderr`, as the logs call it.
std::string_view to_string(AttachStream stream);

struct AttachFrame {
  AttachStream stream = AttachStream::out;
  std::string bytes;

  friend bool operator==(const AttachFrame&, const AttachFrame&) = default;
};

std::string encode(const AttachFrame& frame);

/// Nothing for a packet of no stream.
std::optional<AttachFrame> decode_attach_frame(std::string_view packet);

/// A line on the FIFO `ctl`: `1 ROWS COLUMNS` resizes the terminal, `2 0 0` has the logs opened anew.
struct ControlMessage {
  enum class Kind { resize = 1, reopen_logs = 2 };
  Kind kind = Kind::resize;
  int rows = 0;
  int columns = 0;

  friend bool operator==(const ControlMessage&, const ControlMessage&) = default;
};

/// The line with its newline.
std::string encode(const ControlMessage& message);

/// Nothing for a line without a meaning, or with a size that is not from 0 to 1000.
std::optional<ControlMessage> decode_control_line(std::string_view line);

/// What of a container's notification is relayed to the host: the lines that concern the service's state, and
/// nothing that names a process, a descriptor or a limit, which mean something else outside. Empty for
/// nothing.
std::string notification_to_relay(std::string_view datagram);

/// One field of a record for the journal's native socket.
std::string journal_field(std::string_view name, std::string_view value);

}  // namespace fdchain
