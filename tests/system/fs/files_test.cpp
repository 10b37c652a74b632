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

TEST(ReadAll, ReadsFromWhereItIsToTheEnd) {
  const test::TemporaryDirectory directory;
  const std::string text = "head" + std::string(200'000, 'x');
  std::ofstream(directory.file("file")) << text;
  const OwnedFd file(check(::open(directory.file("file").c_str(), O_RDONLY | O_CLOEXEC), "open"));
  check(::lseek(file.get(), 4, SEEK_SET), "lseek");
  EXPECT_TRUE(read_all(file.get(), "file", text.size()) == text.substr(4));
  EXPECT_EQ(read_all(file.get(), "file"), "");
  check(::lseek(file.get(), 0, SEEK_SET), "lseek");
  try {
    (void)read_all(file.get(), "the file", text.size() - 1);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(std::string(failure.what()), "the file: more than the 200003 bytes that are read");
  }
  try {
    (void)read_all(-1, "the file");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(std::string(error.what()), "read the file: Bad file descriptor");
  }
}

}  // namespace
}  // namespace fdchain
