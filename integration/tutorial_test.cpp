// The manual's tutorial, run as it stands there: whoever follows it gets what it shows.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "integration/harness/chain_test.h"
#include "integration/harness/user_manager.h"

namespace fdchain::test {
namespace {

/// Commands, and what they print.
struct Block {
  std::string commands;
  std::string output;
};

void replace_all(std::string& text, const std::string& old, const std::string& with) {
  for (std::size_t at = text.find(old); at != std::string::npos; at = text.find(old, at + with.size()))
    text.replace(at, old.size(), with);
}

// The ```sh blocks of a page, each with the plain block that follows it, if one does before the next.
std::vector<Block> blocks_of(const std::string& markdown) {
  std::istringstream lines(markdown);
  std::vector<Block> blocks;
  std::string other;  // a block that is neither
  std::string* into = nullptr;
  for (std::string line; std::getline(lines, line);) {
    if (into != nullptr) {
      if (line == "```")
        into = nullptr;
      else
        into->append(line).push_back('\n');
    } else if (line == "```sh") {
      into = &blocks.emplace_back().commands;
    } else if (line.starts_with("```")) {
      into = line == "```" && !blocks.empty() ? &blocks.back().output : &other;
    }
  }
  return blocks;
}

std::string without_trailing_blanks(const std::string& text) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);)
    result.append(line, 0, line.find_last_not_of(' ') + 1).push_back('\n');
  return result;
}

constexpr std::string_view mark = "===== end of a block =====\n";

// What each block has printed, of the output of a shell that prints the mark after each.
std::vector<std::string> split_at_marks(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t at = 0; (at = text.find(mark, from)) != std::string::npos; from = at + mark.size())
    parts.push_back(text.substr(from, at - from));
  return parts;
}

class Tutorial : public ChainTest {
 protected:
  void TearDown() override {
    manager_.end();
    ChainTest::TearDown();
  }

  // One shell for all, as the reader has one; what a block says on stderr it says too.
  std::string shell(const std::vector<Block>& blocks) {
    std::string script = "exec 2>&1\nPATH=" + directory_.file("bin") + ":$PATH\ncd\n";
    for (const Block& block : blocks)
      script.append(block.commands).append("printf '%s' '").append(mark).append("'\n");
    std::ofstream(file("tutorial.sh")) << script;
    const Result result = manager_.inside({"bash", file("tutorial.sh")}, std::chrono::seconds(100));
    return result.out + result.err;
  }

  // The names that the reader's home and programs have in the manual.
  std::string as_shown(std::string text) {
    replace_all(text, manager_.home(), "/home/you");
    return without_trailing_blanks(text);
  }

  UserManager manager_{file("systemd")};
};

TEST(TutorialBlocks, AreTheCommandsWithWhatTheyPrint) {
  const auto blocks = blocks_of(
      "## b\ntext\n```sh\none\ntwo\n```\nmore\n```\nprinted\n```\n```ini\nno\n```\n```sh\n## three\n```\n");
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[0].commands, "one\ntwo\n");
  EXPECT_EQ(blocks[0].output, "printed\n");
  EXPECT_EQ(blocks[1].commands, "## three\n");
  EXPECT_EQ(blocks[1].output, "");
}

TEST_F(Tutorial, EveryBlockPrintsWhatTheManualShows) {
  const auto blocks = blocks_of(read_file(FDCHAIN_SOURCE_DIR "/docs/tutorial.md"));
  ASSERT_GE(blocks.size(), 10U) << "the commands are not found";
  std::filesystem::create_directory(file("bin"));
  std::filesystem::create_symlink(bin("launcher"), file("bin/launcher"));
  const std::string said = shell(blocks);
  const auto printed = split_at_marks(said);
  ASSERT_EQ(printed.size(), blocks.size()) << said;
  for (std::size_t i = 0; i < blocks.size(); ++i)
    EXPECT_EQ(as_shown(printed[i]), blocks[i].output) << "of these commands:\n" << blocks[i].commands;
  EXPECT_EQ(manager_.inside({"pgrep", "-c", "monitor|launcher|payload|gunicorn"}).out, "0\n");
}

}  // namespace
}  // namespace fdchain::test
