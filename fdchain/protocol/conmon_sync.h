// What conmon tells its caller on the sync and attach pipes: one JSON object in one datagram.
//
//   {"data": 4711}                        the container's pid; for an exec session later its exit status too
//   {"data": -1, "message": "…"}          it could not be made, and why
//
// With --api-version the key is `data`. Without, it is `pid`, and `exit_code` for an exec session.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fdchain {

/// podman reads with 4096 bytes: a longer datagram is cut there, and what is left is no JSON.
inline constexpr std::size_t conmon_message_max = 4096;

struct ConmonMessage {
  enum class Key { data, pid, exit_code };
  int data = -1;
  std::optional<std::string> message;
  Key key = Key::data;

  friend bool operator==(const ConmonMessage&, const ConmonMessage&) = default;
};

/// One line of at most conmon_message_max bytes, in conmon's own spelling. A message that is too long is cut
/// between two characters; bytes that are no UTF-8 become `?`.
std::string encode(const ConmonMessage& message);

/// Reads one datagram; nothing when it is none of conmon's.
std::optional<ConmonMessage> decode_conmon_message(std::string_view datagram);

}  // namespace fdchain
