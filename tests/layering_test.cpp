// Includes point one way: a file's folder says what it may do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// What each folder may include besides itself.
const std::map<std::string, std::set<std::string>> allowed{
    {"model", {}},
    {"protocol", {"model"}},
    {"plan", {"model"}},
    {"system", {"plan", "protocol", "model"}},
    {"judge", {"model"}},
    {"report", {"judge", "protocol", "model"}},
    {"program", {"system", "plan", "protocol", "model"}},
};

// The folders of fdchain/ that a text includes from.
std::vector<std::string> included_folders(const std::string& text) {
  std::vector<std::string> folders;
  const std::string marker = "#include \"fdchain/";
  for (std::size_t at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
    const std::size_t start = at + marker.size();
    folders.push_back(text.substr(start, text.find('/', start) - start));
  }
  return folders;
}

std::vector<std::string> breaches(const std::string& folder, const std::string& text) {
  std::vector<std::string> found;
  for (const std::string& included : included_folders(text)) {
    if (included != folder && !allowed.at(folder).contains(included))
      found.push_back(folder + " -> " + included);
  }
  return found;
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Layering, IncludesPointOneWay) {
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(FDCHAIN_SOURCE_DIR "/fdchain")) {
    if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
    const std::string folder = *fs::relative(entry.path(), FDCHAIN_SOURCE_DIR "/fdchain").begin();
    EXPECT_THAT(breaches(folder, read(entry.path())), ::testing::IsEmpty()) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 30U);
}

TEST(Layering, ABreachIsSeen) {
  EXPECT_THAT(breaches("model", "#include \"fdchain/model/hop.h\"\n#include \"fdchain/system/sys.h\"\n"),
              ::testing::ElementsAre("model -> system"));
}

}  // namespace
