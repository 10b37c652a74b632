// Ours with a profile beside the real chain, cell by cell: `fdchain_cells [--update] [--verbose]`.

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "fdchain/system/exec/child_side.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"
#include "integration/harness/network.h"
#include "integration/harness/program.h"
#include "integration/real/cells/cells.h"

namespace fdchain::test {
namespace {

constexpr std::array<const char*, 5> columns{"monitor", "runtime-shim", "payload", "status", "judge"};
constexpr const char* begin_mark = "<!-- cells: written by fdchain_cells --update -->\n";
constexpr const char* end_mark = "<!-- end of cells -->\n";

std::string folder() { return FDCHAIN_SOURCE_DIR "/integration/real/"; }

// `RUNTIME | INPUT | HOP: why they differ`; RUNTIME or INPUT may be `*`.
struct Explanation {
  std::string runtime;
  std::string input;
  std::string hop;
  std::string text;
  bool used = false;
};

std::string trim(std::string text) {
  const auto is_blank = [](char letter) { return letter == ' '; };
  text.erase(text.begin(), std::ranges::find_if_not(text, is_blank));
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  return text;
}

std::vector<Explanation> read_explanations() {
  std::vector<Explanation> list;
  std::ifstream file(folder() + "cells/explanations.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    Explanation one;
    std::getline(words, one.runtime, '|');
    std::getline(words, one.input, '|');
    std::getline(words, one.hop, '|');
    std::getline(words, one.text);
    for (std::string* const part : {&one.runtime, &one.input, &one.hop, &one.text}) *part = trim(*part);
    list.push_back(one);
  }
  return list;
}

/// The comparison of all inputs, as a table, with what is not explained.
class Comparison {
 public:
  explicit Comparison(bool verbose) : verbose_(verbose), explanations_(read_explanations()) {}

  void compare(const Input& input, const std::string& runtime) {
    const Cells real = run_real(input, runtime);
    const Cells ours = run_ours(input, runtime);
    end_all_children();  // monitors of what has been removed
    std::string row = "| " + runtime + " | " + input.name + " |";
    for (const char* const hop : columns) {
      const bool equal = real.at(hop) == ours.at(hop);
      row += ' ' +
             (equal ? "agrees: " + real.at(hop) : explain(input, runtime, hop, real.at(hop), ours.at(hop))) +
             " |";
      ++cells_;
      agreeing_ += equal ? 1 : 0;
      if (verbose_ || (!equal && !explained_))
        std::cerr << fmt::format("{} | {} | {}\n  real {}\n  ours {}\n", runtime, input.name, hop,
                                 real.at(hop), ours.at(hop));
    }
    rows_ += row + '\n';
  }

  [[nodiscard]] std::string table() const {
    std::string text =
        fmt::format("{} cells, {} agree, {} are explained.\n\n", cells_, agreeing_, cells_ - agreeing_);
    text +=
        "| runtime | input | monitor | runtime-shim | payload | status | the judge |\n| --- | --- | --- | "
        "--- | "
        "--- | --- | --- |\n";
    return text + rows_;
  }

  // Differences without an explanation, and explanations without a difference.
  [[nodiscard]] bool is_sound() const {
    for (const Explanation& one : explanations_) {
      if (!one.used) std::cerr << "explains nothing: " << one.input << " | " << one.hop << '\n';
    }
    return unexplained_ == 0 &&
           std::ranges::all_of(explanations_, [](const Explanation& one) { return one.used; });
  }

 private:
  std::string explain(const Input& input, const std::string& runtime, const std::string& hop,
                      const std::string& real, const std::string& ours) {
    explained_ = false;
    for (Explanation& one : explanations_) {
      if (one.hop != hop || (one.runtime != "*" && one.runtime != runtime) ||
          (one.input != "*" && one.input != input.name))
        continue;
      one.used = explained_ = true;
      return "real " + real + "; ours " + ours + ": " + one.text;
    }
    ++unexplained_;
    return "DIFFERS: real " + real + "; ours " + ours;
  }

  bool verbose_;
  bool explained_ = false;
  std::vector<Explanation> explanations_;
  std::string rows_;
  int cells_ = 0;
  int agreeing_ = 0;
  int unexplained_ = 0;
};

// The part of README.md between the marks.
bool keep_or_compare(const std::string& table, bool update) {
  const std::string path = folder() + "README.md";
  const std::string text = read_file(path);
  const std::size_t begin = text.find(begin_mark);
  const std::size_t end = text.find(end_mark);
  if (begin == std::string::npos || end == std::string::npos) {
    std::cerr << path << ": the marks of the table are missing\n";
    return false;
  }
  const std::size_t first = begin + std::string(begin_mark).size();
  if (text.substr(first, end - first) == table) return true;
  if (!update) {
    std::cerr << path << ": the table is another one now; fdchain_cells --update writes it\n";
    return false;
  }
  std::ofstream(path) << text.substr(0, first) << table << text.substr(end);
  return true;
}

int compare_all(const std::set<std::string>& words) {
  enter_private_network();
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  mark_close_on_exec(STDERR_FILENO + 1, INT_MAX);
  Comparison comparison(words.contains("--verbose"));
  for (const std::string runtime : {"crun", "runc"}) {
    for (const Input& input : all_inputs()) comparison.compare(input, runtime);
  }
  const std::string table = comparison.table();
  std::cout << table;
  const bool sound = comparison.is_sound();
  return keep_or_compare(table, words.contains("--update")) && sound ? 0 : 1;
}

}  // namespace
}  // namespace fdchain::test

int main(int argc, char** argv) {
  return fdchain::test::compare_all(std::set<std::string>(argv + 1, argv + argc));
}
