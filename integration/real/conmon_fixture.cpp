#include "integration/real/conmon_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <utility>

#include "fdchain/system/fd/sys.h"

namespace fdchain::test {

MonitorStart Conmon::call(const std::string& program, const std::string& payload, Words options) {
  MonitorStart start;
  start.program = program;
  start.directory = file("bundle" + std::to_string(++calls_));
  std::filesystem::create_directory(start.directory);
  start.runtime = file("runtime" + std::to_string(calls_));
  write_fake_runtime(start.runtime, payload);
  start.options = std::move(options);
  return start;
}

MonitorStart Conmon::ours(const std::string& payload, Words options) {
  return call(bin("monitor"), payload, std::move(options));
}

std::string Conmon::after(const std::string& unshare, const std::string& first, const std::string& program) {
  const std::string path = file("monitor-in-a-world-of-its-own");
  write_script(path + ".inside", first + " && exec '" + program + "' \"$@\"\n");
  write_script(path, "exec unshare " + unshare + " '" + path + ".inside' \"$@\"\n");
  return path;
}

void Conmon::let_runtime(const MonitorStart& start, const std::string& first) {
  const std::string script = read_file(start.runtime);
  write_script(start.runtime, first + '\n' + script.substr(script.find('\n') + 1));
}

OwnedFd bind_datagram(const std::string& path) {
  OwnedFd socket(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind", path);
  return socket;
}

}  // namespace fdchain::test
