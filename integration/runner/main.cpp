// Plays scenarios, and holds what comes of them against what they expect and against their golden reports.

#include <fmt/format.h>
#include <sys/prctl.h>

#include <boost/program_options.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "fdchain/system/fd/sys.h"
#include "integration/harness/network.h"
#include "integration/harness/program.h"
#include "integration/runner/play.h"
#include "tests/support/child.h"

namespace fdchain::test {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

struct Options {
  bool update = false;
  std::string keep;
  std::vector<std::string> names;
};

Options parse(int argc, char** argv) {
  Options options;
  po::options_description own("Options");
  own.add_options()("update", po::bool_switch(&options.update), "write the golden reports anew")(
      "keep", po::value(&options.keep)->value_name("DIR"), "leave the traces in DIR, as NAME.jsonl")(
      "name", po::value(&options.names)->value_name("NAME"), "only these scenarios")("help,h", "print this");
  po::positional_options_description names;
  names.add("name", -1);
  po::variables_map values;
  po::store(po::command_line_parser(argc, argv).options(own).positional(names).run(), values);
  po::notify(values);
  if (values.contains("help")) {
    std::cout << "Usage: fdchain_scenarios [OPTIONS] [NAME...]\n\n" << own;
    std::exit(0);
  }
  return options;
}

std::string findings_text(const std::vector<ExpectedFinding>& findings) {
  std::string text;
  for (const ExpectedFinding& finding : findings)
    text += fmt::format("    finding: {} by {} at {}\n", finding.id, finding.culprit, finding.hop);
  return text.empty() ? "    no findings\n" : text;
}

// What is not as it should be; empty when all is.
std::string difference(const Scenario& scenario, const Played& played, const std::string& golden,
                       bool update) {
  std::string text;
  if (played.exit_status != scenario.exit_status)
    text += fmt::format("  exit: {}, expected {}\n", played.exit_status, scenario.exit_status);
  if (played.findings != scenario.findings) {
    text += "  expected\n" + findings_text(scenario.findings) + "  found\n" + findings_text(played.findings);
  }
  if (update) {
    std::ofstream(golden) << played.report;
  } else if (const std::string wanted = read_file(golden); wanted != played.report) {
    text += wanted.empty() ? "  no golden report; --update writes it\n"
                           : fmt::format("  the report differs from {}, which has\n{}\n", golden, wanted);
  }
  return text;
}

bool play_one(const std::string& file, const Options& options, const std::string& directory) {
  const Scenario scenario = read_scenario(file);
  const auto start = std::chrono::steady_clock::now();
  std::string wrong;
  Played played;
  try {
    played = play(scenario, directory + '/' + scenario.name + ".jsonl");
    const std::string golden =
        std::string(FDCHAIN_SOURCE_DIR "/integration/golden/") + scenario.name + ".txt";
    wrong = difference(scenario, played, golden, options.update);
  } catch (const std::exception& error) {
    wrong = fmt::format("  {}\n", error.what());
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::cout << fmt::format("{:<40} {:>8.0f} ms  {}\n", scenario.name, took.count(),
                           wrong.empty() ? "ok" : "FAILED");
  if (wrong.empty()) return true;
  std::cout << wrong << played.report << "  stderr:\n"
            << played.said << "  repeat it:\n    " << played.repeat << "\n    " << FDCHAIN_BIN_DIR
            << "/fdchain_scenarios " << scenario.name << '\n';
  return false;
}

int play_all(int argc, char** argv) {
  const Options options = parse(argc, argv);
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  enter_private_network();
  const TemporaryDirectory temporary;
  if (!options.keep.empty()) fs::create_directories(options.keep);
  const std::string directory = options.keep.empty() ? temporary.path() : fs::absolute(options.keep).string();
  const std::string scenarios = FDCHAIN_SOURCE_DIR "/integration/scenarios/";
  std::vector<std::string> files;
  for (const std::string& name : options.names) files.push_back(scenarios + name + ".scenario");
  if (files.empty()) files = scenario_files(scenarios);
  bool all_well = !files.empty();
  for (const std::string& file : files) all_well &= play_one(file, options, directory);
  return all_well ? 0 : 1;
}

}  // namespace
}  // namespace fdchain::test

int main(int argc, char** argv) {
  try {
    return fdchain::test::play_all(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "scenarios: " << error.what() << '\n';
    return 2;
  }
}
