#include "fdchain/system/exec/find_program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "fdchain/model/failure.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

class FindProgram : public ::testing::Test {
 protected:
  std::string make(const std::string& path, mode_t mode) {
    std::filesystem::create_directories(std::filesystem::path(directory_.file(path)).parent_path());
    std::ofstream(directory_.file(path)) << "#!/nonexistent/interpreter\n";
    ::chmod(directory_.file(path).c_str(), mode);
    return directory_.file(path);
  }
  std::string search_path() const { return directory_.file("a") + ':' + directory_.file("b"); }

  test::TemporaryDirectory directory_;
};

template <typename Call>
std::string failure_of(Call call) {
  try {
    call();
  } catch (const Failure& failure) {
    return std::to_string(failure.status()) + ' ' + failure.what();
  }
  return "none";
}

TEST_F(FindProgram, TakesTheFirstExecutableInThePath) {
  make("a/tool", 0644);
  const std::string second = make("b/tool", 0755);
  EXPECT_EQ(find_program("tool", search_path()), second);
  EXPECT_EQ(find_program("./x/y", search_path()), "./x/y");
}

TEST_F(FindProgram, TellsNotFoundFromNotExecutable) {
  const std::string forbidden = make("a/tool", 0644);
  EXPECT_EQ(failure_of([&] { find_program("tool", search_path()); }),
            "126 exec " + forbidden + ": Permission denied");
  EXPECT_EQ(failure_of([&] { find_program("nope", search_path()); }), "127 exec nope: not found in PATH");
  EXPECT_EQ(failure_of([&] { find_program("", search_path()); }), "127 exec '': an empty name");
}

TEST_F(FindProgram, ExplainsAFailedExec) {
  const std::string script = make("a/script", 0755);
  EXPECT_EQ(failure_of([&] { throw_exec_failure(script, ENOENT); }),
            "126 exec " + script + ": the interpreter it names is not there");
  EXPECT_EQ(failure_of([] { throw_exec_failure("/nope", ENOENT); }),
            "127 exec /nope: No such file or directory");
  EXPECT_EQ(failure_of([] { throw_exec_failure("/tmp", EACCES); }), "126 exec /tmp: a directory");
  EXPECT_EQ(failure_of([] { throw_exec_failure("/x", E2BIG); }), "126 exec /x: Argument list too long");
}

TEST_F(FindProgram, InAnotherRootEverySymbolicLinkLeadsInside) {
  make("root/usr/bin/tool", 0755);
  std::filesystem::create_symlink("/usr/bin/tool", directory_.file("root/link"));
  std::filesystem::create_symlink("/bin/sh", directory_.file("root/outside"));
  std::filesystem::create_directory_symlink("../../usr/bin", directory_.file("root/bin"));
  const FileSystem files{directory_.file("root"), "/usr"};
  EXPECT_EQ(find_program("tool", "/sbin:/bin", files), "/bin/tool");
  EXPECT_EQ(find_program("link", "/", files), "//link");
  EXPECT_EQ(find_program("tool", "bin", files), "bin/tool") << "relative to the directory it will be in";
  const std::string where =
      " in the root file system " + files.root + ": the program has to be there, with the libraries it needs";
  EXPECT_EQ(failure_of([&] { find_program("outside", "/", files); }),
            "127 exec outside: not found in PATH" + where);
  EXPECT_EQ(failure_of([&] { throw_exec_failure("/bin/sh", ENOENT, files); }),
            "127 exec /bin/sh: No such file or directory" + where);
  EXPECT_EQ(failure_of([&] { throw_exec_failure("/bin/tool", ENOENT, files); }),
            "126 exec /bin/tool: the interpreter it names is not there");
}

}  // namespace
}  // namespace fdchain
