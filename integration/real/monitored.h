// A conmon, ours or the real one, driven as podman drives it.
#pragma once

#include <string>
#include <vector>

#include "fdchain/system/fd/handshake.h"
#include "integration/harness/program.h"

namespace fdchain::test {

inline constexpr const char* real_conmon = "/usr/bin/conmon";

/// What a monitor is started with.
struct MonitorStart {
  std::string program;
  std::string runtime;
  std::string directory;             ///< of its own: bundle, pid files, exit files
  std::vector<std::string> options;  ///< besides those that every call has
  std::vector<std::string> environment;
  std::vector<OwnedFd> sockets;   ///< at 3 and above
  std::string log = "k8s-file:";  ///< the log's driver; its file is `log`
  bool full_attach = true;        ///< clients know the bundle, and need no link to it
  bool go = true;                 ///< the start pipe says its byte; otherwise it is closed without
  bool sync_reader = true;        ///< somebody hears what it says
};

/// A monitor and its caller's ends of the pipes.
class Monitored {
 public:
  /// Starts it and waits until it has left the foreground.
  explicit Monitored(MonitorStart start);

  [[nodiscard]] const Result& foreground() const { return foreground_; }

  /// The next message on the sync pipe; empty at its end.
  std::string hear();

  /// All messages until the end of the pipe: the monitor has ended then, but for its exit command.
  std::vector<std::string> hear_all();

  /// The container's pid, from the first message.
  pid_t container();

  /// The pid in the conmon pid file.
  [[nodiscard]] pid_t monitor() const;

  [[nodiscard]] std::string file(const std::string& name) const { return start_.directory + '/' + name; }

  /// Everything a caller can see of it, with pids and times taken out; waits for the end.
  std::string outcome();

 private:
  MonitorStart start_;
  OwnedFd sync_;
  Result foreground_;
};

/// The next packet; empty at the end. Throws when none has come for the usual patience.
std::string receive_packet(int socket);

/// A runtime that runs `payload`, a shell script, as its container at once.
void write_fake_runtime(const std::string& path, const std::string& payload);

/// An executable script.
void write_script(const std::string& path, const std::string& text);

/// A client of the attach socket in `bundle`.
OwnedFd attach_to(const std::string& bundle);

/// All that an attach client is sent until the end, stdout and stderr apart.
struct Attached {
  std::string out;
  std::string err;
};
Attached read_frames(int socket);

/// A bundle with busybox, whose config.json runs `command`.
struct Bundle {
  std::vector<std::string> command;
  bool terminal = false;
  std::vector<std::string> environment;
};
void write_bundle(const std::string& directory, const Bundle& bundle);

/// The command in a mount namespace where the cgroups are version 2 alone, which crun asks for.
std::vector<std::string> with_cgroup2(std::vector<std::string> command);

/// A container's log with its times taken out, its lines sorted.
std::string without_times(const std::string& log);

}  // namespace fdchain::test
