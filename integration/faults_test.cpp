// Faults as a user asks for them: what cannot be made is refused in a line that says what can; what they are
// is listed; what they change is shown before anything runs.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "fdchain/plan/edits/fault.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct BadFault {
  std::string label;
  std::string fault;
  std::string why;        // after the fault itself
  std::string from = {};  // the hop that says so, when it is not the launcher
};

void PrintTo(const BadFault& bad, std::ostream* out) { *out << bad.label; }

class BadFaults : public ChainTest, public ::testing::WithParamInterface<BadFault> {};

// ChainTest waits until no process is left.
TEST_P(BadFaults, AreRefusedInALineThatSaysWhatThereIs) {
  const Result result =
      run(launcher({"--listen", "tcp:8080,name=web", "--fault", GetParam().fault, "payload", "report"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "launcher: " + GetParam().from + "--fault " + GetParam().fault + ": " + GetParam().why + "\n");
}

const std::string form = "not HOP:NAME[=ARG]; HOP is one of activator, launcher, monitor, runtime-shim";

INSTANTIATE_TEST_SUITE_P(
    All, BadFaults,
    ::testing::Values(
        BadFault{"unknown", "launcher:forget-everything", "unknown fault; `launcher faults` lists them"},
        BadFault{"mistyped", "launcher:set-cloexc=3",
                 "unknown fault; did you mean set-cloexec? `launcher faults` lists them all"},
        BadFault{"no_name", "launcher:", "unknown fault; `launcher faults` lists them"},
        BadFault{"no_hop", "set-cloexec=3", form}, BadFault{"unknown_hop", "cook:set-cloexec=3", form},
        BadFault{"payload", "payload:set-cloexec=3",
                 "payload cannot make this mistake; launcher, monitor, runtime-shim can"},
        BadFault{"activator_of_the_chains", "activator:close=3",
                 "activator cannot make this mistake; launcher, monitor, runtime-shim can"},
        BadFault{"not_this_hop", "runtime-shim:keep-sockets",
                 "runtime-shim cannot make this mistake; launcher, monitor can"},
        BadFault{"needless_argument", "launcher:keep-listen-pid=3", "keep-listen-pid takes no argument"},
        BadFault{"empty_argument", "launcher:set-cloexec=", "the argument is a number: set-cloexec=FD"},
        BadFault{"text", "launcher:set-cloexec=three", "the argument is a number: set-cloexec=FD"},
        BadFault{"too_large", "launcher:set-cloexec=99999999999", "the argument is a number: set-cloexec=FD"},
        BadFault{"two_for_one", "launcher:set-cloexec=3:4", "the argument has this form: set-cloexec=FD"},
        BadFault{"one_for_two", "launcher:swap=3", "the argument has this form: swap=FD:FD"},
        BadFault{"half_of_two", "launcher:swap=3:", "the argument is a number: swap=FD:FD"},
        BadFault{"nothing_there", "launcher:set-cloexec=77", "no descriptor 77 is passed on here"},
        BadFault{"nothing_there_at_the_monitor", "monitor:set-cloexec=77",
                 "no descriptor 77 is passed on here", "monitor: "},
        BadFault{"nothing_there_at_the_shim", "runtime-shim:set-cloexec=77",
                 "no descriptor 77 is passed on here", "runtime-shim: "},
        BadFault{"nothing_to_swap_with", "launcher:swap=3:9", "no descriptor 9 is passed on here"}),
    [](const auto& param_info) { return param_info.param.label; });

class AskedFaults : public ChainTest {};

TEST_F(AskedFaults, AreRefusedBeforeAnythingRunsEvenIfOthersAreFine) {
  const Result result = run(
      launcher({"--fault", "launcher:leak-pipe", "--fault", "monitor:nonsense", "--", "touch", file("ran")}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
  EXPECT_FALSE(std::ifstream(file("ran")));
}

TEST_F(AskedFaults, ThatHadNoOccasionAreToldOfInALine) {
  const Result result = run(launcher({"--fault", "monitor:leak-per-signal", "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(
      result.err,
      "monitor: warning: --fault monitor:leak-per-signal had no occasion: no signal came for the payload\n");
  EXPECT_EQ(run(launcher({"--fault", "monitor:leave-orphans", "sh", "-c", "sleep 100 & exit 0"})).err, "");
}

TEST_F(AskedFaults, OfTheActivatorLeaveThePayloadsWordsAlone) {
  const Opened socket = open_listening(parse_listen_spec("unix:@a"));
  const std::string fault = "activator:set-listen-pid=1";
  Start start = launcher({"--fault", fault, "--fault=" + fault, "sh", "-c", "printf '%s|' \"$@\"", "sh",
                          "--fault", fault, "--fault=" + fault});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=1"};
  start.pass = {{socket.fd.get(), 3}};
  EXPECT_EQ(run(start).out, "--fault|" + fault + "|--fault=" + fault + "|");
}

TEST_F(AskedFaults, AreListedForPeople) {
  const Result result = run(launcher({"faults"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err, "");
  std::size_t at = 0;
  for (const Fault& fault : all_faults()) {
    const std::string name =
        std::string(fault.name) + (fault.argument.empty() ? "" : "=" + std::string(fault.argument));
    const std::size_t found = result.out.find(std::string(1, fault.bug_class) + "  " + name + " ", at);
    ASSERT_NE(found, std::string::npos) << name;
    at = found + 1;
    const std::string entry =
        result.out.substr(found, result.out.find("\n" + std::string(1, fault.bug_class) + "  ", at) - found);
    for (const auto text : {fault.summary, fault.bug, fault.finding})
      EXPECT_THAT(entry, HasSubstr(std::string(text)));
    for (const Hop hop : fault.hops) EXPECT_THAT(entry, HasSubstr(std::string(to_string(hop))));
  }
}

TEST_F(AskedFaults, AreListedForScripts) {
  const Result result = run(launcher({"faults", "--json"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  json::array expected;
  for (const Fault& fault : all_faults()) {
    json::array hops;
    for (const Hop hop : fault.hops) hops.emplace_back(to_string(hop));
    expected.push_back(json::object{{"name", fault.name},
                                    {"argument", fault.argument},
                                    {"hops", hops},
                                    {"class", std::string(1, fault.bug_class)},
                                    {"bug", fault.bug},
                                    {"finding", fault.finding},
                                    {"summary", fault.summary}});
  }
  EXPECT_EQ(json::parse(result.out), json::value(json::object{{"faults", expected}}));
}

TEST_F(AskedFaults, ListSaysFirstWhatTheClassesAre) {
  std::set<char> classes;
  for (const Fault& fault : all_faults()) classes.insert(fault.bug_class);
  std::string legend = "Each fault has the letter of its class:\n";
  for (const char letter : classes) {
    const std::string meaning(class_meaning(letter));
    legend += std::string("  ") + letter + "  " + meaning + '\n';
  }
  EXPECT_THAT(run(launcher({"faults"})).out, StartsWith(legend + '\n'));
}

TEST_F(AskedFaults, ListTakesNoOtherOption) {
  const Result result = run(launcher({"faults", "--xml"}));
  EXPECT_NE(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err, StartsWith("launcher: "));
  EXPECT_EQ(result.out, "");
}

class DryRun : public ChainTest {
 protected:
  static std::string plan_of(const std::vector<std::string>& options) {
    std::vector<std::string> words{"dry-run"};
    words.insert(words.end(), options.begin(), options.end());
    const Result result = run(launcher(words));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
    EXPECT_EQ(result.err, "");
    return result.out;
  }
};

// With FDCHAIN_UPDATE_GOLDEN set they are written anew; the difference is to be reviewed like code.
void expect_golden(const std::string& name, std::string text) {
  text = std::regex_replace(text, std::regex(std::string(FDCHAIN_BIN_DIR)), "BIN");
  // A kernel that cannot tell the inode of a pidfd has no such step.
  text = std::regex_replace(text, std::regex("  name-pidfdid .*\n"), "");
  const std::string path = FDCHAIN_SOURCE_DIR "/integration/golden/dry-run/" + name + ".txt";
  if (std::getenv("FDCHAIN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  EXPECT_EQ(text, read_file(path)) << path;
}

const std::vector<std::string> two_sockets{"--listen", "tcp:8080,name=web", "--listen",
                                           "unix:/run/x.sock,name=admin"};

std::vector<std::string> with(std::vector<std::string> options, const std::vector<std::string>& more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

TEST_F(DryRun, OfAHealthyPlanGivesEveryStepAReason) {
  const std::string plan = plan_of(two_sockets);
  expect_golden("healthy", plan);
  std::istringstream lines(plan);
  for (std::string line; std::getline(lines, line);) {
    const bool is_step = line.starts_with("  ") && line.find(':') == std::string::npos;
    if (!is_step) continue;
    EXPECT_TRUE(std::regex_match(line, std::regex("  [a-z].{27} \\S.*"))) << line;
  }
}

TEST_F(DryRun, OfAFaultyPlanShowsTheStepThatIsWrong) {
  expect_golden("faulty",
                plan_of(with(two_sockets,
                             {"--fault", "launcher:set-cloexec=3", "--fault", "monitor:swap=3:4", "--fault",
                              "runtime-shim:drop-fdnames", "--fault", "monitor:publish-first"})));
  expect_golden("activator", plan_of(with(two_sockets, {"--fault", "activator:announce-more=2"})));
}

TEST_F(DryRun, IsJsonForPrograms) {
  const auto hops = boost::json::parse(plan_of(with({"--json"}, two_sockets))).at("hops").as_array();
  std::vector<std::string> lines;
  for (const auto& hop : hops) {
    lines.emplace_back(hop.at("hop").as_string());
    for (const auto& step : hop.at("steps").as_array())
      lines.push_back(fmt::format("  {:<28} {}", step.at("step").as_string().c_str(),
                                  step.at("why").as_string().c_str()));
  }
  // The same steps with the same reasons as people get.
  std::vector<std::string> expected;
  std::istringstream text(plan_of(two_sockets));
  for (std::string line; std::getline(text, line);) {
    const bool is_hop = !line.empty() && !line.starts_with(' ');
    const bool is_step = line.starts_with("  ") && line.find(": ") == std::string::npos;
    if (is_hop || is_step) expected.push_back(line);
  }
  EXPECT_EQ(lines, expected);
  EXPECT_EQ(hops.at(0).at("announces").at("LISTEN_FDNAMES").as_string(), "web:admin");
}

TEST_F(DryRun, OfAContainerIsJsonToo) {
  const auto hops = boost::json::parse(plan_of({"--json", "--dialect", "oci", "true"})).at("hops").as_array();
  ASSERT_EQ(hops.size(), 3U);
  EXPECT_EQ(hops.at(2).at("config").at("process").at("args").as_array(), (boost::json::array{"true"}));
}

TEST_F(DryRun, OpensNothing) {
  const std::string path = file("socket");
  plan_of({"--listen", "unix:" + path, "--trace", file("trace"), "--report", "text:" + file("report"),
           "--pidfile", file("pid"), "--", "touch", file("ran")});
  for (const auto* const name : {"socket", "trace", "report", "pid", "ran"})
    EXPECT_FALSE(std::ifstream(file(name))) << name;
}

// The number of the process that a shell, the first of a pid namespace of its own, starts after this command.
std::string next_pid_after(const std::vector<std::string>& command) {
  Start start;
  start.argv = {"unshare", "--pid", "--fork", "sh", "-c", "\"$@\" > /dev/null; sh -c 'echo $$'; :", "sh"};
  start.argv.insert(start.argv.end(), command.begin(), command.end());
  return run(start).out;
}

TEST_F(DryRun, ForksNothing) {
  // A sanitizer forks at the end of every program; what --version needs is nobody's plan.
  const std::string nothing_done = next_pid_after({bin("launcher"), "--version"});
  EXPECT_EQ(next_pid_after({bin("launcher"), "dry-run", "--listen", "tcp:8080", "true"}), nothing_done);
  EXPECT_GE(std::stoi(next_pid_after({bin("launcher"), "--listen", "tcp:8080", "true"})),
            std::stoi(nothing_done) + 3)
      << "the guard sees no forks";
}

TEST_F(DryRun, RefusesWhatARunRefuses) {
  const Result result =
      run(launcher({"dry-run", "--listen", "tcp:8080", "--fault", "monitor:set-cloexec=77"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(result.err, "launcher: --fault monitor:set-cloexec=77: no descriptor 77 is passed on here\n");
}

// The numbers a hop ends with by its plan, from those it starts with.
std::set<int> end_of_plan(const std::string& plan, const std::string& hop, std::set<int> numbers) {
  std::istringstream lines(plan.substr(plan.find(hop + "\n  announces")));
  std::string line;
  std::getline(lines, line);
  static const std::regex place("  (?:place|lift) \\d+ -> (\\d+) .*");
  static const std::regex keep("  keep (\\d+) .*");
  static const std::regex seal("  seal (\\d+) (?:and above|to (\\d+)) .*");
  while (std::getline(lines, line) && !line.empty()) {
    std::smatch match;
    if (std::regex_match(line, match, place) || std::regex_match(line, match, keep))
      numbers.insert(std::stoi(match[1]));
    if (!std::regex_match(line, match, seal)) continue;
    const int first = std::stoi(match[1]);
    const int last = match[2].matched ? std::stoi(match[2]) : 1 << 30;
    std::erase_if(numbers, [&](int number) { return first <= number && number <= last; });
  }
  return numbers;
}

std::set<int> numbers_in(const std::vector<HopRecord>& records, Hop hop) {
  std::set<int> numbers;
  for (const HopRecord& record : records) {
    if (record.hop != hop || record.moment != Moment::arrival) continue;
    for (const FdRow& row : record.fds) numbers.insert(row.number);
  }
  return numbers;
}

TEST_F(DryRun, SaysWhatARunDoes) {
  for (const int preserved : {0, 2}) {
    for (const int sockets : {0, 1, 3}) {
      std::vector<std::string> options{"--preserve-fds", std::to_string(preserved)};
      for (int i = 0; i < sockets; ++i)
        options = with(options, {"--listen", "tcp:" + std::to_string(8080 + i)});
      const OwnedFd kept = open_dev_null();
      const auto start_with = [&](std::vector<std::string> words) {
        Start start = launcher(std::move(words));
        for (int i = 0; i < preserved; ++i) start.pass.emplace_back(kept.get(), 3 + i);
        return start;
      };
      const std::string plan = run(start_with(with({"dry-run"}, options))).out;
      const std::string trace = file("trace" + std::to_string(preserved) + std::to_string(sockets));
      ASSERT_EQ(run(start_with(with(options, {"--trace", trace, "payload", "report"}))).status,
                WaitStatus::for_exit_code(0));
      const std::vector<HopRecord> records = read_trace(trace).runs.at(0);
      const auto monitor = end_of_plan(plan, "launcher", numbers_in(records, Hop::launcher));
      EXPECT_EQ(monitor, numbers_in(records, Hop::monitor)) << plan;
      const auto shim = end_of_plan(plan, "monitor", monitor);
      EXPECT_EQ(shim, numbers_in(records, Hop::runtime_shim)) << plan;
      EXPECT_EQ(end_of_plan(plan, "runtime-shim", shim), numbers_in(records, Hop::payload)) << plan;
      EXPECT_EQ(numbers_in(records, Hop::payload).size(), static_cast<std::size_t>(3 + preserved + sockets));
    }
  }
}

}  // namespace
}  // namespace fdchain::test
