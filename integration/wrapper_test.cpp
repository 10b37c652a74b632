// Programs that stand in a hop's place, and become it or start it: each answers for what it does.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "fdchain/judge/judge.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;
using Words = std::vector<std::string>;

/// A wrapper in a hop's place, and what the judge must say of it.
struct Wrapper {
  std::string label;
  Hop place = Hop::monitor;
  std::string script;  ///< `HOP` is the program in whose place it stands
  Words findings;
};

void PrintTo(const Wrapper& wrapper, std::ostream* out) { *out << wrapper.label; }

std::string in_words(const Finding& finding) {
  return fmt::format("{} {} by {} in {}'s place at {}", to_string(finding.severity), finding.id,
                     finding.culprit_is_wrapper ? finding.culprit_program : "nobody",
                     finding.culprit ? to_string(*finding.culprit) : "nobody", to_string(finding.hop));
}

class Wrapped : public ChainTest {
 protected:
  void write_program(const std::string& name, const std::string& text) const {
    std::ofstream(file(name)) << text;
    std::filesystem::permissions(file(name), std::filesystem::perms::owner_all);
  }

  Result run_with(Hop place, std::string script, const Words& payload = {"true"}) {
    const std::string hop(to_string(place));
    for (std::size_t at = 0; (at = script.find("HOP", at)) != std::string::npos;)
      script.replace(at, 3, bin(hop));
    write_program("wrapper", script);
    Words words{"--dialect",
                "native",
                place == Hop::monitor ? "--monitor" : "--runtime",
                file("wrapper"),
                "--listen",
                "tcp:8080,name=web",
                "--listen",
                "tcp:8081,name=admin",
                "--trace",
                file("trace")};
    words.insert(words.end(), payload.begin(), payload.end());
    Start start = launcher(words);
    start.environment.emplace_back(no_leak_check);
    return run(start);
  }

  [[nodiscard]] std::vector<Finding> findings() const {
    return judge(read_trace(file("trace")).runs.front()).findings;
  }
};

class EachWrapper : public Wrapped, public ::testing::WithParamInterface<Wrapper> {};

TEST_P(EachWrapper, AnswersForWhatItDoes) {
  const Result result = run_with(GetParam().place, GetParam().script);
  Words said;
  for (const Finding& finding : findings()) {
    said.push_back(in_words(finding));
    EXPECT_GT(finding.culprit_pid, 0);
    // In the language of the script, behind what is true of every program.
    EXPECT_THAT(finding.advice, ::testing::AnyOf(HasSubstr("; in the script: "), HasSubstr("; in Python: ")))
        << finding.id;
  }
  EXPECT_THAT(said, UnorderedElementsAreArray(GetParam().findings)) << result.err;
}

std::string shell(const std::string& mistake) { return "#!/bin/bash\n" + mistake + "\nexec HOP \"$@\"\n"; }

std::string forking(const std::string& mistake) {
  return "#!/bin/bash\n" + mistake + "\nHOP \"$@\"\nexit $?\n";
}

std::string python(const std::string& how) {
  return "#!/usr/bin/python3\nimport os, subprocess, sys\n" + how;
}

Wrapper in_monitors_place(const std::string& label, const std::string& script, const Words& findings) {
  return {"Monitor" + label, Hop::monitor, script, findings};
}

std::string by(const std::string& finding, Hop place) {
  const std::string hop(to_string(place));
  return finding + " by wrapper in " + hop + "'s place at " + hop;
}

std::vector<Wrapper> wrappers() {
  std::vector<Wrapper> all;
  // A hop that a fork has told wrongly takes no sockets, and passes on nothing in their places.
  const auto add = [&](const std::string& label, const std::string& mistake, const std::string& finding,
                       const std::string& forked) {
    for (const Hop place : {Hop::monitor, Hop::runtime_shim}) {
      const std::string name = (place == Hop::monitor ? "Monitor" : "Shim") + label;
      const Words stale{by("error listen-pid-stale", place)};
      all.push_back({name, place, shell(mistake), {by(finding, place)}});
      all.push_back({name + "Forks", place, forking(mistake),
                     forked == "error listen-pid-stale" ? stale : Words{stale.front(), by(forked, place)}});
    }
  };
  const auto add_alike = [&](const std::string& label, const std::string& mistake,
                             const std::string& finding) { add(label, mistake, finding, finding); };
  add_alike("ClosesASocket", "exec 4>&-", "error fd-lost-closed");
  add("PutsAFileInItsPlace", "exec 4</etc/hostname", "critical fd-substituted", "error fd-substituted");
  add_alike("LeavesAFileOpen", "exec 9</etc/passwd", "error fd-leaked");
  add_alike("SetsListenPid", "export LISTEN_PID=1", "error listen-pid-stale");
  add_alike("UnsetsListenFds", "unset LISTEN_FDS", "error env-dropped");
  add_alike("UnsetsListenFdnames", "unset LISTEN_FDNAMES", "warning fdnames-mismatch");
  add_alike("IgnoresASignal", "trap '' HUP", "warning signal-ignored");
  add_alike("ClosesStdin", "exec 0<&-", "error stdio-hole");
  add_alike("ReadsAFileAsStdin", "exec 0</etc/passwd", "critical fd-substituted");
  all.push_back(in_monitors_place("LowersTheLimit", shell("ulimit -n 4"),
                                  {by("warning nofile-exceeded", Hop::monitor)}));
  all.push_back(in_monitors_place(
      "InPythonClosesAll", python("sys.exit(subprocess.run(['HOP'] + sys.argv[1:]).returncode)\n"),
      {by("error handshake-collision", Hop::monitor), by("error fd-lost-closed", Hop::monitor)}));
  all.push_back(in_monitors_place(
      "InPythonNamesItself",
      python("os.environ['LISTEN_PID'] = str(os.getpid())\n"
             "sys.exit(subprocess.run(['HOP'] + sys.argv[1:], close_fds=False).returncode)\n"),
      {by("error listen-pid-stale", Hop::monitor)}));
  return all;
}

INSTANTIATE_TEST_SUITE_P(Every, EachWrapper, ::testing::ValuesIn(wrappers()),
                         [](const auto& param_info) { return param_info.param.label; });

// What becomes the hop without a mistake has done nothing.
TEST_F(Wrapped, HopsAreAsHealthyAsAlone) {
  for (const Hop place : {Hop::monitor, Hop::runtime_shim}) {
    for (const std::string how :
         {"exec HOP", "exec env HOP", "exec nice HOP", "exec bash -c 'exec HOP \"$@\"' bash"}) {
      std::filesystem::remove(file("trace"));
      const Result result = run_with(place, "#!/bin/sh\n" + how + " \"$@\"\n");
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
      EXPECT_THAT(findings(), IsEmpty()) << how;
    }
  }
}

// It traces what it starts, which nobody else must do then.
TEST_F(Wrapped, TracersWorkAsUntraced) {
  for (const Hop place : {Hop::monitor, Hop::runtime_shim}) {
    std::filesystem::remove(file("trace"));
    const Result result = run_with(place, "#!/bin/sh\nexec strace -f -o /dev/null HOP \"$@\"\n");
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  }
}

// The path from one hop to the next, each program of it with its pid, and none that only ran beside it.
TEST_F(Wrapped, EveryProgramOnTheWayIsRecorded) {
  write_program("second", "#!/bin/bash\n/bin/true\n" + bin("runtime-shim") + " \"$@\"\nexit $?\n");
  run_with(Hop::runtime_shim, "#!/bin/bash\ndate >/dev/null\nexec env " + file("second") + " \"$@\"\n");
  Words way;
  const TraceContent content = read_trace(file("trace"));
  for (const HopRecord& record : content.runs.front()) {
    const bool on_the_way = record.moment == Moment::exec || record.moment == Moment::arrival;
    if (record.hop == Hop::runtime_shim && on_the_way)
      way.push_back(std::string(to_string(record.moment)) + ' ' + record.program);
  }
  EXPECT_THAT(way, ::testing::UnorderedElementsAre("exec wrapper", "exec env", "exec second",
                                                   "arrival runtime-shim"));
}

// Whatever the machine is busy with, nobody is missing, and every run looks alike.
TEST_F(Wrapped, EveryShortRunHasItsPayload) {
  for (int i = 0; i < 40; ++i) {
    std::filesystem::remove(file("trace"));
    Words words{"--listen", "tcp:8080,name=web", "--trace", file("trace")};
    if (i % 2 != 0) words.insert(words.end(), {"--pid", "private"});
    words.emplace_back("true");
    const Result result = run(launcher(words));
    ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
    const TraceContent content = read_trace(file("trace"));
    Words payload;
    for (const HopRecord& record : content.runs.front()) {
      if (record.hop != Hop::payload || record.moment != Moment::arrival) continue;
      payload.push_back(
          record.program + " LISTEN_PID=" +
          (record.environment.at("LISTEN_PID") == std::to_string(record.pid_in_namespace) ? "itself" : "?"));
      EXPECT_EQ(record.fds.size(), 4U);
    }
    EXPECT_THAT(payload, ::testing::ElementsAre("true LISTEN_PID=itself"));
    EXPECT_THAT(findings(), IsEmpty());
  }
}

}  // namespace
}  // namespace fdchain::test
