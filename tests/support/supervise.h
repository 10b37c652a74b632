#pragma once

#include <functional>
#include <string>

namespace fdchain::test {

/// Runs `body` in a child process, with a directory of its own, and lets nothing outlive it: at its end, and
/// when SIGINT, SIGTERM or SIGHUP interrupts, every process that it has left is killed and the directory is
/// removed. What it mounts is mounted for itself alone, and goes with it.
///
/// Returns its exit status, or 128 plus the signal that ended it or this process was interrupted by. A body
/// that throws has said why on stderr, after `program`, and has status 2. Without privileges it has no mounts
/// of its own.
int supervise(const std::string& program, const std::function<int(const std::string& directory)>& body);

}  // namespace fdchain::test
