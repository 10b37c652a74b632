#pragma once

#include <string>
#include <vector>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::oci {

/// Makes sure that this process's executable cannot be written to by way of /proc/PID/exe, which whoever is
/// in a pid namespace with it can open (CVE-2019-5736): if it can, executes itself once more from where it
/// cannot, with these `words` behind its name and with the descriptors 0 … 2+`preserved` and `handed`, and
/// does not return then. `argv` is main's: its first word tells a second round.
///
/// Where the kernel allows it the new image is a read-only mount of the same file that is nowhere to be seen,
/// which copies nothing; else it is a sealed copy in memory. Throws Failure when neither can be had.
void protect_own_executable(const std::vector<std::string>& words, char** argv, int preserved,
                            const OwnedFd& handed);

}  // namespace fdchain::oci
