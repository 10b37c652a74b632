// Interleaved measurements: every contender in turn, in random order, and the median of each.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fdchain::bench {

/// Something to be timed: one run, in seconds, timed by itself.
struct Contender {
  std::string name;
  std::function<double()> run_once;
};

/// The median of each contender, in seconds. Google Benchmark runs them `rounds` times each, interleaved at
/// random, so that a machine whose speed drifts drifts for all of them.
std::map<std::string, double> medians(const std::vector<Contender>& contenders, int rounds);

}  // namespace fdchain::bench
