#include "monitor/conmon/streams/container_streams.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <utility>

#include "fdchain/model/printable.h"
#include "fdchain/program/log.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

// As much of what a runtime says on stderr as is kept back until it is known whether it failed.
constexpr std::size_t most_kept = 1 << 20;

// The pipe is opened anew by programs that write to /dev/stdout, whatever their user.
OwnedFd for_anybody(OwnedFd pipe_end) {
  (void)!::fchmod(pipe_end.get(), 0777);  // what cannot be changed can still be written to where it is
  return pipe_end;
}

OwnedFd duplicate(int fd) { return OwnedFd(check(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "fcntl")); }

// Where clients look that do not know the bundle.
void link_to_bundle(const ConmonOptions& options, const std::string& bundle) {
  const auto link =
      std::filesystem::path(options.socket_dir_path.value_or("/var/run/crio")) / options.cuuid.value_or("");
  if (::unlink(link.c_str()) < 0 && errno != ENOENT) fail(errno, "unlink", link.native());
  check(::symlink(bundle.c_str(), link.c_str()), "symlink", link.native());
}

}  // namespace

ContainerStreams::ContainerStreams(asio::io_context& io, const ConmonOptions& options,
                                   const std::string& bundle, std::unique_ptr<ContainerLog> log)
    : io_(io), options_(options), log_(std::move(log)) {
  if (log_->passthrough()) return;
  open_stdio();
  if (!bundle.empty()) open_channels(bundle);
}

// With a terminal the container's stdio comes from the runtime, and only stderr is the runtime's own.
void ContainerStreams::open_stdio() {
  if (options_.terminal) {
    console_.emplace(io_, [this](OwnedFd terminal) { take_terminal(std::move(terminal)); });
    for_runtime_.push_back(open_dev_null());
    for_runtime_.push_back(open_dev_null());
  } else {
    if (options_.in) {
      std::array<int, 2> ends{};
      check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
      for_runtime_.emplace_back(ends[0]);
      stdin_.open(OwnedFd(ends[1]));
    } else {
      for_runtime_.push_back(open_dev_null());
    }
    for_runtime_.push_back(for_anybody(stdout_.make()));
  }
  for_runtime_.push_back(for_anybody(stderr_.make()));
}

void ContainerStreams::open_channels(const std::string& bundle) {
  if (!options_.full_attach) link_to_bundle(options_, bundle);
  attach_.emplace(io_, bundle,
                  AttachServer::Events{[this](std::string_view bytes) { return take_input(bytes); },
                                       [this] { end_input(); }, [this] { hold_output_if_pressed(); }});
  control_.emplace(io_, bundle + "/ctl", [this](std::string_view line) {
    if (const auto message = decode_control_line(line)) return obey(*message);
    log::warn("a control line without a meaning: {}", printable(line));
  });
  // conmon's own second FIFO, `ROWS COLUMNS`, for those who know it.
  window_.emplace(io_, bundle + "/winsz", [this](std::string_view line) {
    if (const auto message = decode_control_line("1 " + std::string(line))) obey(*message);
  });
}

std::optional<std::vector<int>> ContainerStreams::for_runtime() const {
  if (for_runtime_.empty()) return std::nullopt;
  std::vector<int> numbers;
  for (const OwnedFd& fd : for_runtime_) numbers.push_back(fd.get());
  return numbers;
}

void ContainerStreams::start() {
  for_runtime_.clear();
  if (log_->passthrough()) return;
  stderr_.start();
  if (!options_.terminal) stdout_.start();
}

void ContainerStreams::accept_pending_terminal() {
  if (console_) console_->accept_pending();
}

void ContainerStreams::take_terminal(OwnedFd terminal) {
  // Input that cannot be passed on is no reason to lose the output as well.
  try {
    stdin_.open(duplicate(terminal.get()));
  } catch (const std::exception& error) {
    log::warn("{}", error.what());
  }
  stdout_.adopt(std::move(terminal));
}

std::string ContainerStreams::last_words() {
  stderr_.drain();
  return std::exchange(kept_stderr_, {});
}

void ContainerStreams::release_stderr() {
  keeps_stderr_ = false;
  const std::string kept = std::exchange(kept_stderr_, {});
  if (!kept.empty() && !passes_on_) pass_on(AttachStream::err, kept);
}

void ContainerStreams::take_output(AttachStream stream, std::string_view bytes) {
  if (stream == AttachStream::err && keeps_stderr_)
    keep_or_pass_on(bytes);
  else
    pass_on(stream, bytes);
}

// What a runtime says until it has ended may be why it failed, or the first words of an exec session.
void ContainerStreams::keep_or_pass_on(std::string_view bytes) {
  const std::size_t room = most_kept - kept_stderr_.size();
  kept_stderr_ += bytes.substr(0, room);
  if (bytes.size() <= room) return;
  // More than can be kept back: it goes where it belongs at once, and what is kept is for the message alone.
  if (!std::exchange(passes_on_, true)) pass_on(AttachStream::err, kept_stderr_);
  pass_on(AttachStream::err, bytes.substr(room));
}

void ContainerStreams::pass_on(AttachStream stream, std::string_view bytes) {
  if (attach_) attach_->accept_waiting();
  log_->write(stream, bytes);
  if (attach_) attach_->broadcast(stream, bytes);
  hold_output_if_pressed();
}

void ContainerStreams::hold_output_if_pressed() {
  const bool log_pressed = log_->pressed();
  if (log_pressed) wait_for_log();
  const bool held = log_pressed || (attach_ && attach_->pressed());
  stdout_.hold(held);
  stderr_.hold(held);
}

void ContainerStreams::wait_for_log() {
  if (std::exchange(waits_for_log_, true)) return;
  if (!log_room_.is_open()) log_room_.assign(duplicate(log_->room()).release());
  log_room_.async_wait(asio::posix::stream_descriptor::wait_write, [this](auto error) {
    waits_for_log_ = false;
    if (error) return;
    log_->relieve();
    hold_output_if_pressed();
  });
}

bool ContainerStreams::take_input(std::string_view bytes) {
  return options_.in || options_.terminal ? stdin_.write(bytes) : true;
}

void ContainerStreams::end_input() {
  if (options_.in && !options_.terminal && !options_.leave_stdin_open) stdin_.end();
}

void ContainerStreams::obey(const ControlMessage& message) {
  switch (message.kind) {
    case ControlMessage::Kind::resize: resize(message.rows, message.columns); break;
    case ControlMessage::Kind::reopen_logs: log_->reopen(); break;
  }
}

void ContainerStreams::resize(int rows, int columns) const {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  if (stdout_.terminal() < 0 || ::ioctl(stdout_.terminal(), TIOCSWINSZ, &size) < 0)
    log::warn("there is no terminal to resize");
}

void ContainerStreams::finish_log() {
  stdout_.drain();
  stderr_.drain();
  log_->finish();
}

void ContainerStreams::finish_clients() {
  if (attach_) attach_->finish();
}

}  // namespace fdchain
