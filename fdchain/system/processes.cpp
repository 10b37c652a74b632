#include "fdchain/system/processes.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "fdchain/model/number.h"
#include "fdchain/system/sys.h"

namespace fdchain {

namespace {

// The parent's number in /proc/PID/stat: the second word behind the command's name, which is in parentheses
// and may have any in itself.
pid_t parent_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const std::size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream words(stat.substr(end_of_name + 1));
  std::string state;
  pid_t parent = 0;
  words >> state >> parent;
  return parent;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> processes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = parse_decimal(entry.path().filename().native(), INT_MAX);
    if (pid) processes.push_back(static_cast<pid_t>(*pid));
  }
  return processes;
}

// Kills a child and reaps it; whether that worked. Waits only for what is sure to end.
bool end_child(pid_t child, int& killed) {
  // Not yet reaped, so the number is still its own.
  const bool will_end = ::kill(child, SIGKILL) == 0;
  int status = 0;
  if (retry([&] { return ::waitpid(child, &status, will_end ? 0 : WNOHANG); }) <= 0) return false;
  killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
  return true;
}

}  // namespace

std::vector<pid_t> children_of_this_process() {
  std::ifstream list("/proc/thread-self/children");
  if (!list) return children_by_search();
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

std::vector<pid_t> children_by_search() {
  std::vector<pid_t> children;
  for (const pid_t pid : all_processes()) {
    if (parent_of(pid) == ::getpid()) children.push_back(pid);
  }
  return children;
}

std::vector<pid_t> processes_with_argument(std::string_view word) {
  std::vector<pid_t> found;
  for (const pid_t pid : all_processes()) {
    std::ifstream command_line("/proc/" + std::to_string(pid) + "/cmdline");
    for (std::string one; std::getline(command_line, one, '\0');) {
      if (one != word) continue;
      found.push_back(pid);
      break;
    }
  }
  return found;
}

bool has_children() {
  siginfo_t info{};
  return retry([&] { return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT); }) == 0;
}

int end_all_children(std::span<const pid_t> spared) {
  int killed = 0;
  // Usually there is nobody, and this says so for less than a look into /proc. A child that ends leaves its
  // own to this process, so look again until there is no more to do.
  for (bool again = true; again && has_children();) {
    again = false;
    for (const pid_t child : children_of_this_process()) {
      if (std::ranges::find(spared, child) == spared.end()) again |= end_child(child, killed);
    }
  }
  return killed;
}

}  // namespace fdchain
