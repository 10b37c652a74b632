#include "tests/bench/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>

namespace fdchain::bench {
namespace {

/// Keeps every single run and prints nothing.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration)
        times_[run.run_name.function_name].push_back(run.real_accumulated_time);
    }
  }

  [[nodiscard]] std::map<std::string, double> medians() {
    std::map<std::string, double> result;
    for (auto& [name, times] : times_) {
      const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
      std::ranges::nth_element(times, middle);
      result[name] = *middle;
    }
    return result;
  }

 private:
  std::map<std::string, std::vector<double>> times_;
};

}  // namespace

std::map<std::string, double> medians(const std::vector<Contender>& contenders, int rounds) {
  benchmark::ClearRegisteredBenchmarks();
  for (const Contender& contender : contenders) {
    (void)contender.run_once();  // once for the page cache
    benchmark::RegisterBenchmark(contender.name.c_str(),
                                 [&contender](benchmark::State& state) {
                                   for (auto unused : state) {
                                     (void)unused;
                                     state.SetIterationTime(contender.run_once());
                                   }
                                 })
        ->Iterations(1)
        ->Repetitions(rounds)
        ->UseManualTime();
  }
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  return collector.medians();
}

}  // namespace fdchain::bench
