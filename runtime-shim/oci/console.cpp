#include "runtime-shim/oci/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/system/files.h"
#include "fdchain/system/process_1.h"
#include "fdchain/system/rootfs.h"
#include "fdchain/system/sys.h"

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

OwnedFd receive_descriptor(const OwnedFd& socket) {
  std::array<char, 4096> text{};
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  check(retry([&] { return ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC); }), "receive",
        "the terminal");
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) throw Failure("no terminal was sent");
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return OwnedFd(fd);
}

void set_size(int terminal, const Process& process) {
  if (!process.console_size) return;
  winsize size{};
  size.ws_row = process.console_size->height;
  size.ws_col = process.console_size->width;
  (void)::ioctl(terminal, TIOCSWINSZ, &size);
}

/// The caller's terminal in raw mode, for as long as this lives.
class RawMode {
 public:
  RawMode() {
    if (::tcgetattr(STDIN_FILENO, &before_) < 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
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

// False when nothing will come any more. Everything that is read is written: a terminal takes it.
bool copy(int from, int to) {
  std::array<char, 8192> buffer;
  const ssize_t got = retry([&] { return ::read(from, buffer.data(), buffer.size()); });
  if (got <= 0) return false;
  write_all(to, {buffer.data(), static_cast<std::size_t>(got)}, "the terminal");
  return true;
}

constexpr char end_of_input = 4;  // ^D: what a terminal's reader takes for the end

}  // namespace

OwnedFd connect_console(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw Failure("--console-socket " + printable(path) +
                  ": longer than the 107 bytes of a socket's address");
  std::memcpy(address.sun_path, path.data(), path.size());
  OwnedFd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
        "--console-socket", path);
  return socket;
}

std::string take_terminal(const std::string& root, const OwnedFd& socket, const Process& process) {
  const OwnedFd place = look_up_in(root, "/dev/pts/ptmx");
  if (!place) throw Failure("a terminal: " + root + "/dev/pts/ptmx: " + std::strerror(errno));
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
  (void)!::fchown(slave.get(), process.user.uid, static_cast<gid_t>(-1));
  send_descriptor(socket, master.get(), "/dev/pts/" + std::to_string(number));
  for (int fd = 0; fd <= 2; ++fd) check(::dup2(slave.get(), fd), "dup2");
  check(::ioctl(STDIN_FILENO, TIOCSCTTY, 0), "ioctl TIOCSCTTY");
  return "/dev/pts/" + std::to_string(number);
}

int pass_terminal_through(const OwnedFd& socket, pid_t pid, const SignalFd& signals) {
  const OwnedFd master = receive_descriptor(socket);
  const RawMode raw;
  follow_size(master.get());
  std::array<pollfd, 3> waiting{pollfd{signals.fd.get(), POLLIN, 0}, pollfd{master.get(), POLLIN, 0},
                                pollfd{STDIN_FILENO, POLLIN, 0}};
  std::optional<WaitStatus> ended;
  bool output = true;
  while (!ended || output) {
    waiting[1].fd = output ? master.get() : -1;
    // What the process has written is there when it has ended: then nothing is waited for.
    if (retry([&] { return ::poll(waiting.data(), waiting.size(), ended ? 0 : -1); }) == 0 && ended) break;
    if ((waiting[0].revents & POLLIN) != 0) {
      const int number = read_signal(signals.fd.get());
      if (number == SIGWINCH) {
        follow_size(master.get());
      } else if (number != 0 && number != SIGCHLD) {
        signal_process_1(pid, number);
      }
    }
    if (output && waiting[1].revents != 0) output = copy(master.get(), STDOUT_FILENO);
    if (waiting[2].revents != 0 && !copy(STDIN_FILENO, master.get())) {
      waiting[2].fd = -1;
      (void)!::write(master.get(), &end_of_input, 1);
    }
    int raw_status = 0;
    if (!ended && ::waitpid(pid, &raw_status, WNOHANG) == pid) ended = WaitStatus(raw_status);
  }
  return ended->exit_status();
}

}  // namespace fdchain::oci
