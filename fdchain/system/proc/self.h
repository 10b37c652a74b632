// What this process is and was started with.
#pragma once

#include "fdchain/model/environment.h"
#include "fdchain/model/listen_env.h"

namespace fdchain {

/// The environment of this process.
Environment own_environment();

/// This process as LISTEN_PID and LISTEN_PIDFDID would name it. Four system calls.
Self observe_self();

}  // namespace fdchain
