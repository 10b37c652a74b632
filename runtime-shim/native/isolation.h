// The isolation of the payload that the shim brings about before it departs; the rest is in the plan.
#pragma once

#include "fdchain/model/environment.h"
#include "fdchain/model/isolation.h"
#include "fdchain/system/exec/find_program.h"

namespace fdchain {

/// Puts this process, or its next child, into the namespaces that are asked for, and furnishes the root file
/// system. The payload's own process is still to enter it.
///
/// Runs in the shim. Throws Failure with a sentence that says what was refused. `environment` is what the
/// payload will get.
void isolate(const Isolation& isolation, const Environment& environment);

/// What the payload will find as its files. Throws Failure when that is no directory.
FileSystem files_of_payload(const Isolation& isolation, const std::string& workdir);

}  // namespace fdchain
