#include "runtime-shim/oci/journal.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstring>

#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/fd/stderr.h"
#include "fdchain/system/fd/sys.h"
#include "runtime-shim/oci/clock.h"

namespace fdchain::oci {
namespace {

constexpr char syslog_path[] = "/dev/log";
constexpr std::size_t longest_text = 3000;

// Not syslog(3), which waits for a daemon that does not read. Where there is none, the text is lost.
void send_to_syslog(std::string_view text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, syslog_path, sizeof syslog_path);
  const OwnedFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return;
  const std::string message = '<' + std::to_string(LOG_USER | LOG_WARNING) + ">runtime-shim[" +
                              std::to_string(::getpid()) + "]: " + std::string(text);
  (void)!::send(socket.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

// As logrus writes it, and so podman's and runc's readers expect it.
std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

// Whose stderr is that of a process which they start and leave to somebody else, who takes all that comes
// there for the container's.
bool leaves_a_process(const Command& command) {
  return command.verb == Verb::create ||
         (command.detach && (command.verb == Verb::run || command.verb == Verb::exec));
}

}  // namespace

Journal::Journal(const Command& command)
    : json_(command.log_format == "json"),
      debug_(command.debug),
      shares_stderr_(leaves_a_process(command) && ::isatty(STDERR_FILENO) == 0),
      id_(command.id) {
  if (command.log.empty()) return;
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
  file_ = OwnedFd(check(::open(command.log.c_str(), flags, 0644), "--log", command.log));
}

void Journal::error(std::string_view text) const {
  print_error(Hop::runtime_shim, text);
  append("error", text);
}

void Journal::warning(std::string_view text) const {
  if (file_) return append("warning", text);
  // Never among the container's output, even if it is heard nowhere then: --strict is for whoever must know.
  if (shares_stderr_)
    return send_to_syslog("container " + printable(id_) + ": warning: " + printable(text, longest_text));
  print_error(Hop::runtime_shim, "warning: " + std::string(text));
}

void Journal::debug(std::string_view text) const {
  if (!debug_) return;
  if (file_) {
    append("debug", text);
  } else {
    write_to_stderr(line("debug", text));
  }
}

std::string Journal::line(std::string_view level, std::string_view text) const {
  const std::string shown = printable(text, longest_text);
  // The keys, and their order, of crun and runc: podman looks for "level" and takes "msg".
  if (json_)
    return boost::json::serialize(
               boost::json::object{{"msg", shown}, {"level", level}, {"time", utc_now()}}) +
           '\n';
  return "time=\"" + utc_now() + "\" level=" + std::string(level) + " msg=" + in_quotes(shown) + '\n';
}

void Journal::append(std::string_view level, std::string_view text) const {
  if (!file_) return;
  const std::string written = line(level, text);
  // One write, so that lines of several calls do not mix. A full disk costs the line, and nothing else.
  (void)!::write(file_.get(), written.data(), written.size());
}

}  // namespace fdchain::oci
