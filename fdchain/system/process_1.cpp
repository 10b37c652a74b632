#include "fdchain/system/process_1.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "fdchain/system/owned_fd.h"

namespace fdchain {
namespace {

// Those that by default do not end a process, and SIGKILL, which needs no help.
constexpr std::array harmless{SIGCHLD, SIGCONT, SIGURG,  SIGWINCH, SIGSTOP,
                              SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL};

/// The masks of /proc/PID/status. All signals when the process is gone: nothing is to be done then.
struct Masks {
  unsigned long long blocked = 0;
  unsigned long long handled = 0;  ///< caught or ignored
};

Masks masks_of(const std::string& process) {
  std::ifstream status(process + "/status");
  Masks masks;
  bool found = false;
  for (std::string key; status >> key; status.ignore(4096, '\n')) {
    if (key != "SigBlk:" && key != "SigIgn:" && key != "SigCgt:") continue;
    unsigned long long mask = 0;
    status >> std::hex >> mask;
    (key == "SigBlk:" ? masks.blocked : masks.handled) |= mask;
    found = true;
  }
  return found ? masks : Masks{~0ULL, ~0ULL};
}

unsigned long long shown(const std::string& process) {
  const Masks masks = masks_of(process);
  return masks.blocked | masks.handled;
}

bool has(unsigned long long mask, int number) { return (mask >> (number - 1) & 1) != 0; }

// A shell blocks everything for the moment of a fork, and minds nothing of it: only who goes on blocking
// does. SIGSEGV tells the one from a program that receives its signals in its own way, and leaves that one
// out.
void wait_out_short_block(const std::string& process, int number) {
  constexpr int looks = 500;
  constexpr timespec pause{0, 1'000'000};
  for (int look = 0; look < looks; ++look) {
    const Masks masks = masks_of(process);
    if (has(masks.handled, number) || !has(masks.blocked, number) || !has(masks.blocked, SIGSEGV)) return;
    ::nanosleep(&pause, nullptr);
  }
}

// The signals that the process waits for with sigwait(3) or its kin: while it does, the kernel does not show
// them as blocked. Its registers and memory tell, to those who may look.
unsigned long long waited_for(const std::string& process) {
  std::ifstream call(process + "/syscall");
  long number = -1;
  std::string set;
  if (!(call >> number >> set) || number != SYS_rt_sigtimedwait) return 0;
  const OwnedFd memory(::open((process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  unsigned long long mask = 0;
  const auto address = static_cast<off_t>(std::strtoull(set.c_str(), nullptr, 16));
  return ::pread(memory.get(), &mask, sizeof mask, address) == sizeof mask ? mask : 0;
}

}  // namespace

bool minds_signal(pid_t pid, int number) {
  const std::string process = "/proc/" + std::to_string(pid);
  const auto is_in = [number](unsigned long long mask) { return has(mask, number); };
  wait_out_short_block(process, number);
  // Twice, since one that begins or ends to wait in between would be seen doing neither.
  return is_in(shown(process)) || is_in(waited_for(process)) || is_in(shown(process));
}

bool would_end_process_1(pid_t pid, int number) {
  return std::ranges::find(harmless, number) == harmless.end() && !minds_signal(pid, number);
}

bool signal_process_1(pid_t pid, int number) {
  const bool ends = would_end_process_1(pid, number);
  ::kill(pid, ends ? SIGKILL : number);
  return ends;
}

}  // namespace fdchain
