#include "integration/real/monitored.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "fdchain/protocol/attach.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/rootfs.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

std::string file_if_any(const std::string& path) { return fs::exists(path) ? read_file(path) : "(none)"; }

}  // namespace

std::string receive_packet(int socket) {
  pollfd ready{socket, POLLIN, 0};
  const int patience = static_cast<int>(std::chrono::milliseconds(usual_patience).count());
  if (retry([&] { return ::poll(&ready, 1, patience); }) <= 0)
    throw std::runtime_error("nothing came on the socket");
  std::string packet(70'000, '\0');
  const ssize_t got = retry([&] { return ::recv(socket, packet.data(), packet.size(), 0); });
  packet.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return packet;
}

Monitored::Monitored(MonitorStart start) : start_(std::move(start)) {
  fs::create_directories(file("exits"));
  SocketPair sync = make_socket_pair();
  SocketPair go = make_socket_pair();
  Start call;
  call.argv = {start_.program,
               "-c",
               "container",
               "-u",
               "container-0123456789",
               "-r",
               start_.runtime,
               "-b",
               start_.directory,
               "-p",
               file("pidfile"),
               "--conmon-pidfile",
               file("conmon-pidfile"),
               "--exit-dir",
               file("exits"),
               "-l",
               start_.log + (start_.log.ends_with(':') ? file("log") : "")};
  call.argv.insert(call.argv.end(), start_.options.begin(), start_.options.end());
  if (start_.full_attach) call.argv.emplace_back("--full-attach");
  int number = 3;
  for (const OwnedFd& socket : start_.sockets) call.pass.emplace_back(socket.get(), number++);
  call.pass.emplace_back(sync.theirs.get(), number);
  call.pass.emplace_back(go.theirs.get(), number + 1);
  call.environment = start_.environment;
  call.working_directory = start_.directory;  // where conmon writes its file `oom`
  call.environment.push_back("_OCI_SYNCPIPE=" + std::to_string(number));
  call.environment.push_back("_OCI_STARTPIPE=" + std::to_string(number + 1));
  if (start_.sync_reader) sync_ = std::move(sync.ours);
  sync.ours.close();
  Program program(call);
  sync.theirs.close();
  go.theirs.close();
  // The monitor may have refused its options by now.
  if (start_.go) (void)!::send(go.ours.get(), "", 1, MSG_NOSIGNAL);
  go.ours.close();
  foreground_ = program.finish();
}

std::string Monitored::hear() { return receive_packet(sync_.get()); }

std::vector<std::string> Monitored::hear_all() {
  std::vector<std::string> messages;
  for (std::string message = hear(); !message.empty(); message = hear()) messages.push_back(message);
  return messages;
}

pid_t Monitored::container() {
  const std::string message = hear();
  const auto read = decode_conmon_message(message);
  if (!read || read->data <= 0) throw std::runtime_error("no container: " + message);
  return read->data;
}

pid_t Monitored::monitor() const { return std::stoi(read_file(file("conmon-pidfile"))); }

std::string Monitored::outcome() {
  std::ostringstream text;
  text << "foreground: " << foreground_.status.describe() << ", stdout "
       << (foreground_.out.empty() ? "empty" : "used") << ", stderr "
       << (foreground_.err.empty() ? "empty" : "used") << '\n';
  const std::vector<std::string> messages = sync_ ? hear_all() : std::vector<std::string>();
  ChainTest::expect_nobody_left();
  const std::string pid = file_if_any(file("pidfile"));
  const std::string monitor = file_if_any(file("conmon-pidfile"));
  for (const std::string& message : messages)
    text << "message: "
         << (pid.empty() ? message : std::regex_replace(message, std::regex(": " + pid + "\\b"), ": PID"));
  text << "monitor's pid file: "
       << (std::ranges::all_of(monitor, [](char digit) { return digit >= '0' && digit <= '9'; }) ? "PID"
                                                                                                 : monitor)
       << '\n';
  text << "log:\n" << without_times(file_if_any(file("log")));
  text << "exit file: " << file_if_any(file("exits/container")) << '\n';
  text << "persisted: " << file_if_any(file("persist/exit")) << '\n';
  text << "exit command: " << file_if_any(file("exit-command-said")) << '\n';
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(start_.directory)) {
    names.push_back(fs::relative(entry.path(), start_.directory));
    if (entry.is_symlink())
      names.back() += " -> " + fs::read_symlink(entry.path()).native();
    else if (names.back() != "log")  // later conmons let its group read it, and so does ours
      names.back() += fmt::format("({:o})", static_cast<unsigned>(entry.status().permissions()));
  }
  std::ranges::sort(names);
  text << "files:";
  for (const std::string& name : names) text << ' ' << name;
  return text.str() + '\n';
}

std::string without_times(const std::string& log) {
  const std::regex stamp(R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d )");
  std::vector<std::string> lines;
  std::istringstream all(log);
  for (std::string line; std::getline(all, line);) lines.push_back(std::regex_replace(line, stamp, "TIME "));
  // What comes first of two streams is chance; within one the sorting is stable.
  std::ranges::stable_sort(lines, {}, [](const std::string& line) { return line.substr(0, 12); });
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

void write_script(const std::string& path, const std::string& text) {
  std::ofstream(path) << "#!/bin/sh\n" << text;
  ::chmod(path.c_str(), 0755);
}

void write_fake_runtime(const std::string& path, const std::string& payload) {
  // The container waits for the runtime's end: one that ended before could be reaped by the runtime's shell.
  write_script(path + ".payload", "read end <&8; exec 8<&-\n" + payload);
  write_script(path,
               "exec 9<&0; mkfifo $0.gate; exec 7<>$0.gate 8<$0.gate\n"
               "while [ $# -gt 1 ]; do [ \"$1\" = --pid-file ] && pidfile=$2; shift; done\n"
               "setsid '" +
                   path +
                   ".payload' <&9 9<&- 7<&- &\n"
                   "printf %s $! > \"$pidfile\"\n");
}

OwnedFd attach_to(const std::string& bundle) {
  OwnedFd client(check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
  // As podman does it: a bundle's path may be longer than an address.
  const std::string path = bundle + "/attach";
  const OwnedFd socket(check(::open(path.c_str(), O_PATH | O_CLOEXEC), "open", path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ("/proc/self/fd/" + std::to_string(socket.get())).copy(address.sun_path, sizeof address.sun_path - 1);
  check(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect",
        path);
  return client;
}

Attached read_frames(int socket) {
  Attached attached;
  while (const auto frame = decode_attach_frame(receive_packet(socket)))
    (frame->stream == AttachStream::err ? attached.err : attached.out) += frame->bytes;
  return attached;
}

void write_bundle(const std::string& directory, const Bundle& bundle) {
  const fs::path root = directory + "/rootfs";
  if (!fs::exists(root)) {
    make_rootfs(root, true);
    for (const auto* const name : {"proc", "dev", "sys", "tmp"}) fs::create_directory(root / name);
    fs::create_symlink("busybox", root / "bin/stty");
  }
  namespace json = boost::json;
  json::array mounts{{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                     {{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}},
                     {{"destination", "/dev/pts"},
                      {"type", "devpts"},
                      {"source", "devpts"},
                      {"options", {"newinstance", "ptmxmode=0666", "mode=0620"}}}};
  json::array namespaces;
  for (const auto* const type : {"pid", "mount", "ipc", "uts"})
    namespaces.push_back(json::object{{"type", type}});
  json::array environment{"PATH=/bin"};
  for (const std::string& assignment : bundle.environment) environment.push_back(json::value(assignment));
  const json::object config{{"ociVersion", "1.0.2"},
                            {"root", {{"path", "rootfs"}}},
                            {"process",
                             {{"terminal", bundle.terminal},
                              {"user", {{"uid", 0}, {"gid", 0}}},
                              {"args", json::value_from(bundle.command)},
                              {"env", environment},
                              {"cwd", "/"}}},
                            {"hostname", "box"},
                            {"mounts", mounts},
                            {"linux", {{"namespaces", namespaces}}}};
  std::ofstream(directory + "/config.json") << json::serialize(config);
}

std::vector<std::string> with_cgroup2(std::vector<std::string> command) {
  command.insert(command.begin(),
                 {"unshare", "-m", "sh", "-c",
                  "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"", "sh"});
  return command;
}

}  // namespace fdchain::test
