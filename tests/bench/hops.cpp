#include "tests/bench/hops.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"
#include "tests/bench/contenders.h"
#include "tests/support/process_memory.h"

namespace fdchain::bench {
namespace {

namespace fs = std::filesystem;

constexpr int sync_number = 3;
constexpr int start_number = 4;

// A bundle whose program ends as soon as it has started.
std::string make_bundle(const std::string& name) {
  const fs::path bundle = fs::path(scratch_directory()) / name;
  fs::create_directories(bundle);
  std::ofstream(bundle / "config.json")
      << R"({"ociVersion":"1.0.0","process":{"cwd":"/","args":["/bin/exits_at_once"],"user":{"uid":0,"gid":0}},)"
      << R"("root":{"path":")" << make_root()
      << R"("},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],)"
      << R"("linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"network"},{"type":"ipc"},{"type":"uts"}]}})";
  return bundle;
}

std::string state_of(const std::string& runtime) {
  return scratch_directory() + "/state-of-" + fs::path(runtime).filename().string();
}

std::vector<std::string> global_options(const std::string& runtime) {
  std::vector<std::string> options{"--root=" + state_of(runtime)};
  // runc knows no such option.
  if (runtime != "runc") options.emplace_back("--cgroup-manager=disabled");
  return options;
}

// As podman starts it, but for the two options that say where its own pid and the exit status go.
std::vector<std::string> command_of(const Monitoring& monitoring, const std::string& id) {
  const std::string bundle = make_bundle("bundle-of-" + id);
  std::vector<std::string> command{monitoring.monitor,
                                   "--api-version",
                                   "1",
                                   "-c",
                                   id,
                                   "-u",
                                   id,
                                   "-r",
                                   monitoring.runtime,
                                   "-b",
                                   bundle,
                                   "-p",
                                   bundle + "/pid",
                                   "-l",
                                   "k8s-file:" + bundle + "/log",
                                   "--full-attach"};
  for (const std::string& option : monitoring.runtime_options) command.push_back("--runtime-arg=" + option);
  return command;
}

/// A monitor's caller: both pipes, and the word to go said before it starts.
class Call {
 public:
  Call() { (void)send_message(start_.ours, std::string_view("\0", 1)); }

  void give_to(HandOver& next) const {
    next.environment.unset("INSTANT_EXIT");
    next.environment.set("_OCI_SYNCPIPE", std::to_string(sync_number));
    next.environment.set("_OCI_STARTPIPE", std::to_string(start_number));
    next.passed.push_back({sync_.theirs.get(), sync_number, 1, false, "sync pipe"});
    next.passed.push_back({start_.theirs.get(), start_number, 1, false, "start pipe"});
  }

  // What is left open here would keep the pipe from ending with the monitor.
  void started() {
    sync_.theirs.close();
    start_.theirs.close();
  }

  void expect_container() const {
    std::array<char, conmon_message_max> said{};
    const ssize_t got = retry([&] { return ::recv(sync_.ours.get(), said.data(), said.size(), 0); });
    const std::string text(said.data(), static_cast<std::size_t>(check(got, "recv", "sync pipe")));
    const auto message = decode_conmon_message(text);
    if (!message || message->data <= 0) throw std::runtime_error("no container: " + text);
  }

 private:
  SocketPair sync_ = make_socket_pair();
  SocketPair start_ = make_socket_pair();
};

double start_container(const Monitoring& monitoring, const std::string& id) {
  HandOver next = to_start(command_of(monitoring, id));
  Call call;
  call.give_to(next);
  const Clock::time_point begin = Clock::now();
  const pid_t foreground = start(next);
  call.started();
  call.expect_container();
  const double seconds = seconds_since(begin);
  expect_success(foreground, next.program);
  return seconds;
}

std::vector<pid_t> children_named(const std::string& name) {
  std::vector<pid_t> named;
  for (const pid_t child : children_of_this_process()) {
    std::ifstream comm("/proc/" + std::to_string(child) + "/comm");
    std::string text;
    std::getline(comm, text);
    if (text == name) named.push_back(child);
  }
  return named;
}

long switches_of(const std::vector<pid_t>& processes) {
  long sum = 0;
  for (const pid_t process : processes)
    sum += test::proc_value("/proc/" + std::to_string(process) + "/status", "voluntary_ctxt_switches");
  return sum;
}

void wait_seconds(int seconds) { ::poll(nullptr, 0, seconds * 1000); }

// Each of all those with this name, measured after they have had two seconds to settle.
Waiting measure_waiting(const std::string& name, int count) {
  wait_seconds(2);
  const std::vector<pid_t> processes = children_named(name);
  if (static_cast<int>(processes.size()) != count)
    throw std::runtime_error(fmt::format("{} of {} {} are running", processes.size(), count, name));
  const long before = switches_of(processes);
  wait_seconds(1);
  Waiting sum;
  sum.wake_ups = static_cast<double>(switches_of(processes) - before);
  for (const pid_t process : processes) {
    const std::string rollup = "/proc/" + std::to_string(process) + "/smaps_rollup";
    sum.pss_kb += static_cast<double>(test::proc_value(rollup, "Pss"));
    sum.private_kb += static_cast<double>(test::proc_value(rollup, "Private_Dirty") +
                                          test::proc_value(rollup, "Private_Clean"));
  }
  end_all_children();
  return {sum.pss_kb / count, sum.private_kb / count, sum.wake_ups / count};
}

}  // namespace

std::optional<std::vector<std::string>> run_container_command(const std::string& runtime,
                                                              std::string& why_not) {
  std::vector<std::string> command{runtime};
  for (const std::string& option : global_options(runtime)) command.push_back(option);
  for (const std::string& word : {std::string("run"), std::string("-b"), make_bundle("bundle-to-run")})
    command.push_back(word);
  command.push_back("bench-" + fs::path(runtime).filename().string());
  return if_it_works(command, why_not);
}

Monitoring over_instant_runtime(const std::string& monitor) {
  return {monitor, program("instant_runtime"), {}};
}

Monitoring over_crun(const std::string& monitor) {
  return {monitor, "/usr/bin/crun", global_options("crun")};
}

double start_by_monitor(const Monitoring& monitoring) {
  const std::string id = "start";
  const double seconds = start_container(monitoring, id);
  end_all_children();
  // What a runtime that was not asked to delete its container has left.
  fs::remove_all(state_of(monitoring.runtime) + '/' + id);
  return seconds;
}

double conmon_run() {
  std::vector<std::string> command = command_of(over_instant_runtime("conmon"), "run");
  command.emplace_back("--sync");
  return whole_run(command);
}

Waiting waiting_monitor() {
  expect_success(start(to_start({program("launcher"), "--detach", "sleep", "100"})), "launcher");
  return measure_waiting("monitor", 1);
}

Waiting waiting_as_conmon(const std::string& monitor, int count) {
  const Monitoring monitoring = over_instant_runtime(monitor);
  for (int i = 0; i < count; ++i) (void)start_container(monitoring, fmt::format("wait-{}", i));
  return measure_waiting(fs::path(monitor).filename(), count);
}

}  // namespace fdchain::bench
