#include "integration/runner/scenario.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::vector<int> numbers_of(const std::string& text) {
  std::vector<int> numbers;
  for (const std::string& word : words_of(text)) numbers.push_back(std::stoi(word));
  return numbers;
}

int signal_named(const std::string& name) {
  for (int number = 1; number < 32; ++number) {
    const char* const abbreviation = ::sigabbrev_np(number);
    if (abbreviation != nullptr && name == abbreviation) return number;
  }
  throw std::runtime_error("no signal " + name);
}

ExpectedFinding parse_finding(const std::string& text) {
  const auto words = words_of(text);
  if (words.size() != 5 || words[1] != "by" || words[3] != "at")
    throw std::runtime_error("a finding is `ID by HOP at HOP`");
  return {words[0], words[2], words[4]};
}

void take(Scenario& scenario, const std::string& key, const std::string& value) {
  if (key == "story")
    scenario.story += (scenario.story.empty() ? "" : " ") + value;
  else if (key == "run")
    scenario.run = value;
  else if (key == "activate")
    scenario.activate.push_back(value);
  else if (key == "others")
    scenario.others = numbers_of(value);
  else if (key == "closed")
    scenario.closed = numbers_of(value);
  else if (key == "connect")
    scenario.connect = value;
  else if (key == "notify")
    scenario.notify = value == "yes";
  else if (key == "says")
    scenario.says = value;
  else if (key == "signals")
    for (const std::string& name : words_of(value)) scenario.signals.push_back(signal_named(name));
  else if (key == "exit")
    scenario.exit_status = std::stoi(value);
  else if (key == "finding")
    scenario.findings.push_back(parse_finding(value));
  else
    throw std::runtime_error("no such key: " + key);
}

}  // namespace

Scenario read_scenario(const std::string& path) {
  Scenario scenario;
  scenario.name = fs::path(path).stem();
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t colon = line.find(": ");
    try {
      if (colon == std::string::npos) throw std::runtime_error("not `key: value`");
      take(scenario, line.substr(0, colon), line.substr(colon + 2));
    } catch (const std::exception& error) {
      throw std::runtime_error(path + ':' + std::to_string(number) + ": " + error.what());
    }
  }
  if (scenario.run.empty() || scenario.story.empty())
    throw std::runtime_error(path + ": needs a story and a run");
  return scenario;
}

std::vector<std::string> scenario_files(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".scenario") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> faults_in(const Scenario& scenario) {
  std::vector<std::string> faults;
  const auto words = words_of(scenario.run);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--fault") faults.push_back(words[i + 1]);
  }
  return faults;
}

}  // namespace fdchain::test
