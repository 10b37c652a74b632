#include "fdchain/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>

#include "fdchain/judge/judge.h"
#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

namespace json = boost::json;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::StartsWith;
using enum Hop;
using enum Moment;

constexpr std::array all_formats{ReportFormat::text, ReportFormat::json, ReportFormat::mermaid,
                                 ReportFormat::dot};

const std::string hostile = "\u009b\U0001f980\x1b[2J\x1b]0;owned\x07\r\n\t\x7f\x9b\"\\ %s {} -->;]\n";

std::string report_of(const RunBuilder& run, ReportFormat format, bool colour = false) {
  return write_report(format, {run.records, judge(run.records)}, {.colour = colour});
}

std::string text_of(const RunBuilder& run, std::size_t columns) {
  return text_report({run.records, judge(run.records)}, {.columns = columns});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  EXPECT_EQ(start, text.size()) << "the last line has no end";
  return lines;
}

std::vector<std::size_t> widths_of(const std::string& text) {
  std::vector<std::size_t> widths;
  for (const std::string& line : lines_of(text)) widths.push_back(line.size());
  return widths;
}

// Everything that somebody else can choose.
RunBuilder hostile_run() {
  RunBuilder run(RunShape{.preserved = 1, .notify = true});
  const auto spoil = [](FdRow& row) {
    row.name = hostile + std::string(200, 'n');
    row.mode = hostile;
    if (row.socket) row.socket->local = row.socket->peer = hostile + std::string(200, 'l');
  };
  for (HopRecord& record : run.records) {
    record.run = record.exe = hostile;
    for (auto& [name, value] : record.environment) {
      if (name == "LISTEN_FDNAMES" || name == "NOTIFY_SOCKET")
        value = hostile + std::string(to_string(record.hop));
    }
    for (FdRow& row : record.fds) spoil(row);
    record.heard.push_back(hostile);
    record.ended = "exited " + hostile;
    if (record.moment == after_exit) record.children.push_back({7, hostile, hostile});
    FdRow leaked = directory_row(40);
    leaked.type = leaked.name = hostile + std::string(300, 'x');
    put_row(record, leaked);
  }
  Contract& contract = *run.at(launcher, arrival).contract;
  for (ContractSocket& socket : contract.sockets) {
    socket.name = hostile;
    spoil(socket.row);
    socket.row.type = hostile;
  }
  return run;
}

// A run with a lot wrong in it.
RunBuilder faulty_run() {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 4); });
  run.from(runtime_shim, departure, [](HopRecord& record) { put_row(record, directory_row(30)); });
  run.at(launcher, after_exit).children = {{77, "Z", "sh"}};
  return run;
}

TEST(TextReport, OfAHealthyRunIsReadAtAGlance) {
  const std::string text = report_of(RunBuilder(), ReportFormat::text);
  EXPECT_THAT(lines_of(text).size(), Le(12U));
  EXPECT_THAT(text, HasSubstr("\nno findings: "));
}

std::string after_table(const std::string& text) { return text.substr(text.find("\n\n") + 2); }

TEST(TextReport, AcquitsNoHopThatWasNotSeen) {
  RunBuilder run;
  run.drop(payload);
  const std::string text = report_of(run, ReportFormat::text);
  EXPECT_THAT(lines_of(text)[0], ::testing::EndsWith("         payload"));
  EXPECT_THAT(lines_of(text)[1], ::testing::EndsWith("        not seen"));
  EXPECT_THAT(lines_of(text)[2], ::testing::EndsWith("               ?"));
  EXPECT_EQ(after_table(text),
            "payload was not seen\n"
            "no findings in what was recorded\n"
            "\n"
            "  unknown what payload received: it has not been seen\n");
}

TEST(TextReport, SaysFirstThatTheRunFailedAndWhy) {
  RunBuilder run;
  const auto verdict = [&](std::optional<int> status) {
    const std::string text =
        after_table(text_report({run.records, judge(run.records), std::nullopt, status}));
    return text.substr(0, text.find("\n\n"));
  };
  const std::string healthy = "no findings: every hop passed on what it was given, and nothing else\n";
  EXPECT_EQ(verdict(std::nullopt), healthy);
  EXPECT_EQ(verdict(3), healthy) << "the payload's own";
  EXPECT_EQ(verdict(125), "the run failed with status 125\nno findings in what was recorded\n");
  run.drop(payload);
  HopRecord& end = run.at(monitor, after_exit);
  end.hop = runtime_shim;
  end.ended = "failed: exec: No such file or directory";
  EXPECT_EQ(verdict(127),
            "runtime-shim failed: exec: No such file or directory; payload was not seen\n"
            "no findings in what was recorded");
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 4); });
  EXPECT_EQ(verdict(127),
            "runtime-shim failed: exec: No such file or directory; payload was not seen\n"
            "1 finding");
}

TEST(TextReport, SaysOnceWhatIsKnown) {
  RunBuilder run = faulty_run();
  JudgedRun judged{run.records, judge(run.records)};
  for (Finding& finding : judged.diagnosis.findings) finding.known = "conmon 2.1";
  EXPECT_EQ(after_table(text_report(judged)),
            "no findings but what is known\n"
            "\n"
            "known of conmon 2.1: zombie-left, fd-lost-closed, fd-leaked\n");
  judged.diagnosis.findings[1].known = "--allow fd-lost-closed";
  judged.diagnosis.findings[2].known = "";
  const std::string text = after_table(text_report(judged));
  EXPECT_THAT(text, StartsWith("1 finding\n\ncritical fd-leaked, "));
  EXPECT_THAT(text, ::testing::EndsWith("\n\nknown of conmon 2.1: zombie-left\n"
                                        "known by --allow fd-lost-closed: fd-lost-closed\n"));
  judged.all = true;
  const std::string all = after_table(text_report(judged));
  EXPECT_THAT(all, StartsWith("3 findings\n\nwarning zombie-left, "));
  EXPECT_THAT(all, HasSubstr("\n  known   of conmon 2.1\n"));
}

TEST(TextReport, FitsAHundredColumns) {
  EXPECT_THAT(widths_of(report_of(RunBuilder(), ReportFormat::text)), Each(Le(100U)));
  EXPECT_THAT(widths_of(report_of(faulty_run(), ReportFormat::text)), Each(Le(100U)));
  EXPECT_THAT(widths_of(report_of(hostile_run(), ReportFormat::text)), Each(Le(100U)));
}

TEST(TextReport, OfFiftySocketsHasALineForEach) {
  const std::string text = report_of(RunBuilder(RunShape{.sockets = 50}), ReportFormat::text);
  EXPECT_THAT(widths_of(text), Each(Le(100U)));
  const auto lines = lines_of(text);
  EXPECT_EQ(std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with("TCP "); }),
            50);
}

TEST(TextReport, OfFiftyLostSocketsFitsAHundredColumns) {
  RunBuilder run(RunShape{.sockets = 50});
  run.from(monitor, departure, [](HopRecord& record) {
    for (int number = 3; number < 53; ++number) remove_row(record, number);
  });
  const std::string text = report_of(run, ReportFormat::text);
  EXPECT_THAT(widths_of(text), Each(Le(100U)));
  EXPECT_THAT(text, HasSubstr("\n1 finding\n"));
}

TEST(TextReport, OfLongNamesFitsAHundredColumns) {
  RunBuilder run;
  const std::string name(255, 'n');
  for (HopRecord& record : run.records) {
    if (record.environment.contains("LISTEN_FDNAMES")) record.environment["LISTEN_FDNAMES"] = name + ":s1";
  }
  run.at(launcher, arrival).contract->sockets[0].name = name;
  run.at(launcher, arrival).contract->sockets[0].row.socket->local = "/" + name;
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 3); });
  const std::string text = report_of(run, ReportFormat::text);
  EXPECT_THAT(widths_of(text), Each(Le(100U)));
  EXPECT_THAT(text, HasSubstr("\n1 finding\n"));
}

// Runs whose first socket has this address and this name.
RunBuilder run_with(const std::string& type, const std::string& address, const std::string& name) {
  RunBuilder run;
  ContractSocket& socket = run.at(launcher, arrival).contract->sockets[0];
  socket.name = name;
  socket.row.type = type;
  socket.row.socket->local = address;
  return run;
}

const std::string long_path = "/run/user/1000/some/where/far/down/http.sock";

TEST(TextReport, GivesALongAddressTheRoomOfTheCells) {
  EXPECT_THAT(lines_of(text_of(run_with("UNIX-STREAM", long_path, "a"), 100)),
              Contains("UNIX-STREAM " + long_path + " (a)   opened       -            -       -"));
}

TEST(TextReport, CutsTheNameAndNotTheAddress) {
  const std::string name = "a-service-name-number-1-of-" + std::string(60, 'n');
  EXPECT_THAT(lines_of(text_of(run_with("TCP", "127.0.0.1:1920", name), 100)),
              Contains(StartsWith("TCP 127.0.0.1:1920 (a-service-name-numbe~nnnnnnnnnnnnnnnnnnnn) ")));
}

TEST(TextReport, UsesTheWidthThereIs) {
  const std::string name = "a-service-name-number-1-of-" + std::string(60, 'n');
  EXPECT_THAT(lines_of(text_of(run_with("TCP", "127.0.0.1:1920", name), 200)),
              Contains(StartsWith("TCP 127.0.0.1:1920 (" + name + ")          opened  ")));
}

TEST(TextReport, PutsAnAddressThatFitsNowhereAboveItsCells) {
  const std::string path = '/' + std::string(99, 'p');
  const auto lines = lines_of(text_of(run_with("UNIX-STREAM", path, "a"), 100));
  const auto at = std::ranges::find(lines, "UNIX-STREAM");
  ASSERT_LT(at, lines.end() - 2);
  EXPECT_EQ(*(at + 1), path);
  EXPECT_THAT(*(at + 2), ::testing::ContainsRegex("^\\(a\\) *$|^ +"));
}

TEST(TextReport, FitsEveryPage) {
  for (const std::size_t columns : {40U, 50U, 80U, 132U, 300U}) {
    for (const RunBuilder& run : {RunBuilder(), faulty_run(), hostile_run()})
      EXPECT_THAT(widths_of(text_of(run, columns)), Each(Le(columns)));
  }
}

TEST(TextReport, IsReadableInFiftyColumns) {
  EXPECT_EQ(text_of(faulty_run(), 50), R"(             launcher monitor runtime-shim payload
pid               100     201          301     301
LISTEN_PID          -     201          301     301
LISTEN_FDS          -       2            2       2
LISTEN_FDNAMES
                    -   s0:s1        s0:s1   s0:s1
TCP 127.0.0.1:80 (s0)
               opened       3            3       3
TCP 127.0.0.1:80 (s1)
               opened       4            -       -
sync pipe           -       5            5       -
start pipe          -       6            -       -
DIR /               -       -            -      30

3 findings

warning zombie-left, by launcher, seen at launcher
  seen    process 77 (sh) is a zombie
  fix     wait for every child; end what the
          payload has left before publishing its
          status

error fd-lost-closed, by monitor, seen at
runtime-shim, descriptor 4
  seen    socket s1 (TCP 127.0.0.1:80) was at 4
          and is gone in monitor (departure)
  fix     do not close what is announced

critical fd-leaked, by runtime-shim, seen at
payload, descriptor 30
  seen    30 DIR / was not announced, and payload
          has it
  fix     open with O_CLOEXEC, and mark everything
          else close-on-exec before exec:
          close_range(CLOSE_RANGE_CLOEXEC)
)");
}

// A word that is too long for a line goes on in the next: nothing of the evidence is lost.
TEST(TextReport, BreaksALongWord) {
  RunBuilder run;
  std::string name;
  for (int i = 0; i < 100; ++i) name += std::to_string(i) + '.';
  run.at(launcher, arrival).contract->sockets[0].name = name;
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 3); });
  std::string text = report_of(run, ReportFormat::text);
  text = text.substr(text.find("  seen "));
  std::string joined;
  for (const std::string& line : lines_of(text)) joined += line.size() > 10 ? line.substr(10) : "";
  EXPECT_THAT(joined, HasSubstr(name));
}

TEST(TextReport, HasColourOnlyWhereItIsAskedFor) {
  for (const RunBuilder& run : {RunBuilder(), faulty_run()}) {
    const std::string plain = report_of(run, ReportFormat::text, false);
    const std::string coloured = report_of(run, ReportFormat::text, true);
    EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
    EXPECT_THAT(coloured, HasSubstr("\x1b["));
    // Readable without: the words are the same.
    EXPECT_EQ(std::regex_replace(coloured, std::regex("\x1b\\[[0-9;]*m"), ""), plain);
  }
}

TEST(OtherReports, HaveNoColour) {
  for (const ReportFormat format : {ReportFormat::json, ReportFormat::mermaid, ReportFormat::dot})
    EXPECT_EQ(report_of(faulty_run(), format, true), report_of(faulty_run(), format, false));
}

TEST(EveryReport, KeepsControlCharactersFromTheTerminal) {
  const auto is_plain = [](char character) {
    return character == '\n' || (character >= ' ' && character < '\x7f');
  };
  for (const ReportFormat format : all_formats) {
    const std::string text = report_of(hostile_run(), format);
    EXPECT_TRUE(std::ranges::all_of(text, is_plain)) << text;
    EXPECT_FALSE(text.empty());
  }
}

// A quote or a line end of somebody else's would end a label, and begin something else.
TEST(DotReport, OfHostileNamesIsMadeOfWholeStatements) {
  static const std::regex statement(
      R"(digraph fdchain \{|  rankdir=LR;|  node \[shape=box\];|\}|)"
      R"(  \w+ \[label="[a-z-]+\\npid \d+"\];|  \w+ -> \w+ \[label="[a-z ]+"\];|)"
      R"(  socket\d+ \[shape=ellipse, label="[^"\\]*"\];|  \w+ -> socket\d+ \[style=dashed, arrowhead=none, label="\d+"\];|)"
      R"(  \w+ \[color=red\];)");
  for (const RunBuilder& run : {RunBuilder(), faulty_run(), hostile_run()}) {
    const auto lines = lines_of(report_of(run, ReportFormat::dot));
    for (const std::string& line : lines) EXPECT_TRUE(std::regex_match(line, statement)) << line;
    EXPECT_EQ(lines.front(), "digraph fdchain {");
    EXPECT_EQ(lines.back(), "}");
  }
}

TEST(MermaidReport, OfHostileNamesIsMadeOfWholeStatements) {
  static const std::regex statement(
      R"re(stateDiagram-v2|    state "[a-z-]+ \(pid \d+\)" as \w+|    (\[\*\]|\w+) --> \w+: [a-z0-9, ]+|)re"
      R"re(    note right of \w+|        [a-z-]+( by [\w.-]+(, the [a-z-]+| in [a-z-]+'s place)?)?|    end note)re");
  for (const RunBuilder& run : {RunBuilder(), faulty_run(), hostile_run()}) {
    for (const std::string& line : lines_of(report_of(run, ReportFormat::mermaid)))
      EXPECT_TRUE(std::regex_match(line, statement)) << line;
  }
}

std::vector<std::string> keys_of(const json::value& value) {
  std::vector<std::string> keys;
  for (const auto& [key, member] : value.as_object()) keys.emplace_back(key);
  return keys;
}

TEST(JsonReport, HasTheDocumentedKeys) {
  const RunBuilder run = faulty_run();
  const json::value report = json::parse(report_of(run, ReportFormat::json));
  EXPECT_THAT(keys_of(report), ElementsAre("run", "findings", "not_seen", "unknown", "schema", "records"));
  EXPECT_EQ(report.at("run"), "healthy");
  EXPECT_EQ(report.at("schema"), 1);
  EXPECT_EQ(report.at("records").as_array().size(), run.records.size());
  ASSERT_EQ(report.at("findings").as_array().size(), 3U);
  for (const json::value& finding : report.at("findings").as_array()) {
    EXPECT_THAT(keys_of(finding), ElementsAre("id", "severity", "hop", "culprit", "culprit_program",
                                              "culprit_pid", "fd", "socket", "evidence", "advice", "known"));
  }
}

TEST(JsonFindings, SayNullForWhatIsNotKnown) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { record.environment["LISTEN_PID"] = "201"; });
  run.drop(monitor).drop(runtime_shim).drop(launcher, departure);
  const json::value report = json::parse(json_findings({run.records, judge(run.records)}));
  const json::value& finding = report.at("findings").at(0);
  EXPECT_EQ(finding.at("id"), "listen-pid-stale");
  EXPECT_EQ(finding.at("severity"), "error");
  EXPECT_EQ(finding.at("hop"), "payload");
  EXPECT_TRUE(finding.at("culprit").is_null());
  EXPECT_TRUE(finding.at("fd").is_null());
  EXPECT_TRUE(finding.at("socket").is_null());
  EXPECT_THAT(report.at("unknown").as_array(), Not(IsEmpty()));
  EXPECT_EQ(report.at("not_seen"), json::parse(R"(["monitor","runtime-shim"])"));
}

TEST(JsonFindings, AreOneLine) {
  EXPECT_EQ(lines_of(json_findings({{}, {}})).size(), 1U);
  const RunBuilder run = hostile_run();
  EXPECT_EQ(lines_of(json_findings({run.records, judge(run.records)})).size(), 1U);
}

TEST(JsonReport, OfHostileNamesIsReadBackAsItWas) {
  RunBuilder run;
  const std::string name = "\u009b2J \u20ac \U0001f980 \x7f \x1b";
  run.at(launcher, arrival).exe = name;
  const json::value report = json::parse(report_of(run, ReportFormat::json));
  EXPECT_EQ(std::string(report.at("records").at(0).at("exe").as_string()), name);
}

TEST(ReportFormats, AreFour) {
  for (const auto* const name : {"text", "json", "mermaid", "dot"})
    EXPECT_TRUE(parse_report_format(name)) << name;
  for (const auto* const name : {"", "html", "TEXT", "text "})
    EXPECT_FALSE(parse_report_format(name)) << name;
}

// FDCHAIN_UPDATE_GOLDEN=1 writes them anew; the difference is to be reviewed like code.
void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(FDCHAIN_SOURCE_DIR "/tests/report/golden/") + name;
  if (std::getenv("FDCHAIN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(file), {})) << path;
}

TEST(Golden, Reports) {
  for (const auto& [name, run] : {std::pair("healthy", RunBuilder()), std::pair("faulty", faulty_run())}) {
    expect_golden(std::string(name) + ".txt", report_of(run, ReportFormat::text));
    expect_golden(std::string(name) + ".mermaid", report_of(run, ReportFormat::mermaid));
    expect_golden(std::string(name) + ".dot", report_of(run, ReportFormat::dot));
    expect_golden(std::string(name) + ".json", report_of(run, ReportFormat::json));
  }
}

}  // namespace
}  // namespace fdchain::test
