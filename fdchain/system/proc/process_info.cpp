#include "fdchain/system/proc/process_info.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>

#include "fdchain/model/number.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::proc {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

// The entries that are numbers, ascending.
std::vector<int> numbers_of(Directory directory) {
  std::vector<int> numbers;
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (const auto number = parse_decimal(entry->d_name, INT_MAX))
      numbers.push_back(static_cast<int>(*number));
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::optional<std::string> read_text(const OwnedFd& file) {
  std::string text;
  std::array<char, 16384> buffer{};
  while (file && text.size() < Process::longest_text) {
    const std::size_t room = std::min(buffer.size(), Process::longest_text - text.size());
    const ssize_t got = retry([&] { return ::read(file.get(), buffer.data(), room); });
    if (got < 0) return std::nullopt;
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return file ? std::optional(std::move(text)) : std::nullopt;
}

std::optional<std::vector<std::string>> strings_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const auto strings = split_strings(*text);
  return std::vector<std::string>(strings.begin(), strings.end());
}

}  // namespace

std::optional<Process> Process::open_directory(pid_t pid, const std::string& path) {
  OwnedFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return std::nullopt;
  return Process(pid, std::move(directory));
}

std::optional<Process> Process::find(pid_t pid) {
  return open_directory(pid, "/proc/" + std::to_string(pid));
}

std::optional<Process> Process::self() { return open_directory(::getpid(), "/proc/self"); }

bool Process::exists() const { return ::faccessat(directory_.get(), "stat", F_OK, 0) == 0; }

OwnedFd Process::open(const std::string& name, int flags) const {
  return OwnedFd(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | flags));
}

std::optional<std::string> Process::text(const std::string& name) const { return read_text(open(name)); }

std::string Process::link(const std::string& name) const {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlinkat(directory_.get(), name.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

std::optional<struct stat> Process::look(const std::string& name) const {
  struct stat status {};
  if (::fstatat(directory_.get(), name.c_str(), &status, 0) < 0) return std::nullopt;
  return status;
}

std::optional<Stat> Process::stat() const {
  const auto read = text("stat");
  return read ? parse_stat(*read) : std::nullopt;
}

std::optional<Status> Process::status() const {
  const auto read = text("status");
  return read ? parse_status(*read) : std::nullopt;
}

std::optional<Nofile> Process::nofile() const {
  const auto read = text("limits");
  return read ? parse_nofile(*read) : std::nullopt;
}

std::optional<std::vector<std::string>> Process::command_line() const { return strings_of(text("cmdline")); }

std::optional<std::vector<std::string>> Process::environment() const { return strings_of(text("environ")); }

std::optional<uid_t> Process::owner() const {
  const auto directory = look(".");
  return directory ? std::optional(directory->st_uid) : std::nullopt;
}

std::optional<NamespaceId> Process::space(const std::string& name) const {
  const auto status = look("ns/" + name);
  return status ? std::optional(NamespaceId{status->st_dev, status->st_ino}) : std::nullopt;
}

std::optional<std::vector<int>> Process::numbers_in(const std::string& name) const {
  OwnedFd entries = open(name, O_DIRECTORY);
  if (!entries) return std::nullopt;
  Directory directory(::fdopendir(entries.get()), ::closedir);
  if (!directory) return std::nullopt;
  (void)entries.release();  // the stream's now
  return numbers_of(std::move(directory));
}

std::optional<std::vector<int>> Process::descriptors() const { return numbers_in("fd"); }

std::optional<std::vector<pid_t>> Process::children() const {
  const auto threads = numbers_in("task");
  if (!threads) return std::nullopt;
  std::vector<pid_t> children;
  bool known = false;
  for (const int thread : *threads) {
    const auto list = text("task/" + std::to_string(thread) + "/children");
    if (!list) continue;  // the thread has ended
    known = true;
    std::string_view rest = *list;
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      if (const auto child = parse_decimal(word, INT_MAX)) children.push_back(static_cast<pid_t>(*child));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
  }
  return known ? std::optional(std::move(children)) : std::nullopt;
}

OwnedFd Process::pidfd() const {
  OwnedFd pidfd(open_pidfd(pid_));
  // What still exists had its number when the descriptor was made.
  if (pidfd && !exists()) return {};
  return pidfd;
}

std::vector<pid_t> all_processes() {
  Directory directory(::opendir("/proc"), ::closedir);
  return directory ? numbers_of(std::move(directory)) : std::vector<pid_t>{};
}

namespace {

// Whether there is something mapped; in a memory that its last user has left there is nothing.
bool is_alive(const OwnedFd& maps) {
  char byte = 0;
  return retry([&] { return ::pread(maps.get(), &byte, 1, 0); }) == 1;
}

}  // namespace

std::optional<Life> Life::of(const Process& process) {
  errno = 0;
  OwnedFd maps = process.open("maps");
  std::string program = process.link("exe");
  const auto stat = process.stat();
  if (!maps || program.empty() || !stat) return std::nullopt;
  // In exec there is no environment yet.
  const bool begins = stat->environment_start == 0 && stat->environment_end == 0;
  if (begins || !is_alive(maps)) {
    errno = EAGAIN;
    return std::nullopt;
  }
  return Life(std::move(maps), std::move(program), *stat);
}

bool Life::goes_on(const Process& process) const {
  const auto now = process.stat();
  // Where the memory is shared it outlives an exec: then that one is the first since the fork, or the program
  // or the addresses change.
  const auto same = [&](auto member) { return (*now).*member == stat_.*member; };
  return now && is_alive(maps_) && process.link("exe") == program_ && same(&Stat::has_executed) &&
         same(&Stat::start_time) && same(&Stat::environment_start) && same(&Stat::environment_end);
}

}  // namespace fdchain::proc
