#include "integration/real/cells/cells.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fdchain/judge/judge.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/trace.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/program.h"
#include "integration/harness/rootfs.h"
#include "integration/real/monitored.h"
#include "integration/real/podman.h"
#include "tests/support/child.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

/// What a chain is started with, open for as long as it runs, and the names that the cells call it by.
struct Surroundings {
  TemporaryDirectory directory;
  std::vector<Opened> sockets;
  std::vector<OwnedFd> strays;
  std::vector<std::pair<FdRow, std::string>> known;

  [[nodiscard]] std::string file(const std::string& name) const { return directory.file(name); }
};

void open_all(const Input& input, Surroundings& around, Start& start) {
  for (int i = 0; i < input.sockets; ++i) {
    const ListenSpec spec = parse_listen_spec("unix:" + around.file("s" + std::to_string(i)));
    around.sockets.push_back(open_listening(spec));
    const int fd = around.sockets.back().fd.get();
    start.pass.emplace_back(fd, listen_fds_start + i);
    around.known.emplace_back(*observe_fd(fd), "S" + std::to_string(i + 1));
  }
  for (const int number : input.strays) {
    const std::string path = around.file("stray" + std::to_string(number));
    around.strays.emplace_back(check(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open", path));
    start.pass.emplace_back(around.strays.back().get(), number);
    around.known.emplace_back(*observe_fd(around.strays.back().get()), "X" + std::to_string(number));
  }
  start.closed = input.closed;
}

// An activator's words, said in the process that execs the chain.
std::vector<std::string> announced(const Input& input, std::vector<std::string> command) {
  std::string script;
  const std::string count = input.listen_fds.empty() ? std::to_string(input.sockets) : input.listen_fds;
  if (input.sockets > 0 || !input.listen_fds.empty()) {
    script += "export LISTEN_FDS=" + count + "; ";
    if (input.listen_pid != "none")
      script += "export LISTEN_PID=" + (input.listen_pid == "self" ? "$$" : input.listen_pid) + "; ";
    std::vector<std::string> names;
    for (int i = 0; i < input.sockets; ++i) names.push_back("n" + std::to_string(i));
    if (input.named) script += "export LISTEN_FDNAMES=" + join_fdnames(names) + "; ";
  }
  command.insert(command.begin(), {"sh", "-c", script + "exec \"$@\"", "sh"});
  return command;
}

std::string name_of(const Surroundings& around, const HopRecord& record, const FdRow& row) {
  for (const auto& [known, name] : around.known) {
    if (row.device == known.device && row.inode == known.inode) return name;
  }
  for (const auto& [variable, name] :
       {std::pair(sync_pipe_name, "sync"), std::pair(start_pipe_name, "start")}) {
    const auto found = record.environment.find(std::string(variable));
    if (record.hop == Hop::monitor && found != record.environment.end() &&
        found->second == std::to_string(row.number))
      return name;
  }
  return "own " + (row.socket ? "socket" : row.type);
}

std::string describe(const Surroundings& around, const HopRecord& record) {
  std::ostringstream text;
  for (const FdRow& row : record.fds) {
    // The native dialect's sync pipe, which an OCI runtime has not; it ends with the exec.
    const bool native_pipe = record.hop == Hop::runtime_shim && row.type == "UNIX-SEQPACKET";
    if (row.number >= listen_fds_start && !native_pipe)
      text << row.number << '=' << name_of(around, record, row) << ' ';
  }
  for (int number = 0; number < listen_fds_start; ++number) {
    const bool open = std::ranges::any_of(record.fds, [&](const FdRow& row) { return row.number == number; });
    if (!open) text << number << "=closed ";
  }
  for (const auto name : {listen_fds_name, listen_fdnames_name, listen_pid_name}) {
    const auto found = record.environment.find(std::string(name));
    if (found == record.environment.end()) continue;
    std::string value = found->second;
    if (name == listen_pid_name && value == std::to_string(record.pid_in_namespace) && value != "1")
      value = "self";
    // Whoever is meant: it is not the one who is told.
    else if (name == listen_pid_name && value != "1" &&
             value.find_first_not_of("0123456789") == std::string::npos)
      value = "another";
    text << name.substr(name.find('_') + 1) << '=' << value << ' ';
  }
  std::string said = text.str();
  if (!said.empty()) said.pop_back();
  return said.empty() ? "nothing" : said;
}

// Whose doing what is, without where it was seen: of ours more is recorded.
std::string verdict_on(const std::vector<HopRecord>& records) {
  std::string text;
  for (const Finding& finding : judge(records).findings) {
    text.append(text.empty() ? "" : "; ").append(finding.id).append(" by ");
    text.append(finding.culprit ? to_string(*finding.culprit) : "nobody");
  }
  return text.empty() ? "nothing" : text;
}

// What the hops wrote, and what the payload said.
Cells cells_of(const Surroundings& around, const std::string& trace, const std::string& said,
               const std::string& status) {
  Cells cells{{"monitor", "not started"}, {"runtime-shim", "not started"}, {"payload", "not started"}};
  cells["status"] = status;
  cells["judge"] = "nothing";
  if (fs::exists(trace) && fs::file_size(trace) > 0) {
    const TraceContent content = read_trace(trace);
    cells["judge"] = verdict_on(content.runs.front());
    for (const HopRecord& record : content.runs.front()) {
      const bool wanted =
          record.moment == Moment::arrival && (record.hop == Hop::monitor || record.hop == Hop::runtime_shim);
      if (wanted) cells[std::string(to_string(record.hop))] = describe(around, record);
    }
  }
  const std::size_t open = said.find('{');
  if (open == std::string::npos) return cells;
  const std::string line = said.substr(open, said.find('\n', open) - open);
  auto decoded = decode_record(line);
  if (auto* const record = std::get_if<HopRecord>(&decoded)) cells["payload"] = describe(around, *record);
  return cells;
}

// A k8s log, without its times; long lines are in several parts.
std::string from_log(const std::string& path) {
  std::string text;
  std::istringstream lines(fs::exists(path) ? read_file(path) : "");
  for (std::string line; std::getline(lines, line);) {
    std::size_t at = line.find(' ');
    at = line.find(' ', at + 1);
    if (at == std::string::npos || at + 3 > line.size()) continue;
    text += line.substr(at + 3) + (line[at + 1] == 'F' ? "\n" : "");
  }
  return text;
}

std::vector<std::string> payload_words(const Input& input) {
  if (input.wrapped) return {"/bin/sh", "-c", "/payload report; exit $?"};
  return {"/payload", "report"};
}

std::string status_text(WaitStatus status) { return std::to_string(status.exit_status()); }

// podman itself has no such version here; what it gives conmon can be had by its configuration.
void write_configuration(const Input& input, const Surroundings& around, Start& start) {
  std::ofstream file(around.file("containers.conf"));
  file << "[engine]\n";
  if (input.later) {
    file << "conmon_env_vars = [\"LISTEN_FDS=" << input.sockets << "\", \"LISTEN_PID=999999\"";
    std::vector<std::string> names;
    for (int i = 0; i < input.sockets; ++i) names.push_back("n" + std::to_string(i));
    if (input.named) file << ", \"LISTEN_FDNAMES=" << join_fdnames(names) << '"';
    file << "]\n";
  }
  start.environment.push_back("CONTAINERS_CONF=" + around.file("containers.conf"));
}

}  // namespace

Cells run_real(const Input& input, const std::string& runtime) {
  Surroundings around;
  Start start;
  open_all(input, around, start);
  const Podman podman(around.directory.path(), real_conmon,
                      runtime == "crun" ? "/usr/bin/crun" : "/usr/sbin/runc");
  std::vector<std::string> options{"--log-driver=k8s-file", "--log-opt", "path=" + around.file("log")};
  if (input.preserve_fds > 0) options.push_back("--preserve-fds=" + std::to_string(input.preserve_fds));
  if (input.host_pid) options.emplace_back("--pid=host");
  if (input.detach) options.insert(options.end(), {"-d", "--name", "c"});
  std::vector<std::string> words = podman.run(options, payload_words(input));
  words.insert(words.begin(), {bin("launcher"), "trace", "--trace", around.file("trace"), "--"});
  start.argv = announced(input, podman.placed(words));
  write_configuration(input, around, start);
  const Result result = run(start);
  std::string status = status_text(result.status);
  if (input.detach) {
    Start wait;
    wait.argv = podman.placed(podman.command({"wait", "c"}));
    status += ", then " + std::to_string(std::stoi("0" + run(wait).out));
  }
  return cells_of(around, around.file("trace"), from_log(around.file("log")), status);
}

Cells run_ours(const Input& input, const std::string& runtime) {
  Surroundings around;
  Start start;
  open_all(input, around, start);
  make_rootfs(around.file("root"), true);
  std::vector<std::string> words{bin("launcher"),
                                 "--profile",
                                 input.later ? "podman-4.8" : "podman-4.3",
                                 "--profile",
                                 "runtime-shim=" + runtime,
                                 "--trace",
                                 around.file("trace"),
                                 "--network",
                                 "none",
                                 "--log",
                                 "k8s-file:" + around.file("log"),
                                 "--exit-file",
                                 around.file("exit"),
                                 "--rootfs",
                                 around.file("root")};
  if (input.preserve_fds > 0)
    words.insert(words.end(), {"--preserve-fds", std::to_string(input.preserve_fds)});
  if (input.host_pid) words.insert(words.end(), {"--pid", "host"});
  if (input.detach) words.emplace_back("--detach");
  words.emplace_back("--");
  for (const std::string& word : payload_words(input)) words.push_back(word);
  start.argv = announced(input, words);
  const Result result = run(start);
  std::string status = status_text(result.status);
  if (input.detach) ChainTest::expect_nobody_left();
  if (input.detach) status += ", then " + read_file(around.file("exit"));
  return cells_of(around, around.file("trace"), from_log(around.file("log")), status);
}

}  // namespace fdchain::test
