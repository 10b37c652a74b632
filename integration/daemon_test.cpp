// Real daemons at the end of the chain, each doing its real job for a real client; see daemons/README.md.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// One file of daemons/, with $DIR still in it.
struct Daemon {
  std::string name;
  std::vector<std::string> packages;
  std::string listen;
  std::vector<std::string> options;
  std::vector<std::pair<std::string, std::string>> files;
  std::string before = "true";
  std::string run;
  std::string ask;
  std::string expect;
};

void PrintTo(const Daemon& daemon, std::ostream* out) { *out << daemon.name; }

std::vector<std::string> split(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

// Where the value of a key goes; null for one that is a list.
std::string* text_of(Daemon& daemon, const std::string& key) {
  if (key == "listen") return &daemon.listen;
  if (key == "before") return &daemon.before;
  if (key == "run") return &daemon.run;
  if (key == "ask") return &daemon.ask;
  if (key == "expect") return &daemon.expect;
  return nullptr;
}

void read_line(Daemon& daemon, const std::string& key, const std::string& value) {
  const std::vector<std::string> words = split(value);
  if (std::string* const text = text_of(daemon, key)) {
    *text = value;
  } else if (key == "package") {
    daemon.packages = words;
  } else if (key == "option") {
    daemon.options.insert(daemon.options.end(), words.begin(), words.end());
  } else if (key == "file") {
    daemon.files.emplace_back(value, "");
  } else {
    throw std::runtime_error(daemon.name + ".daemon: " + key + " is no key");
  }
}

Daemon read_daemon(const fs::path& path) {
  Daemon daemon;
  daemon.name = path.stem();
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("    ")) {
      daemon.files.back().second += line.substr(4) + '\n';
      continue;
    }
    const std::size_t blank = line.find(' ');
    read_line(daemon, line.substr(0, blank), line.substr(line.find_first_not_of(' ', blank)));
  }
  return daemon;
}

std::vector<Daemon> all_daemons() {
  std::vector<Daemon> daemons;
  for (const auto& entry : fs::directory_iterator(FDCHAIN_SOURCE_DIR "/integration/daemons")) {
    if (entry.path().extension() == ".daemon") daemons.push_back(read_daemon(entry.path()));
  }
  return daemons;
}

class RealDaemon : public ChainTest, public ::testing::WithParamInterface<Daemon> {
 protected:
  [[nodiscard]] std::string filled_in(const std::string& text) const {
    return std::regex_replace(text, std::regex("\\$DIR"), directory_.path());
  }

  [[nodiscard]] Result shell(const std::string& command) const {
    Start start;
    start.argv = {"env", "HOME=" + directory_.path(), "XDG_RUNTIME_DIR=" + directory_.path(), "sh",
                  "-c",  filled_in(command)};
    start.working_directory = directory_.path();
    return run(start);
  }
};

TEST_P(RealDaemon, DoesItsJobAndTheJudgeFindsNothing) {
  const Daemon& daemon = GetParam();
  for (const std::string& package : daemon.packages) {
    Start query;
    query.argv = {"dpkg-query", "-W", "-f", "${db:Status-Status}", package};
    ASSERT_EQ(run(query).out, "installed") << package << ": ./dev test installs it";
  }
  for (const auto& [name, text] : daemon.files) std::ofstream(file(name)) << filled_in(text);
  const Result prepared = shell(daemon.before);
  ASSERT_EQ(prepared.status, WaitStatus::for_exit_code(0)) << prepared.out << prepared.err;
  std::vector<std::string> command{bin("launcher"), "--check", "--report", "text"};
  command.insert(command.end(), daemon.options.begin(), daemon.options.end());
  for (const std::string& word : split(filled_in(daemon.run))) command.push_back(word);
  Program chain = socket_activate({"-E", "HOME=" + directory_.path(), "-E",
                                   "XDG_RUNTIME_DIR=" + directory_.path(), "-l", filled_in(daemon.listen)},
                                  command);
  const Result answer = shell(daemon.ask);
  std::istringstream lines(answer.out);
  bool expected = false;
  for (std::string line; std::getline(lines, line);)
    expected |= std::regex_match(line, std::regex(daemon.expect));
  EXPECT_TRUE(expected) << "asked, it said: " << answer.out << answer.err
                        << "\nand the chain: " << chain.err();
  chain.signal(SIGTERM);
  const Result result = chain.finish();
  EXPECT_THAT(result.err, HasSubstr("no findings")) << result.status.describe();
  EXPECT_NE(result.status, WaitStatus::for_exit_code(124));
}

INSTANTIATE_TEST_SUITE_P(All, RealDaemon, ::testing::ValuesIn(all_daemons()), [](const auto& param_info) {
  std::string label = param_info.param.name;
  std::ranges::replace(label, '-', '_');
  return label;
});

}  // namespace
}  // namespace fdchain::test
