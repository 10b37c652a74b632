#include "monitor/conmon/streams/container_log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/log.h"
#include "fdchain/protocol/k8s_log.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fd/unix_socket.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

// What conmon counts for an entry besides its line: the stamp, the stream's name and the spaces.
constexpr std::int64_t entry_overhead = 45;

constexpr mode_t log_mode = 0640;

// As much as systemd's own clients ask for: a burst shall not wait.
constexpr int journal_room = 8 << 20;

// How long a journal that takes nothing any more can hold up the end of its container.
constexpr std::chrono::seconds journal_patience{5};

constexpr const char* journal_socket = "/run/systemd/journal/socket";

/// Where a log really is, if that is below one of `directories`.
std::string allowed_path(const std::string& path, const std::vector<std::string>& directories) {
  namespace fs = std::filesystem;
  const fs::path log = fs::weakly_canonical(fs::absolute(path));
  const bool allowed = std::ranges::any_of(directories, [&](const std::string& directory) {
    const fs::path base = (fs::weakly_canonical(fs::absolute(directory)) / "").parent_path();
    return std::mismatch(base.begin(), base.end(), log.begin(), log.end()).first == base.end();
  });
  if (!allowed) throw Failure("--log-path " + printable(path) + ": not below any --log-allowlist-dir");
  return log;
}

}  // namespace

K8sFile::K8sFile(std::string path, const ConmonOptions& options)
    : path_(std::move(path)),
      size_max_(options.log_size_max.value_or(-1)),
      global_size_max_(options.log_global_size_max.value_or(-1)),
      files_kept_(options.log_rotate
                      ? static_cast<int>(std::max<std::int64_t>(1, options.log_max_files.value_or(1)))
                      : 0) {
  const bool restricted = !options.log_allowlist_dirs.empty();
  if (restricted) path_ = allowed_path(path_, options.log_allowlist_dirs);
  // A link to what is not there yet is none that could be followed to look where it leads.
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | (restricted ? O_NOFOLLOW : 0);
  file_ = OwnedFd(check(::open(path_.c_str(), flags, log_mode), "Failed to open log file", path_));
}

void K8sFile::write(AttachStream stream, std::string_view bytes) {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::string stamp = k8s_stamp(now);
  std::string entries;
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const bool whole = newline != std::string_view::npos;
    const std::string_view line = bytes.substr(0, whole ? newline + 1 : bytes.size());
    const std::int64_t size = static_cast<std::int64_t>(line.size()) + entry_overhead + (whole ? 0 : 1);
    if (global_size_max_ > 0 && written_in_all_ >= global_size_max_) break;
    if (size_max_ > 0 && written_ + size > size_max_) {
      write_all(file_.get(), std::exchange(entries, {}), path_);
      start_anew();
    }
    entries += k8s_entries(stamp, to_string(stream), line);
    written_ += size;
    written_in_all_ += size;
    bytes.remove_prefix(line.size());
  }
  write_all(file_.get(), entries, path_);
}

// At every moment that this process can help it there is a log at the path.
void K8sFile::start_anew() {
  FileBeside fresh = create_beside(path_, O_WRONLY | O_APPEND, log_mode, "open");
  try {
    if (files_kept_ > 0) rotate();
    check(::rename(fresh.name.c_str(), path_.c_str()), "rename", path_);
  } catch (...) {
    ::unlink(fresh.name.c_str());
    throw;
  }
  file_ = std::move(fresh.file);
  written_ = 0;
}

// FILE.1 is the youngest.
void K8sFile::rotate() const {
  if (::access(path_.c_str(), F_OK) < 0 && errno == ENOENT) return;  // somebody has moved it away already
  const auto name = [&](int number) { return path_ + '.' + std::to_string(number); };
  for (int number = files_kept_ - 1; number >= 1; --number) {
    if (::rename(name(number).c_str(), name(number + 1).c_str()) < 0 && errno != ENOENT)
      fail(errno, "rename", name(number));
  }
  keep_as(name(1));
}

// By a second name: the file is at its path until the fresh one takes that.
void K8sFile::keep_as(const std::string& name) const {
  if (::unlink(name.c_str()) < 0 && errno != ENOENT) fail(errno, "unlink", name);
  if (::link(path_.c_str(), name.c_str()) == 0) return;
  // A file system that knows one name for a file.
  if (errno != EPERM && errno != EOPNOTSUPP) fail(errno, "link", name);
  check(::rename(path_.c_str(), name.c_str()), "rename", path_);
}

void K8sFile::sync() const {
  // A file that cannot be synced, a pipe say, has nothing to lose at a power cut either.
  (void)!::fsync(file_.get());
}

JournalLog::JournalLog(const ConmonOptions& options)
    : says_partial_(!options.no_container_partial_message),
      socket_(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "journal")) {
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &journal_room, sizeof journal_room) < 0)
    (void)!::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &journal_room, sizeof journal_room);
  const std::string id = options.cuuid.value_or("");
  const std::string short_id = id.substr(0, 12);
  fields_ = journal_field("CONTAINER_ID_FULL", id) + journal_field("CONTAINER_ID", short_id);
  if (options.log_tag) fields_ += journal_field("CONTAINER_TAG", *options.log_tag);
  if (options.name) fields_ += journal_field("CONTAINER_NAME", *options.name);
  fields_ += journal_field("SYSLOG_IDENTIFIER", options.log_tag.value_or(options.name.value_or(short_id)));
  for (const std::string& label : options.log_labels) {
    const std::size_t equals = label.find('=');  // parse_conmon_logs() has looked for it
    fields_ += journal_field(label.substr(0, equals), label.substr(equals + 1));
  }
}

void JournalLog::write(AttachStream stream, std::string_view bytes) {
  Partial& partial = stream == AttachStream::err ? err_ : out_;
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const bool whole = newline != std::string_view::npos;
    partial.bytes += bytes.substr(0, newline);
    bytes.remove_prefix(whole ? newline + 1 : bytes.size());
    if (!whole && partial.bytes.size() < k8s_read_size) break;
    keep(stream, std::exchange(partial.bytes, {}), !whole);
  }
  send_kept();
}

void JournalLog::finish() {
  for (Partial* const partial : {&out_, &err_}) {
    if (!partial->bytes.empty()) keep(partial->stream, std::exchange(partial->bytes, {}), true);
  }
  using Clock = std::chrono::steady_clock;
  auto moved = Clock::now();
  for (std::size_t before = kept_.size(); send_kept(), pressed(); before = kept_.size()) {
    if (kept_.size() < before) moved = Clock::now();
    if (Clock::now() - moved > journal_patience) fail(ETIMEDOUT, "send", journal_socket);
    pollfd room{socket_.get(), POLLOUT, 0};
    // Its word comes late: when much of the queue is free, not at the first place.
    (void)poll_until({&room, 1}, after(std::chrono::milliseconds(50)));
  }
}

void JournalLog::keep(AttachStream stream, std::string_view line, bool partial) {
  std::string record = journal_field("MESSAGE", line) + fields_;
  record += journal_field("PRIORITY", stream == AttachStream::err ? "3" : "6");
  if (partial && says_partial_) record += journal_field("CONTAINER_PARTIAL_MESSAGE", "true");
  kept_.push_back(std::move(record));
}

void JournalLog::send_kept() {
  while (!kept_.empty()) {
    const bool sent = send(kept_.front());
    const int error = sent ? 0 : errno;
    if (error == EAGAIN) return;
    kept_.pop_front();
    if (error != 0 && error != ENOENT && error != ECONNREFUSED) fail(error, "send", journal_socket);
  }
}

// False with errno. A journal that was started anew has another socket at the same place.
bool JournalLog::send(const std::string& record) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!connected_ && !connect_datagram(socket_.get(), journal_socket)) return false;
    connected_ = true;
    const ssize_t sent = retry(
        [&] { return ::send(socket_.get(), record.data(), record.size(), MSG_DONTWAIT | MSG_NOSIGNAL); });
    if (sent >= 0) return true;
    connected_ = errno != ECONNREFUSED && errno != ECONNRESET && errno != ENOTCONN && errno != EPIPE;
    if (connected_) return false;
  }
  return false;
}

ContainerLog::ContainerLog(const ConmonOptions& options, const ConmonLogs& logs)
    : passthrough_(logs.passthrough), sync_(!options.no_sync_log) {
  if (logs.k8s_file) file_.emplace(*logs.k8s_file, options);
  if (logs.journald) journal_.emplace(options);
}

void ContainerLog::write(AttachStream stream, std::string_view bytes) {
  try_to([&] {
    if (file_) file_->write(stream, bytes);
  });
  try_to([&] {
    if (journal_) journal_->write(stream, bytes);
  });
}

template <typename Attempt>
void ContainerLog::try_to(Attempt attempt) try {
  attempt();
} catch (const std::system_error& error) {
  if (!std::exchange(complained_, true)) log::warn("{}; output is lost", error.what());
}

void ContainerLog::relieve() {
  try_to([&] {
    if (journal_) journal_->send_kept();
  });
}

void ContainerLog::reopen() try {
  if (file_) file_->start_anew();
} catch (const std::system_error& error) {
  log::warn("{}; the log goes on where it was", error.what());
}

void ContainerLog::finish() {
  try_to([&] {
    if (journal_) journal_->finish();
  });
  if (file_ && sync_) file_->sync();
}

}  // namespace fdchain
