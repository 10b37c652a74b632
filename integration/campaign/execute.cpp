#include "integration/campaign/execute.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "fdchain/judge/judge.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/program.h"
#include "integration/harness/trace_watch.h"

namespace fdchain::campaign {
namespace {

using test::Program;
using test::Result;
using test::Start;

constexpr std::string_view notify_address = "@fdchain-notify";

/// What the launcher is started with: open here for as long as it runs.
struct Handed {
  std::vector<Opened> sockets;
  std::vector<OwnedFd> others;
  OwnedFd notify;
};

OwnedFd file_of_nothing(const char* name) {
  return OwnedFd(check(::memfd_create(name, MFD_CLOEXEC), "memfd_create"));
}

OwnedFd notify_socket() {
  OwnedFd socket(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path + 1, notify_address.data() + 1, notify_address.size() - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + notify_address.size());
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length), "bind");
  return socket;
}

std::vector<std::string> payload_command(const Run& run) {
  switch (run.payload) {
    case Payload::reports: return {test::bin("payload"), "report"};
    case Payload::stranger: return {"/bin/sleep", "600"};
    case Payload::missing: return {"/nonexistent/payload"};
    case Payload::leaves_orphans: return {"/bin/sh", "-c", "sleep 600 & exit 0"};
    case Payload::waits: return {test::bin("payload"), "hold"};
  }
  return {};
}

void pass(Start& start, Handed& handed, OwnedFd fd, int number) {
  start.pass.emplace_back(fd.get(), number);
  handed.others.push_back(std::move(fd));
}

void write_wrapper(const Wrapper& wrapper, const std::string& directory) {
  const std::string path = directory + '/' + std::string(wrapper_name);
  const std::string hop = test::bin(std::string(to_string(wrapper.place)));
  std::ofstream(path) << "#!/bin/bash\n"
                      << wrapper.mistake << '\n'
                      << (wrapper.forks ? hop + " \"$@\"\nexit $?\n" : "exec " + hop + " \"$@\"\n");
  check(::chmod(path.c_str(), 0700), "chmod", path);
}

std::vector<std::string> launcher_command(const Run& run, const std::string& directory) {
  std::vector<std::string> argv{test::bin("launcher")};
  const auto add = [&](std::string option, std::string value) {
    argv.push_back(std::move(option));
    argv.push_back(std::move(value));
  };
  for (const ListenSpec& spec : run.opened) add("--listen", spec.text);
  if (run.preserved > 0) add("--preserve-fds", std::to_string(run.preserved));
  if (!run.sdnotify.empty()) add("--sdnotify", run.sdnotify);
  for (const FaultRequest& fault : run.faults) add("--fault", to_string(fault));
  if (run.wrapper) {
    add("--dialect", "native");
    add(run.wrapper->place == Hop::monitor ? "--monitor" : "--runtime",
        directory + '/' + std::string(wrapper_name));
  }
  argv.emplace_back("--");
  const auto payload = payload_command(run);
  argv.insert(argv.end(), payload.begin(), payload.end());
  return argv;
}

void name_launcher(Start& start, std::string_view variable) {
  const std::string script = "export " + std::string(variable) + "=$$; exec \"$@\"";
  start.argv.insert(start.argv.begin(), {"/bin/sh", "-c", script, "sh"});
}

// As an activator does it: the sockets from 3 on, and the variables that announce them.
void activate(const Run& run, Start& start, Handed& handed) {
  std::vector<std::string> names;
  for (const ListenSpec& spec : run.inherited) {
    handed.sockets.push_back(open_listening(spec));
    start.pass.emplace_back(handed.sockets.back().fd.get(),
                            listen_fds_start + static_cast<int>(names.size()));
    names.push_back(spec.name.value_or(std::string(unnamed_socket)));
  }
  if (names.empty()) return;
  start.environment.push_back("LISTEN_FDS=" + std::to_string(names.size()));
  if (run.inherited_names) start.environment.push_back("LISTEN_FDNAMES=" + join_fdnames(names));
  name_launcher(start, listen_pid_name);
}

Start prepare(const Run& run, const std::string& directory, const std::string& trace, Handed& handed) {
  Start start;
  if (run.wrapper) write_wrapper(*run.wrapper, directory);
  start.argv = launcher_command(run, directory);
  start.closed = run.closed_stdio;
  start.environment.push_back(std::string(trace_name) + "=campaign:" + trace);
  activate(run, start, handed);
  if (run.watchdog) {
    start.environment.push_back(std::string(watchdog_usec_name) + "=60000000");
    name_launcher(start, watchdog_pid_name);
  }
  int number = listen_fds_start + static_cast<int>(run.inherited.size());
  for (int i = 0; i < run.preserved; ++i) pass(start, handed, file_of_nothing("preserved"), number++);
  // Far enough away not to look like what a doubled --preserve-fds keeps.
  number = listen_fds_start + 2 * run.sockets() + run.preserved + 20;
  for (int i = 0; i < run.strays; ++i) pass(start, handed, file_of_nothing("stray"), number += 2);
  if (!run.sdnotify.empty()) {
    handed.notify = notify_socket();
    start.environment.push_back(std::string(notify_socket_name) + '=' + std::string(notify_address));
  }
  return start;
}

// Lets the payload go on until it has been seen from outside.
void wait_for_look(Program& program, const test::TraceWatch& trace) {
  if (trace.wait_for(R"("hop":"payload","moment":"running")", 1, program.pid())) program.signal(SIGTERM);
}

// A monitor shows what it holds after each signal that it has passed on.
void signal_several_times(Program& program, const test::TraceWatch& trace) {
  constexpr std::size_t times = 3;
  if (!trace.wait_for(R"("hop":"payload","moment":"running")", 1, program.pid())) return;
  for (std::size_t seen = 1; seen <= times; ++seen) {
    program.signal(SIGWINCH);
    if (!trace.wait_for(R"("hop":"monitor","moment":"running")", seen, program.pid())) return;
  }
  program.signal(SIGTERM);
}

Result run_chain(const Run& run, const Start& start, const test::TraceWatch& trace) {
  Program program(start);
  if (run.payload == Payload::stranger) wait_for_look(program, trace);
  if (run.payload == Payload::waits) signal_several_times(program, trace);
  return program.finish();
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

}  // namespace

Outcome execute(const Run& run, const std::string& directory) {
  const std::string path = directory + "/trace";
  const test::TraceWatch trace(path);
  Handed handed;
  const Start start = prepare(run, directory, path, handed);
  Outcome outcome;
  outcome.command = join(start.argv);
  const Result result = run_chain(run, start, trace);
  end_all_children();
  constexpr int usage_status = 2;
  outcome.refused = result.status.exit_status() == usage_status && !run.faults.empty();
  if (outcome.refused) return outcome;
  outcome.findings = judge(read_trace(path).runs.front()).findings;
  ::unlink(path.c_str());
  return outcome;
}

}  // namespace fdchain::campaign
