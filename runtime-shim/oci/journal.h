// What a runtime says of itself: errors on stderr and in --log, where podman reads them; warnings in --log,
// or on stderr where there is none.
#pragma once

#include <string>
#include <string_view>

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/system/owned_fd.h"

namespace fdchain::oci {

class Journal {
 public:
  Journal() = default;

  /// Opens --log for appending. Throws when it cannot.
  explicit Journal(const Command& command);

  /// The one line that says why a call failed: on stderr, and in the log.
  void error(std::string_view text) const;

  /// What the caller should know and need not act upon: in the log; without one, on stderr. With `create`
  /// that is the container's already: a line among its own is better than confinement that is dropped in
  /// silence.
  void warning(std::string_view text) const;

  /// With --debug.
  void debug(std::string_view text) const;

 private:
  void append(std::string_view level, std::string_view text) const;

  OwnedFd file_;
  bool json_ = false;
  bool debug_ = false;
};

}  // namespace fdchain::oci
