#include "fdchain/system/process_1.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <string>

namespace fdchain {
namespace {

// Those that by default do not end a process, and SIGKILL, which needs no help.
constexpr std::array harmless{SIGCHLD, SIGCONT, SIGURG,  SIGWINCH, SIGSTOP,
                              SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL};

// Whether the process has said anything about the signal. True when it is gone: nothing is to be done then.
bool has_a_say(pid_t pid, int number) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  unsigned long long said = 0;
  bool found = false;
  for (std::string key; status >> key; status.ignore(4096, '\n')) {
    if (key != "SigBlk:" && key != "SigIgn:" && key != "SigCgt:") continue;
    unsigned long long mask = 0;
    status >> std::hex >> mask;
    said |= mask;
    found = true;
  }
  return !found || (said >> (number - 1) & 1) != 0;
}

}  // namespace

bool would_end_process_1(pid_t pid, int number) {
  return std::ranges::find(harmless, number) == harmless.end() && !has_a_say(pid, number);
}

bool signal_process_1(pid_t pid, int number) {
  const bool ends = would_end_process_1(pid, number);
  ::kill(pid, ends ? SIGKILL : number);
  return ends;
}

}  // namespace fdchain
