#include "integration/runner/play.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "fdchain/judge/judge.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"
#include "fdchain/report/report.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/process_1.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/client.h"
#include "integration/harness/program.h"
#include "integration/harness/trace_watch.h"
#include "integration/runner/normalise.h"
#include "tests/support/child.h"

namespace fdchain::test {
namespace {

/// What the command is started with: open for as long as it runs.
struct Surroundings {
  std::vector<Opened> sockets;
  std::vector<OwnedFd> others;
  OwnedFd notify;
};

void listen_for_notifications(Start& start, Surroundings& around, const std::string& directory) {
  const std::string path = directory + "/notify";
  around.notify = OwnedFd(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  check(::bind(around.notify.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind",
        path);
  start.environment.push_back(std::string(notify_socket_name) + '=' + path);
}

void activate(const Scenario& scenario, Start& start, Surroundings& around) {
  std::vector<std::string> names;
  for (const std::string& text : scenario.activate) {
    const ListenSpec spec = parse_listen_spec(text);
    around.sockets.push_back(open_listening(spec));
    start.pass.emplace_back(around.sockets.back().fd.get(),
                            listen_fds_start + static_cast<int>(names.size()));
    names.push_back(spec.name.value_or(std::string(unnamed_socket)));
  }
  if (names.empty()) return;
  start.environment.push_back("LISTEN_FDS=" + std::to_string(names.size()));
  start.environment.push_back("LISTEN_FDNAMES=" + join_fdnames(names));
}

Start prepare(const Scenario& scenario, const std::string& trace, const std::string& directory,
              Surroundings& around) {
  Start start;
  const std::string announce = scenario.activate.empty() ? "" : "export LISTEN_PID=$$; ";
  start.argv = {"/bin/sh", "-c", announce + "exec " + scenario.run};
  start.working_directory = directory;
  start.environment = {"DIR=" + directory, std::string(trace_name) + '=' + scenario.name + ':' + trace,
                       "PATH=" + std::string(FDCHAIN_BIN_DIR) + ":/usr/sbin:/usr/bin:/sbin:/bin"};
  start.closed = scenario.closed;
  activate(scenario, start, around);
  for (const int number : scenario.others) {
    around.others.push_back(open_dev_null());
    start.pass.emplace_back(around.others.back().get(), number);
  }
  if (scenario.notify) listen_for_notifications(start, around, directory);
  return start;
}

// What a user would type to see it; the sockets of an activator have to come from one.
std::string repeat_command(const Scenario& scenario) {
  std::string command =
      "export DIR=$(mktemp -d); PATH=" + std::string(FDCHAIN_BIN_DIR) + ":$PATH " + scenario.run;
  const std::string launcher = "launcher ";
  const std::size_t at = command.rfind(launcher);
  if (at != std::string::npos) {
    std::string options = "--report text ";
    for (const std::string& socket : scenario.activate) options += "--listen " + socket + ' ';
    command.insert(at + launcher.size(), options);
  }
  return command;
}

// A signal that comes before our payload waits for it would just end it.
void wait_until_armed(const std::string& trace, int signal) {
  const auto records = read_trace(trace).runs.front();
  const auto payload =
      std::ranges::find_if(records, [](const HopRecord& record) { return record.moment == Moment::running; });
  if (!payload->exe.ends_with("/payload")) return;
  while (!minds_signal(payload->pid, signal)) ::sched_yield();
}

Result run_to_the_end(const Scenario& scenario, const Start& start, const TraceWatch& trace) {
  Program program(start);
  if (!scenario.connect.empty()) {
    program.wait_for_err("Listening on ");
    const Client client(scenario.connect);
    client.send("hello\n");
    return program.finish();
  }
  if (!scenario.says.empty()) program.wait_for_out(scenario.says);
  if (scenario.signals.empty()) return program.finish();
  trace.wait_for(R"("hop":"payload","moment":"running")", 1, program.pid());
  wait_until_armed(trace.path(), scenario.signals.back());
  std::size_t looks = 0;
  for (const int signal : scenario.signals) {
    program.signal(signal);
    trace.wait_for(R"("hop":"monitor","moment":"running")", ++looks, program.pid());
  }
  return program.finish();
}

}  // namespace

namespace {

// `sh/monitor` is a wrapper of that name in the monitor's place.
std::string name_of_culprit(const Finding& finding) {
  if (!finding.culprit) return "nobody";
  return (finding.culprit_is_wrapper ? finding.culprit_program + '/' : "") +
         std::string(to_string(*finding.culprit));
}

}  // namespace

Played play(const Scenario& scenario, const std::string& trace) {
  const TemporaryDirectory directory;
  const TraceWatch watch(trace);
  Surroundings around;
  const Start start = prepare(scenario, trace, directory.path(), around);
  Played played;
  played.repeat = repeat_command(scenario);
  const Result result = run_to_the_end(scenario, start, watch);
  end_all_children();
  played.exit_status = result.status.exit_status();
  played.said = result.err;
  const auto records = normalise(read_trace(trace).runs.front(), directory.path());
  const JudgedRun run{records, judge(records)};
  for (const Finding& finding : run.diagnosis.findings) {
    played.findings.push_back({finding.id, name_of_culprit(finding), std::string(to_string(finding.hop))});
  }
  played.report = name_roles(text_report(run));
  return played;
}

}  // namespace fdchain::test
