// What the chain bears: many at once, many after another, many clients each.

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <iostream>
#include <optional>

#include "integration/harness/network.h"
#include "integration/harness/program.h"
#include "integration/load/parts.h"
#include "tests/support/supervise.h"

namespace fdchain::load {
namespace {

namespace po = boost::program_options;

struct Options {
  std::size_t chains = 1000;
  std::size_t activations = 10'000;
  std::size_t clients = 200;
  std::size_t messages = 100;
  std::string programs;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  po::options_description own("Options");
  own.add_options()("chains", po::value(&options.chains), "chains alive at once; default 1000")(
      "activations", po::value(&options.activations), "activations in a row; default 10000")(
      "clients", po::value(&options.clients), "clients at once, of each kind of socket; default 200")(
      "messages", po::value(&options.messages), "messages of each client; default 100")(
      "programs", po::value(&options.programs)->value_name("DIR"),
      "where the four programs are; default: those of this build")("help,h", "print this");
  po::variables_map values;
  po::store(po::command_line_parser(argc, argv).options(own).run(), values);
  po::notify(values);
  if (values.contains("help")) {
    std::cout << "Usage: ./dev campaign load [OPTIONS]\n\n" << own;
    return std::nullopt;
  }
  return options;
}

// Prints a part's lines as soon as they are there, and counts what was missed.
std::size_t print(const Outcome& outcome) {
  for (const Line& line : outcome.lines)
    std::cout << fmt::format("{:<34}{:>9}  {}\n", line.name, line.value, line.remark);
  for (const std::string& miss : outcome.misses) std::cout << "MISSED  " << miss << '\n';
  std::cout << std::flush;
  return outcome.misses.size();
}

int run(const Options& options, const std::string& directory) {
  test::enter_private_network();
  std::size_t misses = print(chains_alive(options.chains, directory));
  misses += print(activations(options.activations, directory));
  misses += print(crowds(options.clients, options.messages, directory));
  return misses == 0 ? 0 : 1;
}

}  // namespace
}  // namespace fdchain::load

int main(int argc, char** argv) {
  try {
    const auto options = fdchain::load::parse(argc, argv);
    if (!options) return 0;
    if (!options->programs.empty()) fdchain::test::take_programs_from(options->programs);
    return fdchain::test::supervise(
        "load", [&](const std::string& directory) { return fdchain::load::run(*options, directory); });
  } catch (const std::exception& error) {
    std::cerr << "load: " << error.what() << '\n';
    return 2;
  }
}
