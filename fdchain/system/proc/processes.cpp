#include "fdchain/system/proc/processes.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain {
namespace {

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

pid_t parent_of(pid_t pid) {
  const auto process = proc::Process::find(pid);
  const auto stat = process ? process->stat() : std::nullopt;
  return stat ? stat->parent : 0;
}

std::vector<pid_t> children_of_this_process() {
  const auto self = proc::Process::self();
  const auto children = self ? self->children() : std::nullopt;
  return children ? *children : children_by_search();
}

std::vector<pid_t> children_by_search() {
  std::vector<pid_t> children;
  for (const pid_t pid : proc::all_processes()) {
    if (parent_of(pid) == ::getpid()) children.push_back(pid);
  }
  return children;
}

bool is_child(pid_t pid) {
  siginfo_t info{};
  return retry([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT); }) ==
         0;
}

bool is_descendant(pid_t pid) {
  const pid_t self = ::getpid();
  for (pid_t process = parent_of(pid); process > 0; process = parent_of(process)) {
    if (process == self) return true;
  }
  return false;
}

std::vector<proc::Process> processes_with_argument(std::string_view word) {
  std::vector<proc::Process> found;
  for (const pid_t pid : proc::all_processes()) {
    auto process = proc::Process::find(pid);
    const auto words = process ? process->command_line() : std::nullopt;
    if (words && std::ranges::find(*words, word) != words->end()) found.push_back(std::move(*process));
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
