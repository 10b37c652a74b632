// How good is the judge? Runs random chains, healthy and faulty, and compares what it finds with what was
// done.

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "integration/campaign/draw.h"
#include "integration/campaign/execute.h"
#include "integration/campaign/tally.h"
#include "integration/harness/network.h"
#include "integration/harness/progress.h"
#include "tests/support/supervise.h"

namespace fdchain::campaign {
namespace {

namespace po = boost::program_options;

constexpr unsigned most_attempts = 200;

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t healthy = 1000;
  std::uint64_t single = 2000;
  std::uint64_t twice = 1000;
  std::uint64_t wrapped = 500;

  [[nodiscard]] std::uint64_t all() const { return healthy + single + twice + wrapped; }
  std::uint64_t shard = 1;
  std::uint64_t shards = 1;
  std::string results;
  std::string only;
};

void read_shard(const std::string& text, Options& options) {
  const std::size_t slash = text.find('/');
  const auto shard = parse_decimal(text.substr(0, slash), 1'000'000);
  const auto shards = parse_decimal(slash == std::string::npos ? "" : text.substr(slash + 1), 1'000'000);
  if (!shard || !shards || *shard < 1 || *shard > *shards)
    throw Failure("--shard " + text + ": not I/N, I from 1 to N", 2);
  options.shard = *shard;
  options.shards = *shards;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  std::string shard = "1/1";
  po::options_description own("Options");
  own.add_options()("seed", po::value(&options.seed), "what everything is drawn from; default 1")(
      "healthy", po::value(&options.healthy), "chains without a fault; default 1000")(
      "single", po::value(&options.single), "chains with one fault; default 2000")(
      "twice", po::value(&options.twice), "chains with two faults at different hops; default 1000")(
      "wrapped", po::value(&options.wrapped), "chains with a script in a hop's place; default 500")(
      "shard", po::value(&shard)->value_name("I/N"), "the I-th of N parts, for a CI matrix")(
      "results", po::value(&options.results)->value_name("FILE"),
      "append each run to FILE; what is there already, of this seed, is not run again")(
      "number", po::value(&options.only)->value_name("N"),
      "only the run of this number, and show its command")("help,h", "print this");
  po::variables_map values;
  po::store(po::command_line_parser(argc, argv).options(own).run(), values);
  po::notify(values);
  if (values.contains("help")) {
    std::cout << "Usage: ./dev campaign [OPTIONS]\n\n" << own;
    return std::nullopt;
  }
  read_shard(shard, options);
  return options;
}

Level level_of(std::uint64_t number, const Options& options) {
  if (number < options.healthy) return Level::healthy;
  if (number < options.healthy + options.single) return Level::single;
  return number < options.all() - options.wrapped ? Level::twice : Level::wrapped;
}

Entry run_number(std::uint64_t number, const Options& options, const std::string& directory) {
  for (unsigned attempt = 0; attempt < most_attempts; ++attempt) {
    const Run run = draw(options.seed, number, level_of(number, options), attempt, directory);
    try {
      const Outcome outcome = execute(run, directory);
      if (!outcome.refused) return make_entry(options.seed, run, outcome);
    } catch (const std::exception& error) {
      std::string faults;
      for (const FaultRequest& fault : run.faults) faults += " --fault " + to_string(fault);
      throw Failure(fmt::format("run {} of seed {},{}: {}", number, options.seed, faults, error.what()));
    }
  }
  throw Failure(fmt::format("run {} of seed {}: no fault of {} draws had anything to work on", number,
                            options.seed, most_attempts));
}

// What the results file has of this very campaign.
std::vector<Entry> read_results(const Options& options) {
  std::vector<Entry> entries;
  std::ifstream file(options.results);
  for (std::string line; std::getline(file, line);) {
    try {
      Entry entry = decode_entry(line);
      const bool of_this_shard = entry.number % options.shards == options.shard - 1;
      if (entry.seed == options.seed && entry.level == level_of(entry.number, options) && of_this_shard &&
          entry.number < options.all())
        entries.push_back(std::move(entry));
    } catch (const std::exception&) {
      continue;  // cut short by whatever stopped the campaign; it is run again
    }
  }
  return entries;
}

void print_misses(const std::vector<Entry>& entries) {
  constexpr std::size_t most = 20;
  std::size_t shown = 0;
  for (const Entry& entry : entries) {
    if (entry.exact() || (entry.level == Level::twice && entry.complete())) continue;
    if (++shown > most) continue;
    std::cout << fmt::format(
        "run {}: {}\n  expected {}\n  found    {}\n", entry.number,
        entry.faults.empty() ? entry.command : fmt::format("{}", fmt::join(entry.faults, " ")),
        fmt::join(entry.expected, ", "), fmt::join(entry.found, ", "));
  }
  if (shown > most) std::cout << fmt::format("and {} more\n", shown - most);
}

int run(const Options& options, const std::string& directory) {
  test::enter_private_network();
  if (!options.only.empty()) {
    const Entry entry = run_number(std::stoull(options.only), options, directory);
    std::cout << encode(entry);
    return entry.exact() ? 0 : 1;
  }

  std::vector<Entry> entries;
  if (!options.results.empty()) entries = read_results(options);
  std::set<std::uint64_t> done;
  for (const Entry& entry : entries) done.insert(entry.number);
  std::ofstream results;
  // Begins with a line of its own, should the last one be cut short.
  if (!options.results.empty()) {
    results.open(options.results, std::ios::app);
    results << '\n';
  }

  std::vector<std::uint64_t> numbers;
  for (std::uint64_t number = 0; number < options.all(); ++number) {
    if (number % options.shards == options.shard - 1 && !done.contains(number)) numbers.push_back(number);
  }
  {
    test::Progress progress(numbers.size());
    std::uint64_t failures = 0;
    for (const std::uint64_t number : numbers) {
      entries.push_back(run_number(number, options, directory));
      if (results.is_open()) results << encode(entries.back()) << std::flush;
      if (!entries.back().exact()) ++failures;
      progress.step(fmt::format("{} not as expected", failures));
    }
  }
  std::cout << summary(entries) << '\n';
  print_misses(entries);
  return reaches_goals(entries) ? 0 : 1;
}

}  // namespace
}  // namespace fdchain::campaign

int main(int argc, char** argv) {
  try {
    const auto options = fdchain::campaign::parse(argc, argv);
    if (!options) return 0;
    return fdchain::test::supervise("campaign", [&](const std::string& directory) {
      return fdchain::campaign::run(*options, directory);
    });
  } catch (const std::exception& error) {
    std::cerr << "campaign: " << error.what() << '\n';
    return 2;
  }
}
