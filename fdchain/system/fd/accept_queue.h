#pragma once

#include <optional>

namespace fdchain {

/// How many clients of a listening socket nobody has accepted yet. Of a unix socket where the kernel has no
/// unix_diag(7), and of vsock, 1 says that there are some. Nothing of what does not listen, or may not be
/// asked.
std::optional<int> waiting_clients(int fd);

}  // namespace fdchain
