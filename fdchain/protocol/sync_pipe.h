// What a hop tells the hop before it: conmon's sync pipe, one JSON object in one datagram.
//
//   {"data":4711}                           the payload runs and has this pid
//   {"data":-1,"message":"…","status":127}  it never ran; the status the run shall have
//   {"data":3}                              the second message: it ended with this status
//   {"data":137,"signal":9}                 … by this signal
//   {"data":124,"timed_out":true}           … because --timeout was over
//
// `data` and `message` are conmon's and mean the same; the other keys are ours, and readers that do not know
// them ignore them, as podman does.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fdchain {

/// A datagram of at most this many bytes, newline included, reaches podman whole: it reads with 4096 bytes.
inline constexpr std::size_t sync_message_max = 4096;

/// From a runtime that becomes the payload in place: nothing but exec is left to do. If its end of the pipe
/// closes after this and no failure, exec has happened; without this, the runtime has died. A runtime whose
/// payload is another process, in a pid namespace, names it there in place of 0.
inline constexpr std::string_view ready_word = "{\"data\":0}\n";

// A runtime that starts the payload as another process, in a pid namespace, names it instead of saying 0.

struct SyncMessage {
  int data = -1;
  std::optional<std::string> message;
  std::optional<int> status;
  std::optional<int> signal;
  bool timed_out = false;

  friend bool operator==(const SyncMessage&, const SyncMessage&) = default;
};

/// One line for the pipe. A message too long for a datagram is cut, never the JSON.
std::string encode(const SyncMessage& message);

/// Reads one datagram; nothing when it is not a sync message. Unknown keys are ignored, and so are a `status`
/// that is none of a failure, 1 to 255, and a `signal` that there is not.
std::optional<SyncMessage> decode_sync_message(std::string_view datagram);

}  // namespace fdchain
