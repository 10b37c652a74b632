// The monitor beside the real conmon, over the same fake runtimes: nobody can tell them apart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "integration/real/conmon_fixture.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Case {
  std::string name;
  std::string payload;  ///< of the fake runtime; with `runtime` the runtime itself
  Words options;
  Words environment;
  std::string log = "k8s-file:";
  bool runtime = false;
  bool go = true;
  bool full_attach = true;
};

void PrintTo(const Case& instance, std::ostream* out) { *out << instance.name; }

const Words api{"--api-version"};

const std::vector<Case> cases{
    {"plain", "echo out; echo err >&2; exit 5", api, {}},
    {"legacy_key", "exit 5", {}, {}},
    {"by_signal", "kill -9 $$", api, {}},
    {"partial_line", "printf 'one\\ntwo'", api, {}},
    {"long_line",
     "(head -c 20000 /dev/zero | tr '\\0' x; echo) > $0.x; dd if=$0.x bs=30000 count=1 2>/dev/null",
     api,
     {}},
    {"size_max", "seq 100 > $0.x; cat $0.x", {"--api-version", "--log-size-max", "500"}, {}},
    {"global_size_max", "seq 100 > $0.x; cat $0.x", {"--api-version", "--log-global-size-max", "500"}, {}},
    {"no_log", "echo out", api, {}, "none"},
    {"persist", "exit 3", {"--api-version", "--persist-dir", "DIR/persist"}, {}},
    {"sync", "exit 6", {"--api-version", "--sync"}, {}},
    {"exec", "exit 9", {"--api-version", "-e", "--exec-process-spec", "/spec"}, {}},
    {"legacy_exec", "exit 9", {"-e", "--exec-process-spec", "/spec"}, {}},
    {"timeout", "exec sleep 100", {"--api-version", "--timeout", "1"}, {}},
    {"timeout_of_exec",
     "exec sleep 100",
     {"--api-version", "--timeout", "1", "-e", "--exec-process-spec", "/s"},
     {}},
    {"no_go", "exit 4", api, {}, "k8s-file:", false, false},
    {"exit_command",
     "exit 4",
     {"--api-version", "--exit-command", "DIR/exit-command", "--exit-command-arg", "a b",
      "--exit-command-arg", "-c"},
     {}},
    {"exit_delay",
     "exit 4",
     {"--api-version", "--exit-command", "DIR/exit-command", "--exit-delay", "1"},
     {}},
    {"refused_create",
     "echo '{\"q\"} \\ boom' >&2; exit 3",
     {"--api-version", "--exit-command", "DIR/exit-command"},
     {},
     "k8s-file:",
     true},
    {"refused_create_sync", "echo boom >&2; exit 3", {"--sync"}, {}, "k8s-file:", true},
    {"refused_exec",
     "echo boom >&2; exit 3",
     {"--api-version", "-e", "--exec-process-spec", "/s"},
     {},
     "none",
     true},
    {"what_the_runtime_gets",
     "echo \"$@\" | sed \"s#$PWD##g\" >&2; exit 1",
     {"--api-version", "--runtime-arg", "--root", "--runtime-arg=/r", "-s", "--no-pivot", "--runtime-opt",
      "--x"},
     {},
     "none",
     true},
    {"restore", "exit 5", {"--api-version", "--restore", "/checkpoint"}, {}},
    {"refused_restore",
     "echo boom >&2; exit 3",
     {"--api-version", "--restore", "/checkpoint"},
     {},
     "none",
     true},
    {"what_the_runtime_gets_to_restore",
     "echo \"$@\" | sed \"s#$PWD##g\" >&2; exit 1",
     {"--api-version", "--restore", "/checkpoint", "--restore-arg", "--tcp-established", "--runtime-arg",
      "--a", "--no-pivot"},
     {},
     "none",
     true},
    {"link_to_the_bundle",
     "exit 5",
     {"--api-version", "--socket-dir-path", "DIR/persist"},
     {},
     "none",
     false,
     true,
     false},
    {"link_to_the_bundle_in_the_place_of_another",
     "exit 5",
     {"--api-version", "--socket-dir-path", "DIR/links"},
     {},
     "none",
     false,
     true,
     false},
    {"no_link_where_clients_know_the_bundle",
     "exit 5",
     {"--api-version", "--socket-dir-path", "DIR/persist"},
     {}},
    {"what_the_runtime_gets_with_a_terminal",
     "echo \"$@\" | sed \"s#$PWD##g; s#/tmp/conmon-term[^ ]*#TERMINAL#\" >&2; exit 1",
     {"--api-version", "-t"},
     {},
     "none",
     true},
    {"what_the_runtime_gets_for_an_exec_with_a_terminal",
     "echo \"$@\" | sed \"s#$PWD##g; s#/tmp/conmon-term[^ ]*#TERMINAL#\" >&2; exit 1",
     {"--api-version", "-te", "--exec-process-spec", "/s", "--runtime-opt", "--x"},
     {},
     "none",
     true},
    {"lines_across_reads", "printf two; until grep -q two log; do :; done; printf -- '-cont\\n'", api, {}},
    {"listen_pid_is_left",
     "echo \"$LISTEN_PID $LISTEN_FDS\" >&2; exit 1",
     api,
     {"LISTEN_PID=77", "LISTEN_FDS=2"},
     "none",
     true},
    {"listen_pid_is_replaced",
     "[ $LISTEN_PID = $$ ] && echo \"mine $LISTEN_FDS\" >&2; exit 1",
     {"--api-version", "--replace-listen-pid"},
     {"LISTEN_PID=77", "LISTEN_FDS=2"},
     "none",
     true},
};

class BesideConmon : public Conmon, public ::testing::WithParamInterface<Case> {
 protected:
  std::string outcome(const std::string& program) {
    const Case& instance = GetParam();
    MonitorStart start = call(program, instance.payload, instance.options);
    if (instance.runtime) write_script(start.runtime, instance.payload);
    for (std::string& option : start.options) {
      if (option.starts_with("DIR/")) option.replace(0, 3, start.directory);
    }
    fs::create_directory(start.directory + "/persist");
    fs::create_directory(start.directory + "/links");
    fs::create_symlink("/nowhere", start.directory + "/links/container-0123456789");
    write_script(start.directory + "/exit-command", "echo \"$# $*\" > '" + start.directory +
                                                        "/exit-command-said'\nls /proc/self/fd | wc -l >> '" +
                                                        start.directory + "/exit-command-said'\n");
    start.environment = instance.environment;
    start.log = instance.log;
    start.go = instance.go;
    start.full_attach = instance.full_attach;
    const std::string directory = start.directory;
    std::string text = Monitored(std::move(start)).outcome();
    for (std::size_t at = 0; (at = text.find(directory)) != std::string::npos;)
      text.replace(at, directory.size(), "DIR");
    return text;
  }
};

TEST_P(BesideConmon, CannotBeToldApart) {
  const std::string conmons = outcome(real_conmon);
  EXPECT_EQ(outcome(bin("monitor")), conmons);
  EXPECT_THAT(conmons, StartsWith("foreground: "));
}

INSTANTIATE_TEST_SUITE_P(All, BesideConmon, ::testing::ValuesIn(cases),
                         [](const auto& param_info) { return param_info.param.name; });

// --- killed for want of memory, in a memory cgroup of version 1 or 2, whichever this machine has ---

/// A cgroup with eight megabytes and no swap, until the end of its scope.
class SmallCgroup {
 public:
  SmallCgroup() {
    const bool version_2 = fs::exists("/sys/fs/cgroup/cgroup.subtree_control");
    path_ = std::string(version_2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory") + "/fdchain-small-" +
            std::to_string(::getpid());
    fs::create_directory(path_);
    std::ofstream(path_ + (version_2 ? "/memory.max" : "/memory.limit_in_bytes")) << "8M" << std::flush;
    std::ofstream(path_ + (version_2 ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"))
        << (version_2 ? "0" : "8M") << std::flush;
  }
  ~SmallCgroup() {
    ChainTest::expect_nobody_left();
    std::error_code busy;
    fs::remove(path_, busy);
    EXPECT_FALSE(busy) << path_ << ": " << busy.message();
  }
  SmallCgroup(const SmallCgroup&) = delete;
  SmallCgroup& operator=(const SmallCgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class OutOfMemory : public Conmon {
 protected:
  /// What is to be seen of a container in `cgroup` that has run `payload` since a client has said `go`.
  std::string outcome(const std::string& program, const SmallCgroup& cgroup, const std::string& payload) {
    MonitorStart start = call(program, "read go; " + payload, {"--api-version", "-i"});
    start.options.insert(start.options.end(), {"--persist-dir", start.directory + "/persist"});
    fs::create_directory(start.directory + "/persist");
    let_runtime(start, "echo $$ > " + cgroup.path() + "/cgroup.procs");
    const std::string bundle = start.directory;
    Monitored monitored(std::move(start));
    monitored.container();
    // As soon as a client is heard the cgroup is watched, by conmon too.
    const OwnedFd client = attach_to(bundle);
    EXPECT_EQ(::send(client.get(), "go\n", 3, 0), 3);
    return monitored.outcome();
  }
};

TEST_F(OutOfMemory, IsToldAsConmonTellsIt) {
  const SmallCgroup cgroup;
  // conmon does not look once more at the end, so this container stays until it has been told.
  const std::string payload =
      "tail /dev/zero; for try in $(seq 600); do [ -e persist/oom ] && exit 5; sleep 0.1; done";
  const std::string conmons = outcome(real_conmon, cgroup, payload);
  EXPECT_THAT(conmons, ContainsRegex(" oom.* persist/oom"));
  EXPECT_EQ(outcome(bin("monitor"), cgroup, payload), conmons);
}

TEST_F(OutOfMemory, IsToldAlsoOfAContainersLastAct) {
  const SmallCgroup cgroup;
  EXPECT_THAT(outcome(bin("monitor"), cgroup, "exec tail /dev/zero"),
              AllOf(HasSubstr("exit file: 137\n"), ContainsRegex(" oom.* persist/oom")));
}

TEST_F(OutOfMemory, IsNotToldOfWhoStaysWithinTheLimit) {
  const SmallCgroup cgroup;
  EXPECT_THAT(outcome(bin("monitor"), cgroup, "exit 5"),
              AllOf(HasSubstr("exit file: 5\n"), Not(HasSubstr("oom"))));
}

// --- syslog ---

class Syslog : public Conmon {
 protected:
  Syslog() {
    fs::create_directory(file("dev"));
    syslog_ = bind_datagram(file("dev/log"));
  }
  /// What syslog is told when the runtime does `act`, line by line, without the time.
  std::vector<std::string> told(const std::string& program, const std::string& act, const Words& options) {
    MonitorStart start = call(after("-m",
                                    "touch '" + file("dev/null") + "' && mount --bind /dev/null '" +
                                        file("dev/null") + "' && mount --rbind '" + file("dev") + "' /dev",
                                    program),
                              "", options);
    write_script(start.runtime, act);
    Monitored(std::move(start)).outcome();
    std::vector<std::string> lines;
    for (std::string line(70'000, '\0');; line.resize(70'000)) {
      const ssize_t size = ::recv(syslog_.get(), line.data(), line.size(), MSG_DONTWAIT);
      if (size < 0) return lines;
      line.resize(static_cast<std::size_t>(size));
      line.resize(line.find_last_not_of(" \n") + 1);
      lines.push_back(std::regex_replace(line, std::regex(R"(^(<\d+>)\w+ +\d+ \d\d:\d\d:\d\d )"), "$1"));
    }
  }

  OwnedFd syslog_;
};

TEST_F(Syslog, IsToldWhatConmonTellsIt) {
  const Words options{"--api-version", "--syslog"};
  for (const std::string act : {"echo boom >&2; exit 3", "echo boom >&2; kill -9 $$"}) {
    const std::vector<std::string> conmons = told(real_conmon, act, options);
    EXPECT_THAT(conmons, ElementsAre("<14>conmon: conmon container <nwarn>: runtime stderr: boom",
                                     StartsWith("<11>conmon: conmon container <error>: ")));
    EXPECT_EQ(told(bin("monitor"), act, options), conmons);
  }
}

TEST_F(Syslog, HasAnIdCutShortAsConmonCutsIt) {
  const Words options{"--api-version", "--syslog", "--cid", "0123456789012345678901234567890"};
  const std::vector<std::string> conmons = told(real_conmon, "echo boom >&2; exit 3", options);
  EXPECT_EQ(conmons.size(), 2U);
  EXPECT_EQ(told(bin("monitor"), "echo boom >&2; exit 3", options), conmons);
}

TEST_F(Syslog, IsToldWhyNothingHasCome) {
  EXPECT_THAT(told(bin("monitor"), "exit 0", {"--api-version", "--syslog"}),
              ElementsAre(AllOf(StartsWith("<11>conmon: conmon container <error>: "),
                                HasSubstr("said nothing of the container's pid"))));
  EXPECT_THAT(told(bin("monitor"), "exit 0", {"--api-version", "--syslog", "-b", file("nowhere")}),
              ElementsAre(HasSubstr("nowhere: No such file or directory")));
}

TEST_F(Syslog, IsToldNothingUnasked) {
  for (const std::string& program : {std::string(real_conmon), bin("monitor")})
    EXPECT_THAT(told(program, "echo boom >&2; exit 3", {"--api-version"}), ::testing::IsEmpty());
}

// --- what the table above cannot say ---

class BesideConmonAlone : public Conmon {
 protected:
  /// How `program` with these words ends over a runtime that does `act`, and which files it leaves in its
  /// working directory; `environment` is what a shell exports.
  std::string ends(const std::string& program, const Words& words, const std::string& act,
                   const std::string& environment = "A=b") {
    const MonitorStart start = call(program, act);
    Start alone;
    alone.argv = {"sh",          "-c",        "export " + environment + "; exec \"$@\"",
                  "sh",          program,     "--sync",
                  "-c",          "container", "-r",
                  start.runtime, "-l",        "none"};
    alone.argv.insert(alone.argv.end(), words.begin(), words.end());
    alone.working_directory = start.directory;
    const Result result = run(alone);
    expect_nobody_left();
    std::string text = result.status.describe() + ": " + result.out + result.err;
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(start.directory))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    for (const std::string& name : names) text += ' ' + name;
    return text;
  }
};

TEST_F(BesideConmonAlone, WithoutPathsTheWorkingDirectoryServes) {
  const Words create{"--api-version", "-u", "container-0123456789", "--full-attach"};
  const std::string conmons = ends(real_conmon, create, "exit 6");
  EXPECT_EQ(conmons, "exited with status 6:  ctl pidfile-container winsz");
  EXPECT_EQ(ends(bin("monitor"), create, "exit 6"), conmons);
  const Words exec{"-e", "--exec-process-spec", "/s"};
  const std::string of_exec = ends(real_conmon, exec, "exit 6");
  EXPECT_EQ(of_exec, "exited with status 6:  pidfile-container");
  EXPECT_EQ(ends(bin("monitor"), exec, "exit 6"), of_exec);
}

TEST_F(BesideConmonAlone, ListenPidOfTheMonitorItselfBecomesTheRuntimes) {
  const Words words{"--api-version", "-u", "container-0123456789", "--full-attach"};
  for (const std::string& program : {std::string(real_conmon), bin("monitor")}) {
    const MonitorStart start = call(program, "exit 6");
    let_runtime(start, "echo $(($LISTEN_PID - $$)) > listen-pid");
    Start alone;
    alone.argv = as_activated({program, "--sync", "-c", "container", "-r", start.runtime, "-l", "none"});
    alone.argv.insert(alone.argv.end(), words.begin(), words.end());
    alone.environment = {"LISTEN_FDS=0"};
    alone.working_directory = start.directory;
    EXPECT_EQ(run(alone).status, WaitStatus::for_exit_code(6));
    EXPECT_EQ(read_file(start.directory + "/listen-pid"), "0\n");
    expect_nobody_left();
  }
}

TEST_F(BesideConmonAlone, TheMonitorIsADaemonWithoutStdio) {
  for (const std::string& program : {std::string(real_conmon), bin("monitor")}) {
    MonitorStart start = call(program, "read go; exit 5", {"--api-version", "-i"});
    const std::string bundle = start.directory;
    Monitored monitored(std::move(start));
    monitored.container();
    const OwnedFd client = attach_to(bundle);
    const pid_t monitor = monitored.monitor();
    EXPECT_EQ(::getsid(monitor), monitor);
    for (const std::string number : {"0", "1", "2"})
      EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(monitor) + "/fd/" + number), "/dev/null");
    EXPECT_EQ(::send(client.get(), "go\n", 3, 0), 3);
    EXPECT_THAT(monitored.outcome(), HasSubstr("exit file: 5\n"));
  }
}

TEST_F(Conmon, RefusesWhatConmonRefusesInTheSameWay) {
  const auto verdict = [&](const std::string& program, const Words& words) {
    Start start;
    start.argv = words;
    start.argv.insert(start.argv.begin(), program);
    start.working_directory = directory_.path();
    const Result result = run(start);
    return result.status.describe() + (result.out.empty() ? "" : ", on stdout") +
           (result.err.empty() ? "" : ", on stderr");
  };
  const Words base{"--api-version", "-c", "a", "-u", "a", "-r", "/bin/true"};
  for (Words more : std::vector<Words>{{"--bogus"},
                                       {"-Z"},
                                       {"-l"},
                                       {"--timeout", "abc"},
                                       {"--timeout", "99999999999"},
                                       {},
                                       {"-l", ""},
                                       {"-l", "bogus:x"},
                                       {"-l", "k8s-file"},
                                       {"-l", "journald"},
                                       {"-l", "/nonexistent/x"},
                                       {"-l", "log", "--log-tag", "x"},
                                       {"-l", "none", "-r", "/nonexistent"},
                                       {"-l", "none", "-e"},
                                       {"-l", "none", "--exec-attach"},
                                       {"-l", "none", "-e", "--restore", "x"},
                                       {"-l", "none", "--log-level", "loud"},
                                       {"-l", "none", "--exit-delay", "-1"},
                                       {"-l", "none", "-P", "/nonexistent/pid"},
                                       {"--version"},
                                       {"--version=x", "--sync=y", "stray", "-ti"},
                                       {"--help"}}) {
    more.insert(more.begin(), base.begin(), base.end());
    const std::string conmons = verdict(real_conmon, more);
    EXPECT_EQ(verdict(bin("monitor"), more), conmons) << ::testing::PrintToString(more);
    expect_nobody_left();
  }
  for (const Words& words : std::vector<Words>{{"-c", "a"}, {"-u", "a"}, {"-c", "a", "-u", "a"}})
    EXPECT_EQ(verdict(bin("monitor"), words), verdict(real_conmon, words)) << ::testing::PrintToString(words);
}

// Callers look for its words; and which of two mistakes is told is the order in which it looks.
TEST_F(Conmon, RefusesInConmonsWordsAndOrder) {
  const auto words_of = [&](const std::string& program, const Words& words) {
    Start start;
    start.argv = words;
    start.argv.insert(start.argv.begin(), program);
    start.working_directory = directory_.path();
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
    return result.out + result.err;
  };
  const Words base{"--api-version", "-c", "a", "-u", "a", "-r", "/bin/true"};
  for (Words more : std::vector<Words>{{},
                                       {"-r", "/nonexistent"},
                                       {"-r", "/nonexistent", "-e", "--exit-delay", "-1"},
                                       {"-r", "/etc/passwd", "-l", "bogus:x"},
                                       {"-l", "", "-r", "/nonexistent"},
                                       {"-l", ""},
                                       {"-l", ":"},
                                       {"-l", "bogus:x"},
                                       {"-l", "k8s-file"},
                                       {"-l", "k8s-file:"},
                                       {"-l", "journald"},
                                       {"-l", "log", "--log-tag", "x"},
                                       {"-l", "none", "-e"},
                                       {"-l", "none", "--exec-attach"},
                                       {"-l", "none", "-e", "--restore", "x"},
                                       {"-l", "none", "--log-level", "loud"},
                                       {"-l", "none", "--exit-delay", "-1"}}) {
    more.insert(more.begin(), base.begin(), base.end());
    EXPECT_EQ(words_of(bin("monitor"), more), words_of(real_conmon, more)) << ::testing::PrintToString(more);
  }
  for (const Words& words : std::vector<Words>{{"-c", "a"}, {"-u", "a"}, {"-c", "a", "-u", "a"}})
    EXPECT_EQ(words_of(bin("monitor"), words), words_of(real_conmon, words));
  // Ours names the file, too.
  Words log = base;
  log.insert(log.end(), {"-l", "/nonexistent/x"});
  EXPECT_EQ(words_of(bin("monitor"), log),
            "[conmon:e]: Failed to open log file /nonexistent/x: No such file or directory\n");
  EXPECT_EQ(words_of(real_conmon, log), "[conmon:e]: Failed to open log file No such file or directory\n");
}

}  // namespace
}  // namespace fdchain::test
