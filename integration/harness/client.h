#pragma once

#include <string>
#include <string_view>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::test {

/// A client of a socket, addressed in the words of `--listen`: `tcp:127.0.0.1:8080`, `unix-dgram:/run/x`.
///
/// Every wait has a deadline and throws when it is over.
class Client {
 public:
  explicit Client(std::string_view address);

  void send(std::string_view text) const;

  /// The next piece of a stream, or the next message; empty at the end.
  [[nodiscard]] std::string receive() const;

  /// As many bytes of a stream as `text` has.
  [[nodiscard]] std::string receive(std::size_t size) const;

  /// Says that nothing more will come; the other side may still answer.
  void end_input() const;

  /// Sends, and returns an answer of the same length.
  [[nodiscard]] std::string ask(std::string_view text) const {
    send(text);
    return receive(text.size());
  }

  [[nodiscard]] const OwnedFd& fd() const { return socket_; }

 private:
  OwnedFd socket_;
};

}  // namespace fdchain::test
