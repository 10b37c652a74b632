// What asking for a trace, a report or a check changes: nothing but what was asked for.

#include "fdchain/protocol/trace.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>

#include "fdchain/judge/judge.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/trace_watch.h"

namespace fdchain::test {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

using Words = std::vector<std::string>;

std::vector<std::string> words(std::vector<std::string> first, const std::vector<std::string>& then) {
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

// What a payload says of itself with whatever differs between two runs of the same command left out.
std::string comparable(const std::string& report) {
  json::object object = json::parse(report).as_object();
  for (const auto* const key : {"run", "time_ns", "pid", "ppid", "sid", "pid_in_namespace", "pidfdid"})
    object.erase(key);
  json::object& environment = object["environment"].as_object();
  for (const auto* const name : {"LISTEN_PID", "LISTEN_PIDFDID"}) {
    if (environment.contains(name)) environment[name] = "(its own)";
  }
  for (json::value& row : object["fds"].as_array()) {
    row.as_object().erase("inode");
    static const std::regex inode("\\[[0-9]+\\]");
    row.at("name") = std::regex_replace(std::string(row.at("name").as_string()), inode, "[N]");
    if (auto* const socket = row.as_object().if_contains("socket")) socket->as_object().erase("cookie");
  }
  return json::serialize(object);
}

/// A way to start a chain, and what its payload leaves.
struct Way {
  std::string label;
  std::vector<std::string> options;
  std::vector<std::string> payload{"payload", "report"};
  int inherited = 0;  // sockets of an activator
  int preserved = 0;  // files after them
  std::vector<int> closed = {};
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.label; }

class TracedAndUntraced : public ChainTest, public ::testing::WithParamInterface<Way> {
 protected:
  // Runs it with these options besides; the status, what was said, and the report from wherever it went.
  struct Outcome {
    WaitStatus status{0};
    std::string err;
    std::string report;
    std::string environment;
  };

  Outcome run_with(const std::vector<std::string>& options) {
    const Way& way = GetParam();
    Start start;
    start.argv = words(words({bin("launcher")}, words(way.options, options)), way.payload);
    for (std::string& word : start.argv) {
      if (word == "k8s-file:LOG") word = "k8s-file:" + file("log");
    }
    if (way.inherited > 0) {
      start.argv = as_activated(start.argv);
      start.environment = {"LISTEN_FDS=" + std::to_string(way.inherited)};
    }
    start.closed = way.closed;
    int number = 3;
    for (int i = 0; i < way.inherited; ++i)
      start.pass.emplace_back(sockets_[static_cast<std::size_t>(i)].fd.get(), number++);
    for (int i = 0; i < way.preserved; ++i) start.pass.emplace_back(file_.get(), number++);
    Result result = run(start);
    if (way.label == "detached") expect_nobody_left();
    Outcome outcome{
        result.status, std::regex_replace(result.err, std::regex("pid [0-9]+"), "pid N"), result.out, {}};
    if (fs::exists(file("log"))) {
      outcome.report = read_file(file("log"));
      outcome.report = outcome.report.substr(std::min(outcome.report.size(), outcome.report.find(" F ") + 3));
      fs::remove(file("log"));
    }
    return outcome;
  }

  std::vector<Opened> sockets_ = [] {
    std::vector<Opened> opened;
    for (const auto* const text : {"tcp:9001", "udp:9002"})
      opened.push_back(open_listening(parse_listen_spec(text)));
    return opened;
  }();
  OwnedFd file_{check(::open("/etc/passwd", O_RDONLY | O_CLOEXEC), "open")};
};

TEST_P(TracedAndUntraced, RunsAreEqual) {
  const Outcome untraced = run_with({});
  const Outcome traced = run_with({"--trace", file("trace")});
  EXPECT_EQ(traced.status, untraced.status);
  EXPECT_EQ(traced.err, untraced.err);
  if (GetParam().payload.back() == "report") {
    EXPECT_EQ(comparable(traced.report), comparable(untraced.report));
    EXPECT_THAT(untraced.report, HasSubstr("\"fds\""));
  }
  EXPECT_THAT(read_trace(file("trace")).runs, ::testing::SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(
    All, TracedAndUntraced,
    ::testing::Values(
        Way{.label = "opened", .options = {"--listen", "tcp:8080,name=web", "--listen", "udp:8081"}},
        Way{.label = "inherited", .options = {}, .inherited = 2},
        Way{.label = "inherited_and_opened", .options = {"--listen", "tcp:8080"}, .inherited = 2},
        Way{.label = "preserved", .options = {"--listen", "tcp:8080", "--preserve-fds", "2"}, .preserved = 2},
        Way{.label = "logged", .options = {"--listen", "tcp:8080", "--log", "k8s-file:LOG"}},
        Way{.label = "detached", .options = {"--listen", "tcp:8080", "--detach", "--log", "k8s-file:LOG"}},
        Way{.label = "stdin_closed", .options = {"--listen", "tcp:8080"}, .closed = {0}},
        Way{.label = "no_sockets", .options = {}},
        Way{.label = "failing", .options = {"--listen", "tcp:8080"}, .payload = {"sh", "-c", "exit 42"}},
        Way{.label = "killed", .options = {}, .payload = {"sh", "-c", "kill -9 $$"}},
        Way{.label = "not_found", .options = {"--listen", "tcp:8080"}, .payload = {"/no/such/program"}}),
    [](const auto& param_info) { return param_info.param.label; });

class Traced : public ChainTest {
 protected:
  [[nodiscard]] std::string trace() const { return file("trace"); }

  [[nodiscard]] std::vector<HopRecord> records() const { return read_trace(trace()).runs.at(0); }

  [[nodiscard]] static std::vector<std::string> looks(const std::vector<HopRecord>& records) {
    std::vector<std::string> looks;
    for (const HopRecord& record : records)
      looks.push_back(std::string(to_string(record.hop)).append(" ").append(to_string(record.moment)));
    return looks;
  }
};

// All of it, as env(1) prints it.
std::vector<std::string> environment_with(const std::vector<std::string>& options) {
  Start start = launcher(words(options, {"--", "env"}));
  start.environment = {"NOTIFY_SOCKET=/run/nobody", "MINE=1"};
  std::istringstream out(run(start).out);
  std::vector<std::string> lines;
  for (std::string line; std::getline(out, line);) {
    if (!line.starts_with("LISTEN_PID")) lines.push_back(line);
  }
  std::ranges::sort(lines);
  return lines;
}

TEST_F(Traced, PayloadHasTheSameEnvironmentButForTheTrace) {
  const std::vector<std::vector<std::string>> set_ups{{},
                                                      {"--listen", "tcp:8080"},
                                                      {"--listen", "tcp:8080,name=web", "--env", "A=b"},
                                                      {"--sdnotify", "ignore"}};
  for (const std::vector<std::string>& options : set_ups) {
    auto traced = environment_with(words(options, {"--trace", trace()}));
    EXPECT_EQ(
        std::erase_if(traced, [](const std::string& line) { return line.starts_with("FDCHAIN_TRACE="); }),
        1U);
    EXPECT_EQ(traced, environment_with(options));
    EXPECT_THAT(traced, ::testing::Contains("MINE=1"));
  }
}

TEST_F(Traced, RunHasARecordOfEveryHopAndMoment) {
  const TraceWatch watch(trace());
  Program chain(launcher({"--listen", "tcp:8080", "--trace", trace(), "payload", "hold"}));
  // A payload that has ended before its monitor looks is not seen from outside.
  watch.wait_for(R"("hop":"payload","moment":"running")", 1, chain.pid());
  watch.wait_for(R"("hop":"payload","moment":"arrival")", 2, chain.pid());
  chain.signal(SIGTERM);
  (void)chain.finish();
  EXPECT_THAT(
      looks(records()),
      UnorderedElementsAre("launcher arrival", "launcher departure", "monitor arrival", "monitor departure",
                           "monitor running",  // after the signal
                           "monitor after-exit", "runtime-shim arrival", "runtime-shim departure",
                           "payload arrival", "payload arrival",  // its own word, and who follows it
                           "payload running", "launcher after-exit"));
}

TEST_F(Traced, RunOfAMissingMonitorHasNobodyToBlameTheLauncherFor) {
  const Result result = run(
      launcher({"--listen", "tcp:8080", "--monitor", "/nope", "--report", "json:" + file("report"), "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(json::parse(read_file(file("report"))).at("findings").as_array().size(), 0U)
      << read_file(file("report"));
}

TEST_F(Traced, RunGoesOnWhenTheTraceCannotBeWrittenAnyMore) {
  const TraceWatch watch(trace());
  Program chain(launcher({"--trace", trace(), "sh", "-c",
                          "trap 'kill -KILL $!; wait; exit 7' TERM; sleep 100 & echo ready; wait"}));
  chain.wait_for_out("ready");
  watch.wait_for(R"("hop":"payload","moment":"running")", 1, chain.pid());
  std::filesystem::remove(trace());
  std::filesystem::create_directory(trace());
  chain.signal(SIGTERM);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(7));
  EXPECT_THAT(result.err, HasSubstr("monitor: warning: trace: open " + trace() +
                                    ": Is a directory; nothing more is recorded\n"));
}

TEST_F(Traced, ReportThatCannotBeWrittenDoesNotHideThePayloadsStatus) {
  for (const std::string format : {"text", "json"}) {
    const Result result = run(launcher({"--report", format + ":/dev/full", "sh", "-c", "exit 3"}));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(3)) << format;
    EXPECT_EQ(result.err, "launcher: write /dev/full: No space left on device\n");
  }
}

// Whoever asked for a report must not take its absence for one.
TEST_F(Traced, ReportThatCannotBeWrittenIsAFailure) {
  const Result result = run(launcher({"--report", "text:/dev/full", "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(result.err, "launcher: write /dev/full: No space left on device\n");
  Start start;
  start.argv = {"sh", "-c", "exec \"$0\" --report text true 2>/dev/full", bin("launcher")};
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(125));
}

TEST_F(Traced, ReportOnStdoutIsApartFromWhatThePayloadSays) {
  const Result result = run(launcher({"--report", "json:-", "sh", "-c", "echo words >&2"}));
  EXPECT_EQ(result.err, "words\n");
  EXPECT_TRUE(boost::json::parse(result.out).is_object());
}

TEST_F(Traced, ReportOfARunThatNeverWasIsNone) {
  const Result result =
      run(launcher({"--report", "text:" + file("report"), "--listen", "tcp:203.0.113.1:80", "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(result.err,
            "launcher: --listen tcp:203.0.113.1:80: bind: Cannot assign requested address\n"
            "launcher: no report: nothing was handed over\n");
  EXPECT_EQ(read_file(file("report")), "");
}

TEST_F(Traced, ADeviceThatIsOpenElsewhereTooIsNotHeldTooLong) {
  const Result result = run(launcher({"--listen", "special:/dev/null", "--check", "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
}

TEST_F(Traced, AChildThatTheLauncherCameWithIsNobodysZombie) {
  Start start;
  start.argv = {
      "sh",  "-c", "read x & exec \"$@\"", "sh", bin("launcher"), "--report", "json:" + file("report"),
      "true"};
  (void)run(start);
  EXPECT_EQ(json::parse(read_file(file("report"))).at("findings").as_array().size(), 0U)
      << read_file(file("report"));
}

TEST_F(Traced, DetachedRunHasTheRecords) {
  const TraceWatch watch(trace());
  const Detached chain(launcher({"--listen", "tcp:8080", "--trace", trace(), "payload", "hold"}));
  // The launcher returns when the payload runs, which may be before anybody has looked at it.
  watch.wait_for(R"("hop":"payload","moment":"running")", 1, chain.payload());
  watch.wait_for(R"("hop":"payload","moment":"arrival")", 1, chain.payload());
  chain.end(SIGTERM);
  EXPECT_THAT(looks(records()),
              ::testing::IsSupersetOf({"launcher arrival", "launcher departure", "monitor arrival",
                                       "monitor departure", "runtime-shim arrival", "runtime-shim departure",
                                       "payload arrival", "payload running", "monitor after-exit"}));
  const Result result = run(launcher({"diagnose", trace()}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.out;
  EXPECT_THAT(result.out, HasSubstr("unknown what launcher held when the payload had ended"));
}

TEST_F(Traced, TwoRunsIntoOneTraceAreTwo) {
  for (int i = 0; i < 2; ++i)
    (void)run(launcher({"--listen", "tcp:8080", "--trace", trace(), "payload", "report"}));
  auto runs = read_trace(trace()).runs;
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_NE(runs[0][0].run, runs[1][0].run);
  // A payload that has ended before its monitor looks is not seen from outside.
  for (auto& records : runs)
    std::erase_if(records, [](const HopRecord& record) { return record.moment == Moment::running; });
  EXPECT_EQ(runs[0].size(), runs[1].size());
  EXPECT_THAT(judge(runs[0]).findings, IsEmpty());
  EXPECT_THAT(judge(runs[1]).findings, IsEmpty());
}

// Of a real trace too, whichever records are missing.
TEST_F(Traced, HealthyRunGivesNoFindingWhicheverRecordsAreMissing) {
  const OwnedFd kept(check(::open("/etc/passwd", O_RDONLY | O_CLOEXEC), "open"));
  Start start =
      launcher({"--listen", "tcp:8080,name=web", "--listen", "unix:" + file("socket"), "--preserve-fds", "1",
                "--trace", trace(), "--", "sh", "-c", "exec 0<&- 9</dev/null; exec sleep 0"});
  start.pass = {{kept.get(), 3}};
  ASSERT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  const std::vector<HopRecord> whole = records();
  ASSERT_LE(whole.size(), 12U);
  for (unsigned bits = 0; bits < 1U << whole.size(); ++bits) {
    std::vector<HopRecord> some;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      if ((bits >> i & 1) != 0) some.push_back(whole[i]);
    }
    const auto findings = judge(some).findings;
    ASSERT_TRUE(findings.empty()) << findings[0].id << ": " << findings[0].evidence << "; with "
                                  << ::testing::PrintToString(looks(some));
  }
}

TEST_F(Traced, RunWithoutATraceLeavesNone) {
  const auto files_in = [](const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
    return names;
  };
  Start start = launcher({"--listen", "tcp:8080", "--", "sh", "-c",
                          "tr '\\0' '\\n' < /proc/self/environ; tr '\\0' '\\n' < /proc/$PPID/environ"});
  start.working_directory = directory_.path();
  start.environment = {"TMPDIR=" + directory_.path()};
  const Result result = run(start);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("_OCI_SYNCPIPE="), HasSubstr("LISTEN_FDS=1"), Not(HasSubstr("FDCHAIN_TRACE"))));
  EXPECT_THAT(files_in(directory_.path()), IsEmpty());
}

TEST_F(Traced, ReportWithoutATraceLeavesNone) {
  Start start = launcher({"--listen", "tcp:8080", "--check", "--report", "text", "payload", "report"});
  start.environment = {"TMPDIR=" + directory_.path()};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err, HasSubstr("\nno findings: "));
  EXPECT_TRUE(fs::is_empty(directory_.path()));
}

// Its file for a report goes with it, and so whatever the hops that live on write into it.
TEST_F(Traced, KilledLauncherLeavesNone) {
  for (const std::string moment : {"after-fork", "running", "after-exit"}) {
    Start start =
        launcher({"--report", "text", "sh", "-c", moment == "after-exit" ? "true" : "exec sleep 100"});
    start.environment = {"TMPDIR=" + directory_.path(), "FDCHAIN_STOP=launcher:" + moment};
    Program chain(start);
    ::kill(stopped_process(chain), SIGKILL);
    EXPECT_EQ(chain.finish().status, WaitStatus::for_signal(SIGKILL));
    expect_nobody_left();
    EXPECT_TRUE(fs::is_empty(directory_.path())) << moment;
  }
}

// After a launcher that has left there is nobody to report the end.
TEST_F(Traced, ReportOrCheckOfADetachedRunIsRefused) {
  for (const std::string option : {"--check", "--report=text"}) {
    Start start = launcher({"--listen", "tcp:8080", "--detach", option, "payload", "report"});
    start.environment = {"TMPDIR=" + directory_.path()};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err,
              "launcher: --detach: nobody waits for the end to report or check it; use --trace, and "
              "`launcher report` "
              "afterwards\n");
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(fs::is_empty(directory_.path()));
  }
}

TEST_F(Traced, ReportsGoWhereTheyAreAskedTo) {
  std::vector<std::string> options{"--listen", "tcp:8080"};
  for (const std::string format : {"text", "json", "mermaid", "dot"})
    options = words(options, {"--report", format + ":" + file(format)});
  const Result result = run(launcher(words(options, {"payload", "report"})));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(read_file(file("text")), HasSubstr("\nno findings: "));
  EXPECT_EQ(json::parse(read_file(file("json"))).at("findings").as_array().size(), 0U);
  EXPECT_THAT(read_file(file("mermaid")), StartsWith("stateDiagram-v2\n"));
  EXPECT_THAT(read_file(file("dot")), StartsWith("digraph fdchain {\n"));
}

// The payload talks to stderr and sees its sockets alone; the end of the pipe says that nobody else held it.
TEST_F(Traced, ReportGoesToADescriptorThatNobodyElseGets) {
  for (const std::string dialect : {"native", "oci"}) {
    Pipe pipe;
    Start start = launcher({"--dialect", dialect, "--listen", "unix:@a", "--report", "json:fd:9", "--log",
                            "passthrough", "sh", "-c", "echo noise >&2; exec \"$0\" report", bin("payload")});
    start.pass = {{pipe.write_end.get(), 9}};
    const Result result = run(start);
    pipe.write_end.close();
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
    EXPECT_EQ(result.err, "noise\n");
    EXPECT_THAT(PayloadReport(result.out).numbers(), ElementsAre(0, 1, 2, 3)) << dialect;
    const auto report = json::parse(read_all(pipe.read_end.get()));
    EXPECT_EQ(report.at("findings").as_array().size(), 0U) << dialect;
  }
}

// Its reader is slow, and it was made non-blocking by whoever opened it, or is a FIFO.
TEST_F(Traced, ReportWaitsForRoom) {
  for (const std::string target : {"fd:9", "-", "FIFO"}) {
    Pipe pipe;
    check(::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK), "fcntl");
    check(::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 4096), "fcntl");
    const std::string where = target == "FIFO" ? "/proc/self/fd/9" : target;
    Start start = launcher({"--report", "json:" + where, "true"});
    start.argv.insert(start.argv.begin(), {"sh", "-c", "exec \"$@\" >&9", "sh"});
    start.pass = {{pipe.write_end.get(), 9}};
    Program program(start);
    pipe.write_end.close();
    EXPECT_TRUE(json::parse(read_all(pipe.read_end.get())).is_object()) << target;
    EXPECT_EQ(program.finish().err, "") << target;
  }
}

TEST_F(Traced, ReportToStdoutOrStderrMayBeAskedForByNumber) {
  EXPECT_TRUE(json::parse(run(launcher({"--report", "json:fd:1", "true"})).out).is_object());
  EXPECT_TRUE(json::parse(run(launcher({"--report", "json:fd:2", "true"})).err).is_object());
}

TEST_F(Traced, ReportToADescriptorThatCannotBeUsedIsRefused) {
  const OwnedFd zero(check(::open("/dev/zero", O_RDONLY | O_CLOEXEC), "open", "/dev/zero"));
  const OwnedFd full(check(::open("/dev/full", O_WRONLY | O_CLOEXEC), "open", "/dev/full"));
  const auto expect = [&](const std::string& target, const std::string& line, const Words& options = {}) {
    Start start =
        launcher(words(words({"--report", "json:" + target}, options), {"--", "touch", file("ran")}));
    start.environment = {"LISTEN_FDS=1"};
    start.argv = as_activated(start.argv);
    start.pass = {{full.get(), 3}, {full.get(), 4}, {zero.get(), 7}, {full.get(), 8}};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: " + line + '\n');
    EXPECT_EQ(fs::remove(file("ran")), target == "fd:8") << target;
  };
  for (const std::string bad : {"fd:", "fd:x", "fd:0", "fd:-1", "fd:9x", "fd:99999999999"})
    expect(bad, "--report json:" + bad + ": not FORMAT:fd:NUMBER");
  expect("fd:9", "--report json:fd:9: that descriptor is not open");
  expect("fd:7", "--report json:fd:7: that descriptor is not for writing");
  expect("fd:3", "--report json:fd:3: that descriptor is passed on");
  expect("fd:4", "--report json:fd:4: that descriptor is passed on", {"--preserve-fds", "1"});
  expect("fd:8", "write --report json:fd:8: No space left on device");
}

TEST_F(Traced, ABaselineDoesNotOverwriteTheTrace) {
  const Result result = run(launcher({"--trace", trace(), "--save-baseline", trace(), "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(result.err,
            "launcher: --save-baseline: " + trace() + ": that is the trace, which it would overwrite\n");
}

TEST_F(Traced, CheckNamesTheWorstFinding) {
  const Result result =
      run(launcher({"--listen", "tcp:8080,name=web", "--fault", "launcher:drop-fdnames", "--fault",
                    "runtime-shim:leak-file=9", "--check=warning", "payload", "report"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(123));
  EXPECT_THAT(result.err,
              ::testing::EndsWith("launcher: --check: fd-leaked, by runtime-shim, seen at payload\n"));
}

TEST_F(Traced, CheckIsA123OfAFindingThatCountsWhateverElseHappened) {
  const auto status_of = [](const std::vector<std::string>& options, const std::string& script) {
    return run(launcher(words(words({"--listen", "tcp:8080,name=web"}, options), {"--", "sh", "-c", script})))
        .status;
  };
  const auto exit_code = [](int code) { return WaitStatus::for_exit_code(code); };
  const std::vector<std::string> with_error{"--fault", "runtime-shim:close=3"};
  const std::vector<std::string> with_critical{"--fault", "runtime-shim:leak-directory"};
  const std::vector<std::string> with_warning{"--fault", "monitor:set-nonblock=3"};
  EXPECT_EQ(status_of({"--check"}, "exit 0"), exit_code(0));
  EXPECT_EQ(status_of({"--check"}, "exit 3"), exit_code(3));
  EXPECT_EQ(status_of(words(with_error, {"--check"}), "exit 0"), exit_code(123));
  EXPECT_EQ(status_of(words(with_critical, {"--check"}), "exit 0"), exit_code(123));
  EXPECT_EQ(status_of(words(with_error, {"--check"}), "exit 3"), exit_code(123));
  EXPECT_EQ(status_of(words(with_error, {"--check", "--timeout", "1"}), "sleep 100"), exit_code(123));
  EXPECT_EQ(status_of({"--check", "--timeout", "1"}, "sleep 100"), exit_code(124));
  EXPECT_EQ(status_of(words(with_warning, {"--check"}), "exit 0"), exit_code(0));
  EXPECT_EQ(status_of(words(with_warning, {"--check=warning"}), "exit 0"), exit_code(123));
  EXPECT_EQ(status_of(words(with_error, {"--check=critical"}), "exit 0"), exit_code(0));
  EXPECT_EQ(status_of(words(with_critical, {"--check=critical"}), "exit 0"), exit_code(123));
  EXPECT_EQ(status_of(with_error, "exit 0"), exit_code(0));
}

TEST_F(Traced, ACheckedSeverityIsOneThatThereIs) {
  const auto line_of = [](const std::string& option) { return run(launcher({option, "true"})).err; };
  EXPECT_EQ(line_of("--check=fatal"), "launcher: --check fatal: not one of note, warning, error, critical\n");
  EXPECT_EQ(line_of("--check="), "launcher: --check: its value is empty\n");
}

TEST_F(Traced, WhatIsExpectedIsChecked) {
  const auto result_of = [](const std::vector<std::string>& options, const std::string& expected) {
    return run(
        launcher(words(words({"--listen", "unix:@web,name=web", "--check", "--expect", expected}, options),
                       {"--", "sleep", "0"})));
  };
  const Result met =
      result_of({"--expect", "runtime-shim: @web at 3, nothing else"}, "payload: web at 3, nothing else");
  EXPECT_EQ(met.status, WaitStatus::for_exit_code(0)) << met.err;
  const Result broken = result_of({"--report", "json:-"}, "payload: web at 4");
  EXPECT_EQ(broken.status, WaitStatus::for_exit_code(123));
  EXPECT_EQ(broken.err, "launcher: --check: expectation-failed, culprit unknown, seen at payload\n");
  EXPECT_THAT(broken.out,
              HasSubstr("expected 'payload: web at 4': payload has nothing at 4, and web is at 3"));
  EXPECT_THAT(result_of({"--fault", "runtime-shim:leak-file=9"}, "payload: web at 3, nothing else").err,
              HasSubstr("--check: fd-leaked, by runtime-shim, seen at payload"));
}

TEST_F(Traced, WhatIsExpectedIsRefusedBeforeAnythingRuns) {
  const auto line_of = [&](const std::vector<std::string>& options) {
    return run(launcher(words(options, {"touch", file("ran")}))).err;
  };
  EXPECT_EQ(line_of({"--expect", "payload: web at 3"}),
            "launcher: --expect: nobody would hear of a breach; add --check or --report\n");
  EXPECT_EQ(line_of({"--contract", "fds=1"}),
            "launcher: --contract: nobody would hear of a breach; add --check or --report\n");
  EXPECT_EQ(line_of({"--check", "--expect", "payload: web"}),
            "launcher: --expect payload: web: 'web' is not NAME at NUMBER\n");
  EXPECT_EQ(line_of({"--check", "--contract", "fds=x"}),
            "launcher: --contract fds=x: fds is a number from 0 to 65536\n");
  EXPECT_FALSE(fs::exists(file("ran")));
}

TEST_F(Traced, AStatedContractIsCheckedInTheRun) {
  const auto status_of = [](const std::string& contract) {
    return run(launcher({"--listen", "unix:@web,name=web", "--check", "--contract", contract, "sleep", "0"}))
        .status;
  };
  EXPECT_EQ(status_of("fds=1,names=web"), WaitStatus::for_exit_code(0));
  EXPECT_EQ(status_of("fds=2"), WaitStatus::for_exit_code(123));
}

TEST_F(Traced, WhatIsAllowedDoesNotCount) {
  const auto result_of = [&](const std::vector<std::string>& options) {
    return run(launcher(words(words({"--fault", "runtime-shim:leak-file=9", "--check=note"}, options),
                              {"--", "sleep", "0"})));
  };
  const auto status_of = [&](const std::vector<std::string>& options) { return result_of(options).status; };
  EXPECT_EQ(status_of({}), WaitStatus::for_exit_code(123));
  EXPECT_EQ(status_of({"--allow", "fd-leaked@payload:9"}), WaitStatus::for_exit_code(0));
  EXPECT_EQ(status_of({"--allow", "fd-leaked:8"}), WaitStatus::for_exit_code(123));
  EXPECT_EQ(status_of({"--save-baseline", file("known")}), WaitStatus::for_exit_code(123));
  EXPECT_EQ(read_file(file("known")),
            "# Findings that are known and do not count: ID[@HOP][:FD]\nfd-leaked@payload:9\n");
  EXPECT_EQ(status_of({"--baseline", file("known")}), WaitStatus::for_exit_code(0));
  EXPECT_THAT(
      result_of({"--baseline", file("known"), "--report", "text"}).err,
      HasSubstr("no findings but what is known\n\nknown by --baseline " + file("known") + ": fd-leaked\n"));
  EXPECT_THAT(
      result_of({"--allow", "fd-leaked", "--all", "--report", "text"}).err,
      HasSubstr("\n1 finding\n\ncritical fd-leaked, by runtime-shim, seen at payload, descriptor 9\n"));
  write_file_atomically(file("known"), "fd-leaked\nleak\n", "known");
  EXPECT_EQ(result_of({"--baseline", file("known")}).err,
            "launcher: --baseline " + file("known") + ": line 2: leak: its ID is not that of a finding\n");
  EXPECT_EQ(result_of({"--baseline", file("none")}).err,
            "launcher: --baseline " + file("none") + ": No such file or directory\n");
  EXPECT_EQ(result_of({"--allow", "leak"}).err, "launcher: --allow leak: its ID is not that of a finding\n");
}

// The word behind --check is the payload's.
TEST_F(Traced, CheckTakesNoWordOfThePayload) {
  const Result result = run(launcher({"--check", "echo", "warning"}));
  EXPECT_EQ(result.out, "warning\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
}

// A payload that was not seen is not acquitted; of a chain that failed itself the status says more.
TEST_F(Traced, AHopThatWasNotSeenIsNoAcquittal) {
  const Result result = run(launcher({"--check", "--report", "text", "nonexistent-program"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(127));
  EXPECT_THAT(result.err, HasSubstr("\nruntime-shim failed: "));
  EXPECT_THAT(result.err, HasSubstr("payload was not seen\nno findings in what was recorded\n"));
}

// Before anything runs: the payload would have left a file.
TEST_F(Traced, RunIsRefusedWhereTheTraceCannotBeWritten) {
  const auto refusal = [&](const std::string& path, const std::vector<std::string>& options = {}) {
    const Result result =
        run(launcher(words(words({"--listen", "unix:" + file("socket"), "--trace", path}, options),
                           {"--", "touch", file("ran")})));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_FALSE(fs::exists(file("ran")));
    EXPECT_FALSE(fs::exists(file("socket")));
    return result.err;
  };
  EXPECT_EQ(refusal(file("no/trace")),
            "launcher: trace: open " + file("no/trace") + ": No such file or directory\n");
  EXPECT_EQ(refusal(directory_.path()), "launcher: trace: open " + directory_.path() + ": Is a directory\n");
  EXPECT_EQ(refusal("/proc/trace"), "launcher: trace: open /proc/trace: No such file or directory\n");
  EXPECT_EQ(refusal("/sys/trace"), "launcher: trace: open /sys/trace: Permission denied\n");
  for (const std::string option : {"--check", "--report=text"}) {
    EXPECT_EQ(refusal(file("no/trace"), {option}),
              "launcher: trace: open " + file("no/trace") + ": No such file or directory\n");
  }
}

TEST_F(Traced, RunIsRefusedWhereAReportCannotBeWritten) {
  const Result result = run(launcher({"--report", "text:" + file("no/report"), "--", "touch", file("ran")}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(result.err, "launcher: --report: open " + file("no/report") + ": No such file or directory\n");
  EXPECT_FALSE(fs::exists(file("ran")));
}

// --- what is left in the queues

class Queues : public ChainTest {};

// The payload had the socket, and nothing else is wrong: the client that hangs is the payload's to answer.
TEST_F(Queues, AClientThatNobodyAcceptedIsTold) {
  const Opened socket = open_listening(parse_listen_spec("unix:" + file("web")));
  const Client client("unix:" + file("web"));
  Start start = launcher({"--report", "text", "--check", "sh", "-c", "exit 0"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=1", "LISTEN_FDNAMES=web"};
  start.pass = {{socket.fd.get(), 3}};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err,
              HasSubstr("\n1 finding\n\nwarning client-waiting, by payload, seen at payload, descriptor 3\n"
                        "  seen    at the end 1 client waited on web: the payload did not accept it\n"));
  EXPECT_THAT(result.err, Not(HasSubstr("no findings")));
}

// --- a payload that is followed

class FollowedPayload : public ChainTest {
 protected:
  FollowedPayload() {
    std::ofstream(file("god.sh")) << "#!/bin/sh\n[ \"$LISTEN_PID\" = $$ ] || exit 4\n: <&3\n";
    fs::permissions(file("god.sh"), fs::perms::owner_all);
  }

  /// The findings that a report has of this payload, `ID SEVERITY PROGRAM: EVIDENCE` each, pids as N.
  Words findings_of(const std::string& script, Words options = {}) {
    options.insert(options.begin(), {"--listen", "unix:" + file("web") + ",name=web", "--follow-payload",
                                     "--report", "json:" + file("report")});
    std::ofstream(file("entry.sh")) << "#!/bin/sh\n" << script << '\n';
    fs::permissions(file("entry.sh"), fs::perms::owner_all);
    options.push_back(file("entry.sh"));
    result_ = run(launcher(options));
    Words found;
    const json::value report = json::parse(read_file(file("report")));
    for (const json::value& finding : report.at("findings").as_array()) {
      const auto text = [&](const char* key) { return std::string(finding.at(key).as_string()); };
      found.push_back(text("id") + ' ' + text("severity") + ' ' + text("culprit_program") + ": " +
                      std::regex_replace(text("evidence"), std::regex("(pid |=|names )[0-9]+"), "$1N"));
    }
    return found;
  }

  Result result_;
};

TEST_F(FollowedPayload, ThatExecsIsHealthy) {
  EXPECT_THAT(findings_of("mkdir -p " + file("d") + "; exec " + file("god.sh")), IsEmpty());
  EXPECT_EQ(result_.status, WaitStatus::for_exit_code(0)) << result_.err;
}

TEST_F(FollowedPayload, ThatClosesTheSocketIsTold) {
  EXPECT_THAT(
      findings_of("exec 3>&-; exec " + file("god.sh"), {"--check"}),
      ElementsAre(
          "payload-lost-socket error entry.sh: entry.sh (pid N) closed 3, moved it, or "
          "made it close-on-exec, before its second exec: god.sh is told of socket web (UNIX-STREAM " +
          file("web") + ") and does not have it there"));
  EXPECT_THAT(result_.err, HasSubstr("god.sh: "));
}

// The first thread ends with that, and the process does not.
TEST_F(FollowedPayload, MayExecInAnotherThread) {
  const std::string program = '"' + file("god.sh") + '"';
  EXPECT_THAT(
      findings_of("exec python3 -c 'import os, threading; os.close(3); threading.Thread(target=os.execv, "
                  "args=(" +
                  program + ", [" + program + "])).start(); threading.Event().wait()'"),
      ElementsAre(StartsWith("payload-lost-socket error python3: ")));
}

TEST_F(FollowedPayload, ThatForksInsteadOfExecingIsTold) {
  EXPECT_THAT(
      findings_of(file("god.sh") + "; exit $?"),
      ElementsAre("payload-forked warning entry.sh: entry.sh (pid N) forked; god.sh (pid N), if it was to "
                  "adopt the sockets, wants LISTEN_PID=N and it names N"));
  EXPECT_EQ(result_.status, WaitStatus::for_exit_code(4));
}

TEST_F(FollowedPayload, ThatDaemonizesIsTold) {
  const Words found = findings_of("setsid sleep 1000 & while [ ! -e " + file("up") +
                                      " ]; do grep -q sleep "
                                      "/proc/$!/comm && break; done; exit 0",
                                  {"--check"});
  EXPECT_THAT(found,
              ElementsAre("payload-daemonized error entry.sh: entry.sh (pid N) exited with status 0, and "
                          "sleep (pid N) lives on in a session of its own with socket web (UNIX-STREAM " +
                          file("web") + ")"));
  EXPECT_EQ(result_.status, WaitStatus::for_exit_code(123));
}

TEST_F(FollowedPayload, ThatLeavesAChildWithTheSocketIsTold) {
  EXPECT_THAT(
      findings_of("sleep 1000 & while ! grep -q sleep /proc/$!/comm; do :; done; exit 3"),
      ElementsAre("payload-child-holds warning entry.sh: entry.sh (pid N) exited with status 3, and its "
                  "child sleep (pid N) still holds socket web (UNIX-STREAM " +
                  file("web") + ")"));
  EXPECT_EQ(result_.status, WaitStatus::for_exit_code(3));
}

TEST_F(FollowedPayload, MayForkWithoutEnd) {
  EXPECT_THAT(findings_of("i=0; while [ $i -lt 1500 ]; do /bin/true; i=$((i+1)); done; exec 3>&-; exec " +
                          file("god.sh")),
              ElementsAre(StartsWith("payload-lost-socket error entry.sh: ")));
  EXPECT_LT(fs::file_size(file("report")), 2U << 20U);
}

TEST_F(FollowedPayload, IsRefusedWhereNobodyWouldSayWhatItDid) {
  EXPECT_EQ(run(launcher({"--follow-payload", "true"})).err,
            "launcher: --follow-payload: it needs --trace, --report or --check\n");
  EXPECT_EQ(run(launcher({"--follow-payload", "--detach", "--trace", file("trace"), "true"})).err,
            "launcher: --follow-payload: with --detach nobody waits for the payload's end\n");
}

}  // namespace
}  // namespace fdchain::test
