#include "fdchain/system/proc/observe_process.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "fdchain/model/object_index.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/told.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/nofile.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/process_info.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/proc/self.h"

namespace fdchain {
namespace {

std::vector<std::string_view> own_assignments() {
  std::vector<std::string_view> assignments;
  for (char** entry = environ; *entry != nullptr; ++entry) assignments.emplace_back(*entry);
  return assignments;
}

// 32 and 33: glibc's posix_spawn(3) leaves them ignored, and neither shows them to a program nor lets it
// change them.
constexpr std::uint64_t c_librarys_own = std::uint64_t{3} << 31U;

std::uint64_t own_ignored_signals() {
  std::uint64_t mask = 0;
  for (int number = 1; number <= 64; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      mask |= std::uint64_t{1} << (number - 1);
  }
  return mask;
}

// The payload's words are its own, and the launcher's are a command's.
void read_command_line(const proc::Process& process, HopRecord& record) {
  if (record.hop != Hop::monitor && record.hop != Hop::runtime_shim) return;
  take_told(record, process.command_line().value_or(std::vector<std::string>{}));
}

// The name that the kernel was told to execute, which it keeps 15 bytes of; whole, where a word of the
// command line has it. Of a script that is the script's, not the interpreter's.
std::string program_name(const proc::Process& process) {
  const auto stat = process.stat();
  if (!stat) return {};
  for (const std::string& word : process.command_line().value_or(std::vector<std::string>{})) {
    const std::string_view name = std::string_view(word).substr(word.rfind('/') + 1);
    if (!stat->command.empty() && name.starts_with(stat->command)) return std::string(name);
  }
  return stat->command;
}

/// Looks at another process's descriptors, one by one.
class Onlooker {
 public:
  Onlooker(const proc::Process& process, const FdTable& known)
      : process_(process), known_(known), pidfd_(process.pidfd()) {}

  /// Nothing when it has been closed meanwhile.
  [[nodiscard]] std::optional<FdRow> row_at(int number) const {
    const std::string link = "fd/" + std::to_string(number);
    const auto status = process_.look(link);
    const auto flags = status ? flags_of(number) : std::nullopt;
    if (!flags) return std::nullopt;
    const RawRow raw{number,         (*flags & O_CLOEXEC) != 0 ? FD_CLOEXEC : 0,
                     *flags,         status->st_dev,
                     status->st_ino, status->st_mode};
    const FdRow* const own = known_.first_like(status->st_dev, status->st_ino);
    const auto socket = own == nullptr ? look_at_socket(raw) : std::nullopt;
    FdRow row = describe_row(raw, own == nullptr ? process_.link(link) : "",
                             own != nullptr ? own : to_pointer(socket));
    if (own != nullptr && row.socket) row.socket->listening = listens(raw).value_or(row.socket->listening);
    row.same_as = own != nullptr && is_same(*own, number) ? std::optional(own->number) : std::nullopt;
    return row;
  }

 private:
  static const FdRow* to_pointer(const std::optional<FdRow>& row) { return row ? &*row : nullptr; }

  [[nodiscard]] std::optional<int> flags_of(int number) const {
    const auto info = process_.text("fdinfo/" + std::to_string(number));
    const auto text = info ? proc::value_of(*info, "flags:") : std::nullopt;
    if (!text) return std::nullopt;
    return static_cast<int>(std::strtoull(std::string(*text).c_str(), nullptr, 8));
  }

  // A copy of the descriptor, if it is still this object.
  [[nodiscard]] OwnedFd copy_of(const RawRow& raw) const {
    if (!S_ISSOCK(raw.mode) || !pidfd_) return {};
    OwnedFd copy(copy_descriptor(pidfd_.get(), raw.number));
    struct stat status {};
    const bool is_same = copy && ::fstat(copy.get(), &status) == 0 && status.st_dev == raw.device &&
                         status.st_ino == raw.inode;
    return is_same ? std::move(copy) : OwnedFd();
  }

  // A socket that nobody here has: its row, by a copy that is closed again at once. Another object, or a
  // refusal, and nothing is known of it but what /proc tells.
  [[nodiscard]] std::optional<FdRow> look_at_socket(const RawRow& raw) const {
    const OwnedFd copy = copy_of(raw);
    return copy ? observe_fd(copy.get()) : std::nullopt;
  }

  // Of all that is known of a socket, this can have changed.
  [[nodiscard]] std::optional<bool> listens(const RawRow& raw) const {
    const OwnedFd copy = copy_of(raw);
    int listening = 0;
    socklen_t size = sizeof listening;
    if (!copy || ::getsockopt(copy.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
      return std::nullopt;
    return listening != 0;
  }

  // By number, there being no other way: whoever looks has to see afterwards that the process still exists.
  [[nodiscard]] bool is_same(const FdRow& own, int number) const {
    return ::syscall(SYS_kcmp, ::getpid(), process_.pid(), KCMP_FILE, own.number, number) == 0;
  }

  const proc::Process& process_;
  ObjectIndex known_;
  OwnedFd pidfd_;
};

std::optional<HopRecord> look_at(const proc::Process& process, Hop hop, const FdTable& known) {
  const auto status = process.status();
  const auto nofile = process.nofile();
  const auto environment = process.environment();
  const auto descriptors = process.descriptors();
  if (!status || !nofile || !environment || !descriptors) return std::nullopt;
  HopRecord record;
  record.hop = hop;
  record.exe = process.link("exe");
  record.program = program_name(process);
  record.time_ns = monotonic_ns();
  record.pid = process.pid();
  record.ppid = status->parent;
  record.sid = ::getsid(process.pid());
  record.pid_in_namespace = status->pid_in_namespace;
  record.ignored_signals = signals_of(status->masks.ignored & ~c_librarys_own);
  record.nofile_soft = nofile->soft;
  record.nofile_hard = nofile->hard;
  record.environment = chain_variables({environment->begin(), environment->end()});
  read_command_line(process, record);
  const Onlooker onlooker(process, known);
  for (const int number : *descriptors) {
    if (auto row = onlooker.row_at(number)) record.fds.push_back(std::move(*row));
  }
  return record;
}

}  // namespace

std::uint64_t monotonic_ns() {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::map<std::string, std::string> chain_variables(const std::vector<std::string_view>& assignments) {
  std::map<std::string, std::string> variables;
  for (const std::string_view assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string_view::npos || !is_chain_variable(assignment.substr(0, equals))) continue;
    variables.emplace(assignment.substr(0, equals),
                      assignment.substr(equals + 1));  // the first wins, as for getenv
  }
  return variables;
}

void take_told(HopRecord& record, const std::vector<std::string>& command_line) {
  const std::vector<std::string_view> words(command_line.begin(), command_line.end());
  record.preserve_fds = told_to_preserve(words);
  record.counts_sockets = told_to_count_sockets(words);
  record.replaces_listen_pid = told_to_replace_listen_pid(words);
  record.relays_notify = told_to_relay_notifications(words);
}

std::vector<int> signals_of(std::uint64_t mask) {
  std::vector<int> numbers;
  for (int number = 1; number <= 64; ++number) {
    if ((mask >> (number - 1) & 1) != 0) numbers.push_back(number);
  }
  return numbers;
}

HopRecord observe_process(Hop hop, Moment moment) {
  const RaisedNofile room;
  HopRecord record;
  record.hop = record.seen_by = hop;
  record.moment = moment;
  record.fds = observe_fds();
  const auto self_info = proc::Process::self();
  if (self_info) read_command_line(*self_info, record);
  record.time_ns = monotonic_ns();
  const Self self = observe_self();
  record.pid = record.pid_in_namespace = self.pid;
  record.pidfdid = self.pidfdid;
  record.ppid = ::getppid();
  record.sid = ::getsid(0);
  if (self_info) record.exe = self_info->link("exe");
  if (self_info) record.program = program_name(*self_info);
  record.environment = chain_variables(own_assignments());
  record.nofile_soft = room.before().rlim_cur;
  record.nofile_hard = room.before().rlim_max;
  record.ignored_signals = signals_of(own_ignored_signals());
  return record;
}

std::optional<HopRecord> observe_other(pid_t pid, Hop hop, Moment moment, Hop seen_by, const FdTable& known) {
  // Half a record of one program and half of the next would be a false one; one that changes faster than it
  // can be read is left out.
  constexpr int attempts = 100;
  const auto process = proc::Process::find(pid);
  for (int attempt = 0; process && attempt < attempts; ++attempt) {
    const auto life = proc::Life::of(*process);
    if (!life && errno != EAGAIN) return std::nullopt;
    auto record = life ? look_at(*process, hop, known) : std::nullopt;
    if (record && life->goes_on(*process)) {
      record->moment = moment;
      record->seen_by = seen_by;
      return record;
    }
    ::sched_yield();
  }
  return std::nullopt;
}

std::vector<ProcessRow> observe_children() {
  std::vector<ProcessRow> rows;
  for (const pid_t child : children_of_this_process()) {
    const auto process = proc::Process::find(child);
    const auto stat = process ? process->stat() : std::nullopt;
    if (stat) rows.push_back({child, std::string(1, stat->state), stat->command});
  }
  return rows;
}

}  // namespace fdchain
