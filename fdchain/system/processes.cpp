#include "fdchain/system/processes.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "fdchain/model/number.h"
#include "fdchain/system/sys.h"

namespace fdchain {

std::vector<pid_t> children_of_this_process() {
  std::ifstream list("/proc/thread-self/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

void end_all_children() {
  while (true) {
    // Usually there is nobody, and this says so for less than a look into /proc.
    while (retry([] { return ::waitpid(-1, nullptr, WNOHANG); }) > 0) {
    }
    if (errno == ECHILD) return;
    bool killed = false;
    // Not yet reaped, so the numbers are still theirs.
    for (const pid_t child : children_of_this_process()) killed |= ::kill(child, SIGKILL) == 0;
    // Wait only for what is sure to end: a child that changed its user may be out of our reach.
    if (retry([&] { return ::waitpid(-1, nullptr, killed ? 0 : WNOHANG); }) <= 0) return;
  }
}

void end_session(pid_t session) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = parse_decimal(entry.path().filename().native(), INT_MAX);
    if (!pid) continue;
    const auto process = static_cast<pid_t>(*pid);
    // The session keeps its number for as long as one process is in it: this cannot hit a stranger's.
    if (::getsid(process) == session) ::kill(process, SIGKILL);
  }
}

}  // namespace fdchain
