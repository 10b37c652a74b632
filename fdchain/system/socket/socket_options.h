// What systemd.socket(5) lets an activator set on a socket beside its address.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/listen_spec.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

// Both throw std::system_error naming the option, and return a sentence for each that the kernel did not
// grant and that is none to fail for: a buffer's size beyond the limit, anything that a unit asks for.

/// Sets what has to be set before bind(2).
std::vector<std::string> set_options_before_bind(const OwnedFd& socket, const ListenSpec& spec);

/// Sets everything else.
std::vector<std::string> set_options_after_bind(const OwnedFd& socket, const ListenSpec& spec);

}  // namespace fdchain
