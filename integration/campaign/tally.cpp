#include "integration/campaign/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

namespace fdchain::campaign {
namespace {

namespace json = boost::json;

constexpr std::array level_names{"healthy", "one fault", "two faults", "a wrapper"};
constexpr int wanted_percent_of_two = 95;

// `fd-leaked monitor`, or `fd-leaked wrapper/monitor` of a program in its place.
std::string line(const std::string& id, std::optional<Hop> culprit, const std::string& wrapper) {
  return id + ' ' + (wrapper.empty() ? "" : wrapper + '/') +
         (culprit ? std::string(to_string(*culprit)) : "nobody");
}

json::array to_json(const std::vector<std::string>& words) { return json::array(words.begin(), words.end()); }

std::vector<std::string> words_of(const json::value& value) {
  std::vector<std::string> words;
  for (const auto& word : value.as_array()) words.emplace_back(word.as_string());
  return words;
}

// The hop, also of a wrapper in its place.
std::string culprit_in(const std::string& found) {
  return found.substr(std::max(found.find(' ') + 1, found.rfind('/') + 1));
}
std::string id_in(const std::string& found) { return found.substr(0, found.find(' ')); }

struct Score {
  std::size_t runs = 0;
  std::size_t complete = 0;
  std::size_t exact = 0;
};

Score score_of(const std::vector<Entry>& entries, Level level) {
  Score score;
  for (const Entry& entry : entries) {
    if (entry.level != level) continue;
    ++score.runs;
    if (entry.complete()) ++score.complete;
    if (entry.exact()) ++score.exact;
  }
  return score;
}

double percent(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

/// Of each expectation, what was found in its place.
struct Confusion {
  std::map<std::string, std::map<std::string, std::size_t>> cells;

  void count(const std::string& expected, const std::string& found) { ++cells[expected][found]; }
};

// Who was blamed, of single mistakes: a finding counts for the expectation of its run.
Confusion culprits(const std::vector<Entry>& entries) {
  Confusion confusion;
  for (const Entry& entry : entries) {
    if (entry.level != Level::single || entry.expected.empty()) continue;
    const std::string expected = culprit_in(entry.expected.front());
    if (entry.found.empty()) confusion.count(expected, "(none)");
    for (const std::string& found : entry.found) confusion.count(expected, culprit_in(found));
  }
  return confusion;
}

std::string culprit_table(const std::vector<Entry>& entries) {
  const Confusion confusion = culprits(entries);
  constexpr std::array columns{"activator", "launcher", "monitor", "runtime-shim", "nobody", "(none)"};
  std::string text = fmt::format("{:<24}", "who did it \\ blamed");
  for (const auto* const column : columns) text += fmt::format("{:>14}", column);
  text += '\n';
  for (const auto& [expected, row] : confusion.cells) {
    text += fmt::format("{:<24}", expected);
    for (const auto* const column : columns) {
      const auto cell = row.find(column);
      text += fmt::format("{:>14}", cell == row.end() ? 0 : cell->second);
    }
    text += '\n';
  }
  return text;
}

std::string id_table(const std::vector<Entry>& entries) {
  struct Row {
    std::size_t runs = 0;
    std::size_t right = 0;
    std::map<std::string, std::size_t> others;
  };
  std::map<std::string, Row> rows;
  for (const Entry& entry : entries) {
    if (entry.level != Level::single || entry.expected.empty()) continue;
    Row& row = rows[id_in(entry.expected.front())];
    ++row.runs;
    for (const std::string& found : entry.found) {
      if (id_in(found) == id_in(entry.expected.front()))
        ++row.right;
      else
        ++row.others[id_in(found)];
    }
  }
  std::string text =
      fmt::format("{:<24}{:>8}{:>8}  {}\n", "expected", "runs", "found", "found instead, or besides");
  for (const auto& [id, row] : rows) {
    std::string others;
    for (const auto& [other, count] : row.others)
      others += fmt::format("{}{} {}", others.empty() ? "" : ", ", other, count);
    text += fmt::format("{:<24}{:>8}{:>8}  {}\n", id, row.runs, row.right, others.empty() ? "-" : others);
  }
  return text;
}

}  // namespace

bool Entry::complete() const {
  return std::ranges::all_of(expected,
                             [&](const std::string& one) { return std::ranges::count(found, one) > 0; });
}

bool Entry::exact() const {
  return complete() && std::ranges::all_of(found, [&](const std::string& one) {
           return std::ranges::count(expected, one) > 0;
         });
}

Entry make_entry(std::uint64_t seed, const Run& run, const Outcome& outcome) {
  Entry entry{seed, run.number, run.level, {}, {}, {}, outcome.command};
  for (const FaultRequest& fault : run.faults) entry.faults.push_back(to_string(fault));
  for (const Expected& expected : expectations(run))
    entry.expected.push_back(line(expected.id, expected.culprit, expected.wrapper));
  for (const Finding& finding : outcome.findings) {
    const bool by_wrapper = finding.culprit_is_wrapper;
    entry.found.push_back(line(finding.id, finding.culprit, by_wrapper ? finding.culprit_program : ""));
  }
  return entry;
}

std::string encode(const Entry& entry) {
  return json::serialize(json::object{{"seed", entry.seed},
                                      {"number", entry.number},
                                      {"level", static_cast<int>(entry.level)},
                                      {"faults", to_json(entry.faults)},
                                      {"expected", to_json(entry.expected)},
                                      {"found", to_json(entry.found)},
                                      {"command", entry.command}}) +
         '\n';
}

Entry decode_entry(const std::string& line) {
  const json::value value = json::parse(line);
  return {value.at("seed").to_number<std::uint64_t>(),
          value.at("number").to_number<std::uint64_t>(),
          static_cast<Level>(value.at("level").to_number<int>()),
          words_of(value.at("faults")),
          words_of(value.at("expected")),
          words_of(value.at("found")),
          std::string(value.at("command").as_string())};
}

std::string summary(const std::vector<Entry>& entries) {
  std::string text = fmt::format("{:<24}{:>8}{:>14}{:>22}\n", "", "runs", "all found", "and nothing else");
  for (const Level level : {Level::healthy, Level::single, Level::twice, Level::wrapped}) {
    const Score score = score_of(entries, level);
    if (score.runs == 0) continue;
    text += fmt::format("{:<24}{:>8}{:>12.1f} %{:>20.1f} %\n", level_names[static_cast<std::size_t>(level)],
                        score.runs, percent(score.complete, score.runs), percent(score.exact, score.runs));
  }
  return text + '\n' + culprit_table(entries) + '\n' + id_table(entries);
}

bool reaches_goals(const std::vector<Entry>& entries) {
  const Score healthy = score_of(entries, Level::healthy);
  const Score single = score_of(entries, Level::single);
  const Score two = score_of(entries, Level::twice);
  const Score wrapped = score_of(entries, Level::wrapped);
  const bool any = healthy.runs + single.runs + two.runs + wrapped.runs > 0;
  return any && healthy.exact == healthy.runs && single.exact == single.runs &&
         wrapped.exact == wrapped.runs && two.complete * 100 >= two.runs * wanted_percent_of_two;
}

}  // namespace fdchain::campaign
