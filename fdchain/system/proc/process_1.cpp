#include "fdchain/system/proc/process_1.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain {
namespace {

// Those that by default do not end a process, and SIGKILL, which needs no help.
constexpr std::array harmless{SIGCHLD, SIGCONT, SIGURG,  SIGWINCH, SIGSTOP,
                              SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL};

// All signals when the process is gone: nothing is to be done then.
proc::Masks masks_of(const proc::Process& process) {
  constexpr auto all = ~std::uint64_t{0};
  const auto status = process.status();
  return status ? status->masks : proc::Masks{all, all, all};
}

bool has(std::uint64_t mask, int number) { return (mask >> (number - 1) & 1) != 0; }

// The signals that the process waits for with sigwait(3) or its kin: while it does, the kernel does not show
// them as blocked. Its registers and memory tell, to those who may look.
std::uint64_t waited_for(const proc::Process& process) {
  std::istringstream call(process.text("syscall").value_or(""));
  long number = -1;
  std::string set;
  if (!(call >> number >> set) || number != SYS_rt_sigtimedwait) return 0;
  const OwnedFd memory = process.open("mem");
  std::uint64_t mask = 0;
  const auto address = static_cast<off_t>(std::strtoull(set.c_str(), nullptr, 16));
  return ::pread(memory.get(), &mask, sizeof mask, address) == sizeof mask ? mask : 0;
}

enum class Answer { minds, ends, unsure };

// A shell blocks everything for the moment of a fork, and minds nothing of it: only who goes on blocking
// does. SIGSEGV tells the one from a program that receives its signals in its own way, and leaves that one
// out.
Answer by_masks(const proc::Masks& masks, int number) {
  if (has(masks.caught | masks.ignored, number)) return Answer::minds;
  if (!has(masks.blocked, number)) return Answer::ends;
  return has(masks.blocked, SIGSEGV) ? Answer::unsure : Answer::minds;
}

Answer ask(pid_t pid, int number) {
  const auto process = proc::Process::find(pid);
  if (!process) return Answer::minds;
  const Answer before = by_masks(masks_of(*process), number);
  if (before != Answer::ends) return before;
  if (has(waited_for(*process), number)) return Answer::minds;
  // Again, since one that begins or ends to wait in between would be seen doing neither.
  return by_masks(masks_of(*process), number);
}

bool is_harmless(int number) { return std::ranges::find(harmless, number) != harmless.end(); }

// How long a block of everything can be that of a fork, and how often it is looked at then.
constexpr std::chrono::milliseconds short_block{500};
constexpr std::chrono::milliseconds longest_pause{16};

}  // namespace

bool minds_signal(pid_t pid, int number) { return ask(pid, number) == Answer::minds; }

Process1::Process1(pid_t pid) : Process1(pid, [pid](int number) { ::kill(pid, number); }) {}

void Process1::signal(int number) {
  const Answer answer = is_harmless(number) ? Answer::minds : ask(pid_, number);
  if (answer == Answer::ends) return end_by(number);
  // While it is blocked it waits there, and who receives signals in its own way has it at once.
  send_(number);
  if (answer == Answer::minds) return;
  std::erase_if(unsure_, [number](const Unsure& unsure) { return unsure.number == number; });
  unsure_.push_back({number, short_block});
  look_after(std::chrono::milliseconds(1));
}

// A signal that was blocked, and is not any more, has been dropped by the kernel if nobody minds it.
void Process1::look_again() {
  if (std::chrono::steady_clock::now() < due_) return;
  for (Unsure& unsure : std::exchange(unsure_, {})) {
    const Answer answer = ask(pid_, unsure.number);
    if (answer == Answer::ends) end_by(unsure.number);
    unsure.left -= pause_;
    if (answer == Answer::unsure && unsure.left.count() > 0) unsure_.push_back(unsure);
  }
  look_after(std::min(2 * pause_, longest_pause));
}

void Process1::look_after(std::chrono::milliseconds pause) {
  pause_ = pause;
  due_ = after(pause);
}

void Process1::end_by(int number) {
  send_(SIGKILL);
  if (fatal_ == 0) fatal_ = number;
}

}  // namespace fdchain
