// `launcher diagnose` and `launcher report` on traces from anywhere, whole and broken.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "fdchain/model/hop_record.h"
#include "fdchain/protocol/trace.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::Not;
using ::testing::StartsWith;

// Address sanitizer keeps what has been freed for a while, and a shadow of everything.
#ifdef __SANITIZE_ADDRESS__
constexpr long most_memory_kib = 900L << 10;
#else
constexpr long most_memory_kib = 200L << 10;
#endif
constexpr auto long_enough = std::chrono::seconds(100);
constexpr off_t gigabyte = 1 << 30;

const std::string help_form = "not fds=N[,names=A:B...]";

class Diagnose : public ChainTest {
 protected:
  // A trace of a run of two sockets with these faults, and its records as lines.
  std::vector<std::string> traced_run(const std::vector<std::string>& options = {}) {
    std::vector<std::string> words{"--listen",          "tcp:8080,name=web", "--listen",
                                   "udp:8080,name=dns", "--trace",           trace()};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"payload", "report"});
    (void)run(launcher(words));
    return lines();
  }

  [[nodiscard]] std::string trace() const { return file("trace"); }

  [[nodiscard]] std::vector<std::string> lines() const {
    std::ifstream file(trace());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line + '\n');
    return lines;
  }

  // The trace with this text in it.
  void write(const std::string& text) const { write_file_atomically(trace(), text); }

  void write(const std::vector<HopRecord>& records) const {
    std::string text;
    for (const HopRecord& record : records) text += encode(record);
    write(text);
  }

  [[nodiscard]] Result diagnose(std::vector<std::string> options = {}) const {
    return ask("diagnose", std::move(options));
  }
  [[nodiscard]] Result report(std::vector<std::string> options = {}) const {
    return ask("report", std::move(options));
  }

  // The one line that says why there is nothing to judge, with the name of the trace left out.
  [[nodiscard]] std::string refusal(std::vector<std::string> options = {}) const {
    const Result result = diagnose(std::move(options));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
    EXPECT_THAT(result.err, StartsWith("launcher: "));
    std::string text = result.err.substr(0, result.err.find('\n')).erase(0, 10);
    if (text.starts_with(trace())) text.replace(0, trace().size(), "TRACE");
    return text;
  }

 private:
  [[nodiscard]] Result ask(const std::string& command, std::vector<std::string> options) const {
    options.insert(options.begin(), command);
    options.push_back(trace());
    return run(launcher(options), long_enough);
  }
};

HopRecord decoded(const std::string& line) { return std::get<HopRecord>(decode_record(line)); }

std::vector<std::string> ids_in(const std::string& line) {
  std::vector<std::string> ids;
  const json::value diagnosis = json::parse(line);
  for (const json::value& finding : diagnosis.at("findings").as_array())
    ids.emplace_back(finding.at("id").as_string());
  return ids;
}

TEST_F(Diagnose, OfAHealthyTraceIsStatusNought) {
  traced_run();
  const Result result = diagnose();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.out, HasSubstr("\nno findings: "));
  EXPECT_EQ(result.err, "");
}

TEST_F(Diagnose, OfAFaultyTraceIsStatusOne) {
  traced_run({"--fault", "monitor:close=4"});
  const Result result = diagnose();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(result.out,
              HasSubstr("\nerror fd-lost-closed, by monitor, seen at runtime-shim, descriptor 4\n"));
  EXPECT_EQ(result.err, "");
}

TEST_F(Diagnose, HoldsATraceAgainstWhatIsExpected) {
  traced_run();
  EXPECT_EQ(diagnose({"--expect", "monitor: web at 3"}).status, WaitStatus::for_exit_code(0));
  const Result result = diagnose({"--expect", "monitor: web at 3", "--expect", "payload: nothing"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(result.out,
              HasSubstr("error expectation-failed, by launcher, seen at payload, descriptor 3\n"));
  EXPECT_EQ(refusal({"--expect", "web at 3"}),
            "--expect web at 3: not 'HOP: NAME at N, ...[, nothing else]' or "
            "'HOP: nothing'");
}

TEST_F(Diagnose, DoesNotCountWhatIsAllowed) {
  traced_run({"--fault", "runtime-shim:leak-file=9"});
  const Result result = diagnose({"--allow", "fd-leaked:9"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.out, HasSubstr("\nno findings but what is known\n"));
  EXPECT_EQ(diagnose({"--save-baseline", file("known")}).status, WaitStatus::for_exit_code(1));
  EXPECT_EQ(diagnose({"--baseline", file("known")}).status, WaitStatus::for_exit_code(0));
}

TEST_F(Diagnose, PrintsJsonForScripts) {
  traced_run({"--fault", "monitor:close=4"});
  const Result result = diagnose({"--json"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  const json::object diagnosis = json::parse(result.out).as_object();
  const json::array& findings = diagnosis.at("findings").as_array();
  ASSERT_EQ(findings.size(), 1U);
  std::vector<std::string> keys;
  for (const auto& [key, value] : findings[0].as_object()) keys.emplace_back(key);
  EXPECT_THAT(keys, ElementsAre("id", "severity", "hop", "culprit", "culprit_program", "culprit_pid", "fd",
                                "socket", "evidence", "advice", "known"));
  EXPECT_EQ(findings[0].at("id"), "fd-lost-closed");
  EXPECT_EQ(findings[0].at("severity"), "error");
  EXPECT_EQ(findings[0].at("hop"), "runtime-shim");
  EXPECT_EQ(findings[0].at("culprit"), "monitor");
  EXPECT_EQ(findings[0].at("fd"), 4);
  EXPECT_THAT(std::string(findings[0].at("socket").as_string()), StartsWith("socket dns (UDP"));
}

TEST_F(Diagnose, OfAHealthyTraceIsAnEmptyListInJson) {
  traced_run();
  const Result result = diagnose({"--json"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(ids_in(result.out), ElementsAre());
}

TEST_F(Diagnose, RefusesWhatIsNoTrace) {
  EXPECT_EQ(refusal(), "TRACE: No such file or directory");
  write("");
  EXPECT_EQ(refusal(), "TRACE: no record of a hop in it");
  write("hello\n");
  EXPECT_EQ(refusal(),
            "TRACE: no record of a hop in it; 1 line left out: no record; the first one: syntax error");
  write("{\"schema\":1,\"run\":\"r\"}\n");
  EXPECT_EQ(refusal(),
            "TRACE: no record of a hop in it; 1 line left out: no record; the first one: hop is missing");
  ::unlink(trace().c_str());
  check(::mkdir(trace().c_str(), 0755), "mkdir");
  EXPECT_EQ(refusal(), "TRACE: Is a directory");
}

// Neither is waited for: the one may have no writer, the other has no end.
TEST_F(Diagnose, RefusesWhatIsNoRegularFile) {
  check(::mkfifo(trace().c_str(), 0600), "mkfifo");
  EXPECT_EQ(refusal(), "TRACE: not a regular file; `-` reads a trace from stdin");
  EXPECT_EQ(report().status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(run(launcher({"diagnose", "/dev/zero"})).err,
            "launcher: /dev/zero: not a regular file; `-` reads a trace from stdin\n");
}

TEST_F(Diagnose, ReadsStdinWhereThatIsAskedFor) {
  for (const std::string command : {"diagnose", "report"}) {
    Start start = launcher({command, "-"});
    for (const std::string& line : traced_run()) start.input += line;
    EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0)) << command;
  }
}

TEST_F(Diagnose, RefusesANewerSchema) {
  write(traced_run()[0] + "{\"schema\":2,\"hop\":[]}\n");
  EXPECT_EQ(refusal(), "TRACE: schema 2, this program reads 1");
  EXPECT_EQ(refusal({"--json"}), "TRACE: schema 2, this program reads 1");
  EXPECT_EQ(report().status, WaitStatus::for_exit_code(2));
}

TEST_F(Diagnose, WantsOneTrace) {
  EXPECT_EQ(run(launcher({"diagnose"})).err, "launcher: one TRACE is needed; see --help\n");
  EXPECT_EQ(run(launcher({"diagnose"})).status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(run(launcher({"diagnose", "a", "b"})).status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(run(launcher({"diagnose", "a", "b"})).err, "launcher: one TRACE is needed, not 2; see --help\n");
  EXPECT_EQ(run(launcher({"diagnose", "--no-such-option", "a"})).status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(run(launcher({"report"})).status, WaitStatus::for_exit_code(2));
}

TEST_F(Diagnose, JudgesWhatIsThereOfATraceThatIsCutShort) {
  std::string text;
  for (const std::string& line : traced_run({"--fault", "launcher:close=4"})) text += line;
  write(text.substr(0, text.size() - 100));
  const Result result = diagnose();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(result.out, HasSubstr("\nerror fd-lost-closed, by launcher, seen at monitor, descriptor 4\n"));
  EXPECT_EQ(result.err, "launcher: " + trace() + ": the last line is cut short, and is left out\n");
}

// Wherever a healthy trace ends, nothing is found that is not there.
TEST_F(Diagnose, OfAHealthyTraceFindsNothingWhereverItEnds) {
  const std::vector<std::string> lines = traced_run({"--preserve-fds", "0"});
  std::string text;
  for (const std::string& line : lines) {
    text += line;
    write(text + line.substr(0, line.size() / 2));
    const Result result = diagnose({"--json"});
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.out;
    EXPECT_THAT(result.err, HasSubstr("cut short"));
  }
}

// Who has left lines out does not call the trace clean: 2, unless there is something to be found all the
// same.
TEST_F(Diagnose, LeavesOutLinesThatAreNoRecords) {
  const auto with_noise = [](const std::vector<std::string>& lines) {
    std::string text = "{}\n";
    for (const std::string& line : lines) text += line + "noise\n\n";
    return text;
  };
  const auto healthy = traced_run();
  write(with_noise(healthy));
  const Result result = diagnose();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
  EXPECT_THAT(result.out, HasSubstr("no findings"));
  EXPECT_EQ(result.err, "launcher: " + trace() + ": " + std::to_string(healthy.size() + 1) +
                            " lines left out: no record; the first one: schema is missing\n");
  ::unlink(trace().c_str());
  write(with_noise(traced_run({"--fault", "monitor:drop-fdnames"})));
  EXPECT_EQ(diagnose().status, WaitStatus::for_exit_code(1));
}

TEST_F(Diagnose, JudgesMixedRunsOneByOne) {
  const auto healthy = traced_run();
  ::unlink(trace().c_str());
  const auto faulty = traced_run({"--fault", "monitor:drop-fdnames"});
  std::string text;
  for (std::size_t i = 0; i < std::max(healthy.size(), faulty.size()); ++i) {
    if (i < healthy.size()) text += healthy[i];
    if (i < faulty.size()) text += faulty[i];
  }
  write(text);
  const std::string first = decoded(healthy[0]).run;
  const std::string second = decoded(faulty[0]).run;

  const Result both = diagnose({"--json"});
  EXPECT_EQ(both.status, WaitStatus::for_exit_code(1));
  const std::size_t end = both.out.find('\n') + 1;
  EXPECT_EQ(json::parse(both.out.substr(0, end)).at("run"), json::string(first));
  EXPECT_THAT(ids_in(both.out.substr(0, end)), ElementsAre());
  EXPECT_EQ(json::parse(both.out.substr(end)).at("run"), json::string(second));
  EXPECT_THAT(ids_in(both.out.substr(end)), ElementsAre("fdnames-mismatch"));
  EXPECT_THAT(diagnose().out,
              ::testing::AllOf(HasSubstr("run " + first + "\n"), HasSubstr("run " + second + "\n")));

  EXPECT_EQ(diagnose({"--run", first}).status, WaitStatus::for_exit_code(0));
  const Result only = diagnose({"--run", second, "--json"});
  EXPECT_EQ(only.status, WaitStatus::for_exit_code(1));
  EXPECT_EQ(only.out, both.out.substr(end));
  EXPECT_EQ(refusal({"--run", "\x1b[31mother"}), "TRACE: no record of the run \\x1b[31mother");
}

// A file of a gigabyte that is one line, as far as anybody can tell.
TEST_F(Diagnose, OfAGigabyteInOneLineStaysSmall) {
  const std::vector<std::string> records = traced_run();
  check(::truncate(trace().c_str(), gigabyte), "truncate");
  const Result result = diagnose({"--json"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(result.err, "launcher: " + trace() + ": 1 line left out: longer than 8 MiB\n");
  EXPECT_THAT(result.max_rss_kib, Lt(most_memory_kib));
}

// Appends `text` to the trace until it is so long.
void lengthen(const std::string& path, const std::string& text, off_t bytes) {
  const OwnedFd file(check(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC), "open", path));
  std::string block;
  while (block.size() < 1U << 20) block += text;
  for (off_t size = 0; size < bytes; size += static_cast<off_t>(block.size()))
    write_all(file.get(), block, path);
}

TEST_F(Diagnose, OfAGigabyteOfRecordsStaysSmall) {
  std::string text;
  for (const std::string& line : traced_run()) {
    json::object record = json::parse(line).as_object();
    record["novelty"] = std::string(16'000, 'x');
    text += json::serialize(record) + '\n';
  }
  lengthen(trace(), text, gigabyte);
  const Result result = diagnose({"--json"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.out;
  EXPECT_THAT(ids_in(result.out), ElementsAre());
  EXPECT_THAT(result.max_rss_kib, Lt(most_memory_kib));
}

// Many small things take far more memory than their text.
TEST_F(Diagnose, OfManyRunsOfManySmallThingsStaysSmall) {
  HopRecord record = decoded(traced_run()[0]);
  record.contract.reset();
  record.heard.assign(50'000, "");
  std::string text;
  for (int i = 0; i < 60; ++i) {
    record.run = std::to_string(i);
    text += encode(record);
  }
  write(text);
  const Result result = diagnose({"--json"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err, HasSubstr("older runs left out: the trace does not fit into 64 MiB\n"));
  EXPECT_THAT(result.max_rss_kib, Lt(most_memory_kib));
}

TEST_F(Diagnose, KeepsHostileStringsFromTheTerminal) {
  const std::string hostile = "\x1b[2J\x1b]0;owned\x07\r\t\x7f\u009b31m\"\\";
  std::vector<HopRecord> records;
  for (const std::string& line : traced_run({"--fault", "launcher:leak-directory"})) {
    HopRecord record = decoded(line);
    record.run = record.exe = hostile;
    if (record.environment.contains("LISTEN_FDNAMES"))
      record.environment["LISTEN_FDNAMES"] = hostile + ":dns";
    for (FdRow& row : record.fds) {
      row.name = hostile;
      if (row.socket) row.socket->local = hostile;
    }
    if (record.contract) record.contract->sockets[0].name = record.contract->sockets[0].row.name = hostile;
    records.push_back(record);
  }
  HopRecord other = records[0];
  other.run = "other\x1b[1m";
  records.push_back(other);
  write(records);
  const auto is_plain = [](char character) {
    return character == '\n' || (character >= ' ' && character < '\x7f');
  };
  for (const std::string format : {"text", "json", "mermaid", "dot"}) {
    const Result result = report({"--format", format});
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
    EXPECT_TRUE(std::ranges::all_of(result.out + result.err, is_plain)) << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("launcher"));
  }
  for (const Result& result : {diagnose(), diagnose({"--json"})}) {
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
    EXPECT_TRUE(std::ranges::all_of(result.out + result.err, is_plain)) << result.out << result.err;
  }
}

TEST_F(Diagnose, HasNoColourWhereThereIsNoTerminal) {
  traced_run({"--fault", "monitor:close=4"});
  EXPECT_THAT(diagnose().out, Not(HasSubstr("\x1b")));
}

TEST_F(Diagnose, HoldsAForeignTraceAgainstAStatedContract) {
  std::vector<HopRecord> foreign;
  for (const std::string& line : traced_run({"--fault", "monitor:close=4"})) {
    if (decoded(line).hop != Hop::launcher) foreign.push_back(decoded(line));
  }
  write(foreign);
  const Result kept = diagnose({"--json", "--contract", "fds=2,names=web:dns"});
  EXPECT_EQ(kept.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(ids_in(kept.out), ElementsAre("fd-lost-closed"));
  const Result more = diagnose({"--json", "--contract", "fds=3"});
  EXPECT_THAT(ids_in(more.out), ElementsAre("preserve-count-wrong"));
  const Result other = diagnose({"--json", "--contract", "names=web:http,fds=2"});
  EXPECT_THAT(ids_in(other.out), ::testing::Contains("fdnames-mismatch"));
}

TEST_F(Diagnose, OfAHealthyForeignTraceFindsNothing) {
  std::vector<HopRecord> foreign;
  for (const std::string& line : traced_run()) {
    if (decoded(line).hop != Hop::launcher) foreign.push_back(decoded(line));
  }
  write(foreign);
  for (const std::string contract : {"fds=2", "fds=2,names=web:dns"}) {
    const Result result = diagnose({"--contract", contract});
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.out;
    EXPECT_THAT(result.out, Not(HasSubstr("what was to be handed over")));
  }
  const Result without = diagnose();
  EXPECT_EQ(without.status, WaitStatus::for_exit_code(0)) << without.out;
  EXPECT_THAT(without.out, HasSubstr("what was to be handed over: taken from what the first hop was told\n"));
}

TEST_F(Diagnose, RefusesAContractThatSaysNothing) {
  traced_run();
  for (const std::string contract : {"2", "names=a", "fds", "fds=1,name=a"}) {
    EXPECT_EQ(refusal({"--contract", contract}), "--contract " + contract + ": " + help_form);
  }
  for (const std::string contract :
       {"fds=", "fds=1;names=a", "fds=x", "fds=-1", "fds=65537", "fds=99999999999999999999"}) {
    EXPECT_EQ(refusal({"--contract", contract}),
              "--contract " + contract + ": fds is a number from 0 to 65536");
  }
  EXPECT_EQ(refusal({"--contract", "fds=2,names=a"}), "--contract fds=2,names=a: 1 names for 2 sockets");
}

TEST_F(Diagnose, ReportsInEveryFormatAndNoOther) {
  traced_run();
  EXPECT_THAT(report().out, HasSubstr("\nno findings: "));
  EXPECT_THAT(report({"--format", "mermaid"}).out, StartsWith("stateDiagram-v2\n"));
  EXPECT_THAT(report({"--format", "dot"}).out, StartsWith("digraph fdchain {\n"));
  EXPECT_EQ(json::parse(report({"--format", "json"}).out).at("records").as_array().size(), lines().size());
  for (const std::string format : {"html", "text:/tmp/elsewhere"}) {
    const Result result = report({"--format", format});
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
    EXPECT_EQ(result.err, "launcher: --format " + format + ": not one of text, json, mermaid, dot\n");
  }
}

}  // namespace
}  // namespace fdchain::test
