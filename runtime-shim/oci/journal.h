// What a runtime says of itself: errors on stderr and in --log, where podman reads them; warnings in --log,
// or where there is none, as far as can be where they are no part of a container's output.
#pragma once

#include <string>
#include <string_view>

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::oci {

class Journal {
 public:
  Journal() = default;

  /// Opens --log for appending. Throws when it cannot.
  explicit Journal(const Command& command);

  /// The one line that says why a call failed: on stderr, and in the log.
  void error(std::string_view text) const;

  /// What the caller should know and need not act upon: in the log; without one, on stderr, or in syslog when
  /// a container's process is left with the same stderr and that is no terminal: under conmon it is what
  /// `podman logs` shows. Where no syslog can be reached it is lost then.
  void warning(std::string_view text) const;

  /// With --debug: in the log; without one, on stderr, where crun and runc have it.
  void debug(std::string_view text) const;

 private:
  [[nodiscard]] std::string line(std::string_view level, std::string_view text) const;
  void append(std::string_view level, std::string_view text) const;

  OwnedFd file_;
  bool json_ = false;
  bool debug_ = false;
  bool shares_stderr_ = false;  ///< with a container's process
  std::string id_;
};

}  // namespace fdchain::oci
