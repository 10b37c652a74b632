#include "fdchain/system/fs/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/sys.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class AtomicFile : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name = "file") const { return directory_.file(name); }
  [[nodiscard]] std::string content(const std::string& name = "file") const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path()))
      names.push_back(entry.path().filename());
    return names;
  }

  test::TemporaryDirectory directory_;
};

TEST_F(AtomicFile, IsMadeAndReplacedAndNothingElseIsLeft) {
  for (const Durable durable : {Durable::no, Durable::yes}) {
    write_file_atomically(path(), "a long first text", "write", durable);
    EXPECT_EQ(content(), "a long first text");
    write_file_atomically(path(), "7", "write", durable);
    EXPECT_EQ(content(), "7");
    EXPECT_THAT(names(), ElementsAre("file"));
    struct stat status {};
    check(::stat(path().c_str(), &status), "stat");
    EXPECT_EQ(status.st_mode & 07777U, 0644U);
    fs::remove(path());
  }
}

TEST_F(AtomicFile, IsWrittenWhateverAnEarlierWriterOrASpoilerHasLeft) {
  const std::string left = "file.tmp" + std::to_string(::getpid());
  std::ofstream(path(left)) << "left";
  write_file_atomically(path(), "7");
  EXPECT_EQ(content(), "7");
  EXPECT_EQ(content(left), "left");
}

TEST_F(AtomicFile, AWriterThatIsKilledLeavesNothing) {
  const auto be_killed_while_writing = [&] {
    return test::in_child([&] {
      ::signal(SIGXFSZ, SIG_DFL);
      const rlimit limit{1, 1};
      check(::setrlimit(RLIMIT_FSIZE, &limit), "setrlimit");
      const rlimit no_core{0, 0};
      check(::setrlimit(RLIMIT_CORE, &no_core), "setrlimit");
      write_file_atomically(path(), "77");
      return 0;
    });
  };
  EXPECT_EQ(be_killed_while_writing(), 200 + SIGXFSZ);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(AtomicFile, ANameOfAnyLengthIsWrittenAndReplaced) {
  const std::string longest(255, 'x');
  for (const std::string text : {"1", "2"}) {
    write_file_atomically(path(longest), text);
    EXPECT_EQ(content(longest), text);
  }
}

// A file without a name gets one through /proc; without /proc it has to have one from the start.
TEST_F(AtomicFile, IsWrittenWithoutProcToo) {
  EXPECT_EQ(test::in_child([&] {
              check(::unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
              check(::mount("none", "/proc", "tmpfs", 0, nullptr), "mount");
              write_file_atomically(path(), "1");
              write_file_atomically(path(), "2");
              write_file_atomically(path("durable"), "3", "write", Durable::yes);
              return 0;
            }),
            0);
  EXPECT_EQ(content(), "2");
  EXPECT_EQ(content("durable"), "3");
  EXPECT_THAT(names(), UnorderedElementsAre("file", "durable"));
}

TEST_F(AtomicFile, ReplacesRegularFilesOnly) {
  fs::create_symlink("elsewhere", path());
  EXPECT_THROW(write_file_atomically(path(), "7"), Failure);
  EXPECT_THAT(names(), ElementsAre("file"));
}

}  // namespace
}  // namespace fdchain
