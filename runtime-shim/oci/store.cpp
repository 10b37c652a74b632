#include "runtime-shim/oci/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain::oci {
namespace {

namespace fs = std::filesystem;

constexpr std::array entry_files{"state.json", "config.json", "exec.fifo"};

void make_directories(const std::string& path) {
  std::error_code error;
  // As fdchain's own: what containers there are is nobody else's business.
  const mode_t before = ::umask(0077);
  fs::create_directories(path, error);
  ::umask(before);
  if (error) throw Failure("--root " + printable(path) + ": " + error.message());
}

// One of them, or a temporary file of a writer of it that was killed.
bool is_own_file(const std::string& name) {
  return std::ranges::find(entry_files, name) != entry_files.end() || is_name_beside(name);
}

OwnedFd open_directory(const std::string& path) {
  return OwnedFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

}  // namespace

void check_id(const std::string& id) {
  if (const std::string_view problem = problem_of_id(id); !problem.empty())
    throw Failure("container '" + printable(id) + "': not an id: " + std::string(problem));
}

std::string state_root(const Command& command) {
  // Absolute: a call from another directory has to find it.
  if (!command.root.empty()) return fs::absolute(command.root).lexically_normal();
  const char* const runtime_directory = ::getenv("XDG_RUNTIME_DIR");
  // podman sets it to nothing for root. And for root it is ignored: sudo and su leave the caller's.
  if (::geteuid() == 0 || runtime_directory == nullptr || *runtime_directory != '/') return "/run/fdchain";
  return std::string(runtime_directory) + "/fdchain";
}

Entry Entry::make(const std::string& root, const std::string& id) {
  check_id(id);
  make_directories(root);
  const std::string path = root + '/' + id;
  if (::mkdir(path.c_str(), 0700) < 0) {
    if (errno == EEXIST) throw Failure("container " + id + ": it already exists");
    fail(errno, "mkdir", path);
  }
  Entry entry(id, path, open_directory(path));
  if (!entry.directory_) fail(errno, "open", path);
  if (!entry.lock()) throw Failure("container " + id + ": deleted while it was being made");
  return entry;
}

std::optional<Entry> Entry::find(const std::string& root, const std::string& id) {
  check_id(id);
  std::string path = root + '/' + id;
  OwnedFd directory = open_directory(path);
  if (directory) return Entry(id, std::move(path), std::move(directory));
  if (errno != ENOENT) fail(errno, "open", path);
  return std::nullopt;
}

Entry Entry::at(const std::string& root, const std::string& id) {
  auto found = find(root, id);
  // podman and containerd look for "does not exist".
  if (!found) throw Failure("container " + id + ": it does not exist in " + printable(root));
  return std::move(*found);
}

bool Entry::lock() const {
  check(retry([&] { return ::flock(directory_.get(), LOCK_EX); }), "flock", directory_path_);
  struct stat held {};
  struct stat found {};
  check(::fstat(directory_.get(), &held), "fstat", directory_path_);
  return ::stat(directory_path_.c_str(), &found) == 0 && held.st_dev == found.st_dev &&
         held.st_ino == found.st_ino;
}

void Entry::unlock() const { check(::flock(directory_.get(), LOCK_UN), "flock", directory_path_); }

void Entry::write(const std::string& name, std::string_view content) const {
  try {
    write_file_atomically(file(name), content);
  } catch (const std::system_error& error) {
    // By the name that the caller knows.
    throw std::system_error(error.code(), "write " + path(name));
  }
}

std::string Entry::read(const std::string& name) const {
  return read_small_file(file(name), config_max, path(name));
}

std::optional<State> Entry::state() const {
  try {
    return decode_state(read("state.json"), path("state.json"));
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    return std::nullopt;
  }
}

bool Entry::remove() const {
  std::error_code ignored;
  for (const auto& left : fs::directory_iterator(file(""), ignored)) {
    const std::string name = left.path().filename();
    if (is_own_file(name)) ::unlinkat(directory_.get(), name.c_str(), 0);
  }
  return ::rmdir(directory_path_.c_str()) == 0 || errno != ENOTEMPTY;
}

std::vector<std::string> all_ids(const std::string& root) {
  std::vector<std::string> ids;
  std::error_code error;
  for (fs::directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (problem_of_id(name).empty()) ids.push_back(name);
  }
  if (error && error != std::errc::no_such_file_or_directory)
    throw Failure("--root " + printable(root) + ": " + error.message());
  std::ranges::sort(ids);
  return ids;
}

std::optional<std::uint64_t> start_time_of(pid_t pid) {
  const auto process = proc::Process::find(pid);
  const auto stat = process ? process->stat() : std::nullopt;
  if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return stat->start_time;
}

Status status_of(const Entry& entry, const State& state) {
  if (start_time_of(state.pid) != state.start_time) return Status::stopped;
  return ::access(entry.fifo().c_str(), F_OK) == 0 ? Status::created : Status::running;
}

std::string read_small_file(const std::string& path, std::size_t most, const std::string& subject) {
  // Not waiting for the writer of a FIFO.
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) fail(errno, "open", subject);
  struct stat status {};
  check(::fstat(file.get(), &status), "fstat", subject);
  if (!S_ISREG(status.st_mode)) throw Failure(printable(subject) + ": not a regular file");
  if (static_cast<std::size_t>(status.st_size) > most)
    throw Failure(printable(subject) + ": " + std::to_string(status.st_size) + " bytes, more than the " +
                  std::to_string(most) + " that are read");
  return read_all(file.get(), subject, most);
}

}  // namespace fdchain::oci
