// Places in a root file system: where they lead, and what is made on the way.

#include "fdchain/system/fs/rootfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/support/child.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

class Places : public ::testing::Test {
 protected:
  Places() {
    fs::create_directories(path() + "/etc");
    fs::create_directory(directory_.file("outside"));
  }
  void TearDown() override {
    EXPECT_TRUE(fs::is_empty(directory_.file("outside"))) << "made outside of the root";
  }

  [[nodiscard]] std::string path() const { return directory_.file("root"); }
  [[nodiscard]] RootDirectory root() const { return open_root(path()); }

  /// Where it is, seen from the root, and what: `/etc/x file`.
  [[nodiscard]] std::string seen(const OwnedFd& fd) const {
    const std::string found = fs::read_symlink("/proc/self/fd/" + std::to_string(fd.get()));
    const std::string type = is_symbolic_link(fd)      ? " link"
                             : fs::is_directory(found) ? " directory"
                                                       : " file";
    return found.substr(path().size()) + type;
  }
  std::string file(const std::string& wanted) { return seen(file_in(root(), wanted)); }
  std::string directory(const std::string& wanted) { return seen(directory_in(root(), wanted)); }
  void link(const std::string& target, const std::string& name) { fs::create_symlink(target, path() + name); }
  std::string error_of(const std::string& wanted) {
    try {
      return file(wanted);
    } catch (const std::system_error& error) {
      return error.what();
    }
  }

  test::TemporaryDirectory directory_;
};

TEST_F(Places, AreMadeWithTheirParents) {
  EXPECT_EQ(file("/a/b/c"), "/a/b/c file");
  EXPECT_EQ(directory("/a/d/"), "/a/d directory");
  EXPECT_EQ(file("/a//new/../f"), "/a/f file");
  EXPECT_EQ(directory("/"), " directory");
}

TEST_F(Places, ThatAreThereStayWhatTheyAre) {
  std::ofstream(path() + "/etc/file") << "kept";
  EXPECT_EQ(file("/etc/file"), "/etc/file file");
  EXPECT_EQ(fs::file_size(path() + "/etc/file"), 4U);
  EXPECT_EQ(file("/etc"), "/etc directory");
}

TEST_F(Places, OfALinkToNothingAreWhereItLeads) {
  link("../run/resolve/stub", "/etc/relative");
  link("/var/lib/deep", "/etc/absolute");
  link("absolute", "/etc/first");
  EXPECT_EQ(file("/etc/relative"), "/run/resolve/stub file");
  EXPECT_EQ(file("/etc/first/x/y"), "/var/lib/deep/x/y file");
  EXPECT_EQ(directory("/etc/first"), "/var/lib/deep directory");
  EXPECT_TRUE(fs::is_symlink(path() + "/etc/first"));
}

TEST_F(Places, OfALinkUpwardsStayInTheRoot) {
  link("../../../.." + directory_.file("outside") + "/x", "/etc/up");
  link(directory_.file("outside") + "/y", "/etc/absolute");
  link("..", "/etc/parent");
  EXPECT_EQ(file("/etc/up"), directory_.file("outside") + "/x file");
  EXPECT_EQ(directory("/etc/absolute/z"), directory_.file("outside") + "/y/z directory");
  EXPECT_EQ(file("/../../x"), "/x file");
  EXPECT_EQ(file("/etc/parent/../../y"), "/y file");
}

TEST_F(Places, ThatCannotBeMadeAreErrors) {
  link("b", "/a");
  link("a", "/b");
  link("grows/x", "/grows");
  std::ofstream(path() + "/etc/file") << "";
  EXPECT_EQ(error_of("/a"), "open " + path() + "/a: Too many levels of symbolic links");
  EXPECT_EQ(error_of("/grows"), "open " + path() + "/grows: Too many levels of symbolic links");
  EXPECT_EQ(error_of("/etc/file/x"), "open " + path() + "/etc/file/x: Not a directory");
}

TEST_F(Places, AreFoundFromTheDirectoryThatWasOpened) {
  const RootDirectory opened = root();
  fs::rename(path(), directory_.file("moved"));
  fs::create_directory_symlink(directory_.file("outside"), path());
  const OwnedFd made = file_in(opened, "/x");
  EXPECT_TRUE(fs::exists(directory_.file("moved") + "/x"));
}

TEST_F(Places, APlainFileFollowsNoLink) {
  link("/etc/target", "/etc/link");
  const OwnedFd etc = directory_in(root(), "/etc");
  EXPECT_EQ(seen(plain_file_at(etc, "link", "shown")), "/etc/link link");
  EXPECT_EQ(seen(plain_file_at(etc, "new", "shown")), "/etc/new file");
  EXPECT_FALSE(fs::exists(path() + "/etc/target"));
}

}  // namespace
}  // namespace fdchain
