#include "fdchain/system/observe_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/told.h"
#include "fdchain/system/arrival.h"
#include "fdchain/system/nofile.h"
#include "fdchain/system/observe.h"
#include "fdchain/system/owned_fd.h"
#include "fdchain/system/pidfd.h"
#include "fdchain/system/processes.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

bool belongs_to_the_chain(std::string_view assignment) {
  return assignment.starts_with("LISTEN_") || assignment.starts_with("_OCI_") ||
         assignment.starts_with(std::string(notify_socket_name) + '=');
}

std::vector<std::string_view> own_assignments() {
  std::vector<std::string_view> assignments;
  for (char** entry = environ; *entry != nullptr; ++entry) assignments.emplace_back(*entry);
  return assignments;
}

std::uint64_t own_ignored_signals() {
  std::uint64_t mask = 0;
  for (int number = 1; number <= 64; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      mask |= std::uint64_t{1} << (number - 1);
  }
  return mask;
}

std::string read_link(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

// All of a file of /proc, which does not say its size.
std::string read_proc(const std::string& path) {
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  while (file && (got = retry([&] { return ::read(file.get(), buffer.data(), buffer.size()); })) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

// What follows `key` on its line of /proc/PID/status, fdinfo or limits, blanks trimmed.
std::string field(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  std::string_view value = text.substr(at + key.size());
  value = value.substr(0, value.find('\n'));
  const std::size_t start = value.find_first_not_of(" \t");
  return start == std::string_view::npos ? std::string() : std::string(value.substr(start));
}

std::uint64_t number_in(const std::string& text, int base) {
  return text.empty() ? 0 : std::strtoull(text.c_str(), nullptr, base);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

std::vector<int> numbers_in(const std::string& directory_path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(directory_path.c_str()), ::closedir);
  std::vector<int> numbers;
  if (!directory) return numbers;
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (const auto number = parse_decimal(entry->d_name, INT_MAX))
      numbers.push_back(static_cast<int>(*number));
  }
  std::ranges::sort(numbers);
  return numbers;
}

// What monitor and runtime are told is told on their command lines; the payload's words are its own.
void read_command_line(const std::string& process, HopRecord& record) {
  if (record.hop != Hop::monitor && record.hop != Hop::runtime_shim) return;
  const std::string text = read_proc(process + "/cmdline");
  const auto words = split(text, '\0');
  record.preserve_fds = told_to_preserve(words);
  record.replaces_listen_pid = told_to_replace_listen_pid(words);
  record.relays_notify = told_to_relay_notifications(words);
}

// A socket that nobody here has: its row, by a copy that is closed again at once. Another object, or a
// refusal, and nothing is known of it but what /proc tells.
FdTable look_at_socket(const OwnedFd& pidfd, int number, const struct stat& status) {
  if (!S_ISSOCK(status.st_mode) || !pidfd) return {};
  const OwnedFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
  auto row = copy ? observe_fd(copy.get()) : std::nullopt;
  if (!row || row->device != status.st_dev || row->inode != status.st_ino) return {};
  return {*std::move(row)};
}

FdTable observe_other_fds(pid_t pid, const std::string& process, const FdTable& known) {
  FdTable table;
  const OwnedFd pidfd(open_pidfd(pid));
  for (const int number : numbers_in(process + "/fd")) {
    const std::string link = process + "/fd/" + std::to_string(number);
    struct stat status {};
    if (::stat(link.c_str(), &status) < 0) continue;  // closed meanwhile
    const std::string info = read_proc(process + "/fdinfo/" + std::to_string(number));
    const auto flags = static_cast<int>(number_in(field(info, "flags:"), 8));
    const RawRow raw{number,        (flags & O_CLOEXEC) != 0 ? FD_CLOEXEC : 0,
                     flags,         status.st_dev,
                     status.st_ino, status.st_mode};
    const FdRow* const own = find_object(known, status.st_dev, status.st_ino);
    FdRow row =
        describe_row(raw, read_link(link), own != nullptr ? known : look_at_socket(pidfd, number, status));
    const bool same =
        own != nullptr && ::syscall(SYS_kcmp, ::getpid(), pid, KCMP_FILE, own->number, number) == 0;
    row.same_as = same ? std::optional(own->number) : std::nullopt;
    table.push_back(std::move(row));
  }
  return table;
}

// Which program a process runs, and in which of its lives: exec lays the environment out anew, at random
// addresses. `in_exec` while there is none; empty when the process has lost its memory, which is the first
// thing that one that ends loses.
constexpr std::string_view in_exec = "0 0";

std::string image_of(const std::string& process) {
  const std::string exe = read_link(process + "/exe");
  const std::string stat = read_proc(process + "/stat");
  const std::size_t name_end = stat.rfind(')');  // a name may hold blanks and brackets
  if (exe.empty() || name_end == std::string::npos) return {};
  const auto fields = split(std::string_view(stat).substr(name_end + 2), ' ');
  // Counted from 1 and the pid, as in proc(5), env_start is the 50th and env_end the 51st.
  if (fields.size() < 49) return {};
  const std::string range = std::string(fields[47]) + ' ' + std::string(fields[48]);
  return range == in_exec ? range : range + ' ' + exe;
}

HopRecord look_at(pid_t pid, Hop hop, const std::string& process, const FdTable& known) {
  HopRecord record;
  record.hop = hop;
  record.exe = read_link(process + "/exe");
  record.time_ns = monotonic_ns();
  record.pid = pid;
  const std::string status = read_proc(process + "/status");
  record.ppid = static_cast<pid_t>(number_in(field(status, "PPid:"), 10));
  record.sid = ::getsid(pid);
  const std::string pids = field(status, "NSpid:");
  record.pid_in_namespace = static_cast<pid_t>(number_in(pids.substr(pids.find_last_of(" \t") + 1), 10));
  record.ignored_signals = signals_of(number_in(field(status, "SigIgn:"), 16));
  const std::string limits = field(read_proc(process + "/limits"), "Max open files");
  char* hard = nullptr;
  record.nofile_soft = std::strtoull(limits.c_str(), &hard, 10);
  record.nofile_hard = std::strtoull(hard, nullptr, 10);
  record.environment = chain_variables(split(read_proc(process + "/environ"), '\0'));
  read_command_line(process, record);
  record.fds = observe_other_fds(pid, process, known);
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
    if (equals == std::string_view::npos || !belongs_to_the_chain(assignment)) continue;
    variables.emplace(assignment.substr(0, equals),
                      assignment.substr(equals + 1));  // the first wins, as for getenv
  }
  return variables;
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
  read_command_line("/proc/self", record);
  record.time_ns = monotonic_ns();
  const Self self = observe_self();
  record.pid = record.pid_in_namespace = self.pid;
  record.pidfdid = self.pidfdid;
  record.ppid = ::getppid();
  record.sid = ::getsid(0);
  record.exe = read_link("/proc/self/exe");
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
  const std::string process = "/proc/" + std::to_string(pid);
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const std::string program = image_of(process);
    if (program.empty()) return std::nullopt;
    if (program != in_exec) {
      HopRecord record = look_at(pid, hop, process, known);
      if (image_of(process) == program) {
        record.moment = moment;
        record.seen_by = seen_by;
        return record;
      }
    }
    ::sched_yield();
  }
  return std::nullopt;
}

std::vector<ProcessRow> observe_children() {
  std::vector<ProcessRow> rows;
  for (const pid_t child : children_of_this_process()) {
    const std::string stat = read_proc("/proc/" + std::to_string(child) + "/stat");
    const std::size_t open = stat.find('(');
    const std::size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) continue;
    rows.push_back({child, stat.substr(close + 2, 1), stat.substr(open + 1, close - open - 1)});
  }
  return rows;
}

}  // namespace fdchain
