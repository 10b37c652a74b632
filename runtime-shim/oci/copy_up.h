#pragma once

#include <string>

namespace fdchain::oci {

/// Copies what the directory `from` has in it into `to`, with owners, modes and symbolic links: podman's
/// option tmpcopyup, by which a tmpfs begins with what it hides. Nothing is followed out of `from`. Sockets
/// and device files stay behind.
void copy_up(int from, int to, const std::string& subject);

}  // namespace fdchain::oci
