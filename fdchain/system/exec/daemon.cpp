#include "fdchain/system/exec/daemon.h"

#include <unistd.h>

#include "fdchain/system/fd/sys.h"

namespace fdchain {

pid_t split_process() { return check(::fork(), "fork"); }

void leave_at_once(int status) noexcept { ::_exit(status); }

}  // namespace fdchain
