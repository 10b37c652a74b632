// Includes point one way: a file's folder says what it may do, and for whom.

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

using Folders = std::set<std::string>;

// What each folder may include besides itself and, of the programs, the whole library.
const std::map<std::string, Folders> allowed{
    {"fdchain/compiled", {}},
    {"fdchain/model", {}},
    {"fdchain/protocol", {"fdchain/model"}},
    {"fdchain/plan", {"fdchain/model"}},
    {"fdchain/plan/edits", {"fdchain/plan", "fdchain/model"}},
    {"fdchain/system/fd", {"fdchain/model"}},
    {"fdchain/system/fs", {"fdchain/system/fd", "fdchain/model"}},
    {"fdchain/system/socket", {"fdchain/system/fd", "fdchain/system/fs", "fdchain/model"}},
    {"fdchain/system/exec",
     {"fdchain/system/fd", "fdchain/system/fs", "fdchain/plan", "fdchain/protocol", "fdchain/model"}},
    {"fdchain/system/proc",
     {"fdchain/system/exec", "fdchain/system/fd", "fdchain/protocol", "fdchain/model"}},
    {"fdchain/system/trace",
     {"fdchain/system/proc", "fdchain/system/exec", "fdchain/system/fd", "fdchain/system/fs",
      "fdchain/protocol", "fdchain/model"}},
    {"fdchain/judge", {"fdchain/judge/rules", "fdchain/model"}},
    {"fdchain/judge/rules", {"fdchain/model"}},
    {"fdchain/report", {"fdchain/judge", "fdchain/judge/rules", "fdchain/protocol", "fdchain/model"}},
    {"fdchain/program",
     {"fdchain/system/trace", "fdchain/system/proc", "fdchain/system/socket", "fdchain/system/exec",
      "fdchain/system/fd", "fdchain/plan/edits", "fdchain/plan", "fdchain/protocol", "fdchain/model"}},
    // A program is main, then what it can be told to do, then what those share.
    {"launcher",
     {"launcher/accept", "launcher/native", "launcher/oci", "launcher/report", "launcher/trace",
      "launcher/shared"}},
    {"launcher/accept", {"launcher/shared"}},
    {"launcher/native", {"launcher/shared", "launcher/shared/follow"}},
    {"launcher/oci", {"launcher/shared", "launcher/shared/follow"}},
    {"launcher/report", {"launcher/shared"}},
    {"launcher/trace", {"launcher/shared", "launcher/shared/follow"}},
    {"launcher/shared", {}},
    {"launcher/shared/follow", {}},
    {"monitor", {"monitor/native", "monitor/conmon", "monitor/shared"}},
    {"monitor/native", {"monitor/shared"}},
    {"monitor/conmon", {"monitor/conmon/streams", "monitor/shared"}},
    {"monitor/conmon/streams", {"monitor/shared"}},
    {"monitor/shared", {}},
    {"runtime-shim", {"runtime-shim/native", "runtime-shim/oci", "runtime-shim/shared"}},
    {"runtime-shim/native", {"runtime-shim/shared"}},
    {"runtime-shim/oci", {"runtime-shim/shared"}},
    {"runtime-shim/shared", {}},
    {"payload", {}},
};

std::string program_of(const std::string& folder) { return folder.substr(0, folder.find('/')); }

// The folders of this project that a text includes from.
std::vector<std::string> included_folders(const std::string& text) {
  std::vector<std::string> folders;
  const std::string marker = "#include \"";
  for (std::size_t at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
    const std::size_t start = at + marker.size();
    folders.push_back(fs::path(text.substr(start, text.find('"', start) - start)).parent_path());
  }
  return folders;
}

bool may_include(const std::string& folder, const std::string& included) {
  if (included == folder || allowed.at(folder).contains(included)) return true;
  return program_of(folder) != "fdchain" && program_of(included) == "fdchain";
}

std::vector<std::string> breaches(const std::string& folder, const std::string& text) {
  std::vector<std::string> found;
  for (const std::string& included : included_folders(text)) {
    if (!may_include(folder, included)) found.push_back(folder + " -> " + included);
  }
  return found;
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Layering, IncludesPointOneWay) {
  Folders seen;
  for (const std::string top : {"fdchain", "launcher", "monitor", "runtime-shim", "payload"}) {
    for (const auto& entry : fs::recursive_directory_iterator(FDCHAIN_SOURCE_DIR "/" + top)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      const std::string folder = fs::relative(entry.path().parent_path(), FDCHAIN_SOURCE_DIR);
      ASSERT_TRUE(allowed.contains(folder)) << folder << " has no place in the house";
      EXPECT_THAT(breaches(folder, read(entry.path())), ::testing::IsEmpty()) << entry.path();
      seen.insert(folder);
    }
  }
  EXPECT_EQ(seen.size(), allowed.size());
}

TEST(Layering, NoTwoFoldersMayIncludeEachOther) {
  for (const auto& [folder, others] : allowed) {
    for (const std::string& other : others)
      EXPECT_FALSE(allowed.at(other).contains(folder)) << folder << " and " << other;
  }
}

TEST(Layering, ABreachIsSeenInTheLibraryAndInEachProgram) {
  const auto seen = [](const std::string& folder, const std::string& header) {
    return breaches(folder,
                    "#include <vector>\n#include \"fdchain/model/hop.h\"\n#include \"" + header + "\"\n");
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(seen("fdchain/model", "fdchain/system/fd/sys.h"),
              ElementsAre("fdchain/model -> fdchain/system/fd"));
  EXPECT_THAT(seen("fdchain/program", "payload/echo.h"), ElementsAre("fdchain/program -> payload"));
  EXPECT_THAT(seen("launcher/native", "launcher/oci/plan.h"), ElementsAre("launcher/native -> launcher/oci"));
  EXPECT_THAT(seen("launcher/shared", "launcher/native/run.h"),
              ElementsAre("launcher/shared -> launcher/native"));
  EXPECT_THAT(seen("monitor/shared", "monitor/conmon/caller.h"),
              ElementsAre("monitor/shared -> monitor/conmon"));
  EXPECT_THAT(seen("runtime-shim/oci", "runtime-shim/native/options.h"),
              ElementsAre("runtime-shim/oci -> runtime-shim/native"));
  EXPECT_THAT(seen("payload", "monitor/native/options.h"), ElementsAre("payload -> monitor/native"));
  EXPECT_THAT(seen("monitor/conmon/streams", "monitor/shared/output_pipe.h"), ElementsAre());
}

}  // namespace
