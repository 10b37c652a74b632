// What `cmake --install` brings, and what `uninstall` takes away again.

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

const std::string manifest = FDCHAIN_BUILD_DIR "/install_manifest.txt";

/// The manifest of whoever installed this build before; it is theirs again afterwards.
class OthersManifest {
 public:
  OthersManifest() : there_(fs::exists(manifest)), text_(there_ ? read_file(manifest) : "") {}
  ~OthersManifest() {
    if (there_)
      std::ofstream(manifest) << text_;
    else
      fs::remove(manifest);
  }
  OthersManifest(const OthersManifest&) = delete;
  OthersManifest& operator=(const OthersManifest&) = delete;

 private:
  bool there_;
  std::string text_;
};

class Install : public ChainTest {
 protected:
  // Runs cmake with DESTDIR, where it must succeed.
  void cmake(const std::vector<std::string>& words) const {
    Start start;
    start.argv = {FDCHAIN_CMAKE};
    start.argv.insert(start.argv.end(), words.begin(), words.end());
    start.environment = {"DESTDIR=" + root()};
    const Result result = run(start);
    ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.out << result.err;
  }

  void install(const std::string& prefix) const {
    cmake({"--install", FDCHAIN_BUILD_DIR, "--prefix", prefix});
  }
  void uninstall() const {
    cmake({"-DMANIFEST=" + manifest, "-P", FDCHAIN_SOURCE_DIR "/cmake/uninstall.cmake"});
  }

  [[nodiscard]] std::string root() const { return file("root"); }

  // Every path below the root that is no directory, as it is without DESTDIR.
  [[nodiscard]] std::set<std::string> installed() const {
    std::set<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(root())) {
      if (entry.is_symlink() || !entry.is_directory())
        paths.insert(entry.path().native().substr(root().size()));
    }
    return paths;
  }

  OthersManifest others_;
};

std::set<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::set<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.insert(line);
  return lines;
}

TEST_F(Install, TheManifestNamesAllThatIsThere) {
  install("/usr");
  EXPECT_EQ(lines_of(manifest), installed());
  std::set<std::string> expected{"/usr/bin/fdchain",
                                 "/usr/bin/launcher",
                                 "/usr/lib/systemd/user/echo.service",
                                 "/usr/lib/systemd/user/echo.socket",
                                 "/usr/libexec/fdchain/monitor",
                                 "/usr/libexec/fdchain/payload",
                                 "/usr/libexec/fdchain/runtime-shim",
                                 "/usr/share/doc/fdchain/README.md",
                                 "/usr/share/doc/fdchain/fdchain/DESIGN.md",
                                 "/usr/share/doc/fdchain/integration/daemons/README.md",
                                 "/usr/share/doc/fdchain/integration/real/README.md",
                                 "/usr/share/doc/fdchain/integration/real/README.md",
                                 "/usr/share/fdchain/trace.schema.json"};
  for (const auto& page : fs::directory_iterator(FDCHAIN_SOURCE_DIR "/docs"))
    expected.insert("/usr/share/doc/fdchain/docs/" + page.path().filename().native());
  EXPECT_EQ(installed(), expected);
}

TEST_F(Install, EveryPageThatAnInstalledPageLinksToIsThere) {
  install("/usr");
  const std::regex link("\\]\\((?!https?:)([^)#]+)");
  int links = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root() + "/usr/share/doc/fdchain")) {
    if (!entry.is_regular_file()) continue;
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator found(text.begin(), text.end(), link); found != std::sregex_iterator();
         ++found) {
      ++links;
      EXPECT_TRUE(fs::exists(entry.path().parent_path() / found->str(1)))
          << entry.path() << ": " << found->str(1);
    }
  }
  EXPECT_GT(links, 10);
}

TEST_F(Install, UninstallLeavesNothing) {
  install("/usr");
  uninstall();
  EXPECT_THAT(installed(), ::testing::IsEmpty());
  for (const std::string own : {"/usr/libexec/fdchain", "/usr/share/fdchain", "/usr/share/doc/fdchain"})
    EXPECT_FALSE(fs::exists(root() + own)) << own;
  EXPECT_TRUE(fs::exists(root() + "/usr/bin")) << "this directory is everybody's";
}

TEST_F(Install, UninstallLeavesWhatOthersPutThere) {
  install("/usr");
  const std::string others = root() + "/usr/share/fdchain/notes";
  std::ofstream(others) << "mine\n";
  uninstall();
  EXPECT_THAT(installed(), ::testing::ElementsAre("/usr/share/fdchain/notes"));
}

TEST_F(Install, UninstallOfNothingSaysSo) {
  fs::remove(manifest);
  Start start;
  start.argv = {FDCHAIN_CMAKE, "-DMANIFEST=" + manifest, "-P", FDCHAIN_SOURCE_DIR "/cmake/uninstall.cmake"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(result.err, ::testing::HasSubstr("nothing was installed from this build:"));
}

TEST_F(Install, BothNamesRunTheInstalledHops) {
  install("/usr");
  for (const std::string name : {"fdchain", "launcher"}) {
    Start start;
    start.argv = {root() + "/usr/bin/" + name, "sh", "-c", "exec readlink /proc/$PPID/exe"};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
    EXPECT_EQ(result.out, root() + "/usr/libexec/fdchain/monitor\n");
  }
}

TEST_F(Install, TheUnitNamesTheLauncherOfItsPrefix) {
  install("/opt/chain");
  EXPECT_THAT(
      read_file(root() + "/opt/chain/lib/systemd/user/echo.service"),
      ::testing::HasSubstr("\nExecStart=/opt/chain/bin/launcher --name echo --network none payload\n"));
}

TEST(InstallNames, BothAreBuilt) { EXPECT_EQ(fs::read_symlink(bin("fdchain")), "launcher"); }

}  // namespace
}  // namespace fdchain::test
