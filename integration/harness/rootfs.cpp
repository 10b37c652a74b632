#include "integration/harness/rootfs.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <sstream>

#include "integration/harness/program.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

// What an instrumented build of a program loads; the static one loads nothing.
void copy_libraries(const std::string& program, const fs::path& root) {
  Start start;
  start.argv = {"ldd", program};
  std::istringstream words(run(start).out);
  for (std::string word; words >> word;) {
    if (!word.starts_with('/')) continue;
    const fs::path target = root / word.substr(1);
    fs::create_directories(target.parent_path());
    fs::copy_file(word, target, fs::copy_options::overwrite_existing);
  }
}

}  // namespace

void make_rootfs(const std::string& directory, bool with_shell) {
  const fs::path root = directory;
  fs::create_directory(root);
  fs::copy_file(bin("payload"), root / "payload");
  copy_libraries(bin("payload"), root);
  if (!with_shell) return;
  fs::create_directory(root / "bin");
  fs::copy_file("/bin/busybox", root / "bin/busybox");
  // Absolute, as in most images: it leads to the host's when it is not resolved inside.
  for (const char* const name : {"sh", "cat", "ls", "echo", "sleep", "head", "wc"}) {
    fs::create_symlink("/bin/busybox", root / "bin" / name);
  }
}

}  // namespace fdchain::test
