#include "monitor/conmon/streams/console.h"

#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fdchain/program/log.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fd/unix_socket.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

std::string make_private_directory() {
  const char* const base = std::getenv("TMPDIR");
  std::string name = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/conmon-term.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) fail(errno, "mkdtemp", name);
  return name;
}

// As kubelet and podman expect it: a newline becomes carriage return and newline.
void set_up(int terminal) {
  termios settings{};
  if (::tcgetattr(terminal, &settings) < 0) return log::warn("no terminal came on the console socket");
  settings.c_oflag |= ONLCR;
  if (::tcsetattr(terminal, TCSANOW, &settings) < 0) log::warn("the terminal's settings cannot be changed");
}

}  // namespace

Console::Console(asio::io_context& io, Take take)
    : take_(std::move(take)), directory_(make_private_directory()), socket_(io), connection_(io) {
  OwnedFd socket = bind_unix_socket(directory_, "socket", SOCK_STREAM | SOCK_NONBLOCK, 0700);
  check(::listen(socket.get(), 1), "listen", path());
  socket_.assign(socket.release());
  socket_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (!error) accept();
  });
}

Console::~Console() { remove(); }

void Console::accept() {
  const int connection = ::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) return;
  connection_.assign(connection);
  remove();
  connection_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (!error) receive();
  });
}

void Console::receive() {
  OwnedFd terminal = receive_descriptor(connection_.native_handle(), MSG_DONTWAIT);
  connection_.close();
  if (!terminal) return log::warn("nothing came on the console socket");
  set_up(terminal.get());
  take_(std::move(terminal));
}

void Console::accept_pending() {
  if (socket_.is_open()) accept();
  if (connection_.is_open()) receive();
}

void Console::remove() {
  if (!socket_.is_open()) return;
  socket_.close();
  ::unlink(path().c_str());
  ::rmdir(directory_.c_str());
}

}  // namespace fdchain
