#include "runtime-shim/oci/console.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/flow.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fd/unix_socket.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/rootfs.h"
#include "fdchain/system/proc/payload.h"

namespace fdchain::oci {
namespace {

void send_descriptor(const OwnedFd& socket, int fd, const std::string& name) {
  // With the name, as runc has it; crun's readers take any byte.
  std::string text = name;
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  check(retry([&] { return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL); }), "send", "the terminal");
}

// Nothing that poll(2) tells of happens when a listener has room again: only connect(2) itself waits for
// that, and it hears no signal that is blocked. So it waits for a moment at a time.
constexpr timeval step_of_waiting{0, 50'000};

void set_patience(const OwnedFd& socket, timeval patience) {
  check(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "setsockopt");
}

void set_size(int terminal, const Process& process) {
  if (!process.console_size) return;
  winsize size{};
  size.ws_row = process.console_size->height;
  size.ws_col = process.console_size->width;
  (void)::ioctl(terminal, TIOCSWINSZ, &size);
}

// As runc has it where it passes a terminal through: what is behind a pipe gets lines as any program's.
void keep_newlines_plain(int terminal) {
  termios settings{};
  if (::tcgetattr(terminal, &settings) < 0) return;
  settings.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
  (void)::tcsetattr(terminal, TCSANOW, &settings);
}

/// The caller's terminal in raw mode, for as long as this lives. Its output is processed as before: the
/// carriage returns that the container's terminal does not add are added here.
class RawMode {
 public:
  RawMode() {
    if (::tcgetattr(STDIN_FILENO, &before_) < 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    raw.c_oflag |= before_.c_oflag & OPOST;
    on_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~RawMode() {
    if (on_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  termios before_{};
  bool on_ = false;
};

void follow_size(int master) {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) (void)::ioctl(master, TIOCSWINSZ, &size);
}

constexpr char end_of_input = 4;                // ^D: what a terminal's reader takes for the end
constexpr std::size_t terminal_holds = 65'536;  // written and not read, at most
constexpr auto patience_with_reader = std::chrono::seconds(1);  // as for stderr

/// A caller's ends and a container's terminal between them.
class PassThrough {
 public:
  PassThrough(const OwnedFd& master, pid_t pid, const SignalFd& signals)
      : master_(master.get()), signals_(signals.fd.get()), payload_(Payload::process_1(pid)) {}

  /// Returns the exit status of the process.
  int run() {
    while (true) {
      if (payload_.has_ended() && drained()) break;
      if (!wait()) break;
      if (!take_signals()) break;
      move();
      (void)payload_.try_reap();
    }
    return payload_.status().exit_status();
  }

 private:
  // What the process has written is there when it has ended. Somebody who has its terminal, too, may write
  // for ever; that is not waited for.
  bool drained() {
    while (left_ > 0 && output_.has_room()) {
      const std::size_t got = output_.fill();
      left_ -= std::min(left_, got == 0 ? left_ : got);
    }
    return output_.pending.empty() && (left_ == 0 || !output_.open);
  }

  // False when the process has ended and nobody takes its output, which is not waited for then.
  bool wait() {
    const bool lives = !payload_.has_ended();
    const bool reads = lives && output_.has_room();
    const bool writes = lives && !input_.pending.empty();
    // A descriptor of which nothing is wanted would still tell of its hang-up, again and again.
    waiting_ = {pollfd{signals_, POLLIN, 0},
                pollfd{reads || writes ? master_ : -1,
                       static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0},
                pollfd{lives && input_.has_room() ? input_.from : -1, POLLIN, 0},
                pollfd{output_.pending.empty() ? -1 : output_.to, POLLOUT, 0}};
    const Deadline end = lives        ? payload_.next_look()
                         : asked_ > 1 ? after(patience_with_reader)
                                      : no_deadline;
    const int ready = poll_until(waiting_, end);
    if (!lives) return ready != 0;
    payload_.look_again();  // also while somebody writes without a pause
    return true;
  }

  // False when a signal asks to end, and nobody is there any more to hear it.
  bool take_signals() {
    const int number = read_signal(signals_);
    if (number == SIGWINCH) follow_size(master_);
    if (number == 0 || number == SIGWINCH || number == SIGCHLD) return true;
    // Whoever asks once more does not want to wait for a reader, however soon that was. But it may have been
    // the process that he meant, and a reader who does read loses nothing.
    if (asks_for_end(number)) ++asked_;
    // The number of a process that has been reaped may be somebody else's.
    if (payload_.has_ended()) return !asks_for_end(number);
    payload_.signal(number);
    return true;
  }

  void move() {
    if (waiting_[3].revents != 0) output_.flush();
    if ((waiting_[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && output_.has_room()) output_.fill();
    if ((waiting_[1].revents & (POLLHUP | POLLERR)) != 0) input_.has_reader = false;
    if ((waiting_[1].revents & POLLOUT) != 0) input_.flush();
    if (waiting_[2].revents != 0) {
      input_.fill();
      if (!input_.open) input_.pending += end_of_input;
    }
    if (input_.has_reader) return;
    input_.open = false;
    input_.pending.clear();
  }

  int master_;
  int signals_;
  Payload payload_;
  OwnedFd stdin_ = end_of_callers(STDIN_FILENO, O_RDONLY);
  OwnedFd stdout_ = end_of_callers(STDOUT_FILENO, O_WRONLY);
  Flow input_{stdin_.get(), master_, {}, true, true};
  Flow output_{master_, stdout_.get(), {}, true, true};
  std::array<pollfd, 4> waiting_{};
  std::size_t left_ = terminal_holds;
  int asked_ = 0;
};

}  // namespace

OwnedFd connect_console(const std::string& path, const Interruption& interruption) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw Failure("--console-socket " + printable(path) +
                  ": longer than the 107 bytes of a socket's address");
  std::memcpy(address.sun_path, path.data(), path.size());
  OwnedFd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  set_patience(socket, step_of_waiting);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    if (errno != EAGAIN && errno != EINTR) fail(errno, "--console-socket", path);
    interruption.throw_if_any();
  }
  set_patience(socket, {});
  return socket;
}

void allocate_console(const RootDirectory& root, const OwnedFd& socket, const Process& process,
                      Newlines newlines) {
  const OwnedFd place = look_up_in(root, "/dev/pts/ptmx");
  if (!place) throw Failure("a terminal: " + root.path + "/dev/pts/ptmx: " + std::strerror(errno));
  const OwnedFd master(
      check(::open(("/proc/self/fd/" + std::to_string(place.get())).c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC),
            "open", "/dev/pts/ptmx"));
  int unlocked = 0;
  check(::ioctl(master.get(), TIOCSPTLCK, &unlocked), "ioctl TIOCSPTLCK");
  unsigned number = 0;
  check(::ioctl(master.get(), TIOCGPTN, &number), "ioctl TIOCGPTN");
  // By the master, not by name: what is at that name may be something else.
  const OwnedFd slave(
      check(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), "ioctl TIOCGPTPEER"));
  set_size(slave.get(), process);
  if (newlines == Newlines::plain) keep_newlines_plain(slave.get());
  (void)!::fchown(slave.get(), process.user.uid, static_cast<gid_t>(-1));
  send_descriptor(socket, master.get(), "/dev/pts/" + std::to_string(number));
  for (int fd = 0; fd <= 2; ++fd) check(::dup2(slave.get(), fd), "dup2");
  check(::ioctl(STDIN_FILENO, TIOCSCTTY, 0), "ioctl TIOCSCTTY");
}

int pass_terminal_through(const OwnedFd& socket, pid_t pid, const SignalFd& signals) {
  const OwnedFd master = receive_descriptor(socket.get());
  if (!master && errno != 0) fail(errno, "receive", "the terminal");
  if (!master) throw Failure("no terminal was sent");
  const RawMode raw;
  follow_size(master.get());
  check(::fcntl(master.get(), F_SETFL, O_RDWR | O_NONBLOCK), "fcntl F_SETFL");
  return PassThrough(master, pid, signals).run();
}

}  // namespace fdchain::oci
