#pragma once

#include <string>

namespace fdchain::test {

/// Makes `directory` a root file system with fdchain's payload and, when `with_shell`, busybox as sh and
/// more.
void make_rootfs(const std::string& directory, bool with_shell);

}  // namespace fdchain::test
