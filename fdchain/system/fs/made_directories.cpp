#include "fdchain/system/fs/made_directories.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fdchain/system/fd/sys.h"

namespace fdchain {

void MadeDirectories::make_parents(const std::string& path, mode_t mode) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    struct stat status {};
    if (::stat(directory.c_str(), &status) == 0) continue;  // whatever it is; the next call will say so
    // The umask would take from what was asked for.
    const mode_t before = ::umask(0);
    const int result = ::mkdir(directory.c_str(), mode);
    const int error = errno;
    ::umask(before);
    if (result == 0)
      made_.push_back(directory);
    else if (error != EEXIST)
      fail(error, "mkdir", directory);
  }
}

// The innermost first. What somebody else has put something into stays.
MadeDirectories::~MadeDirectories() {
  for (auto directory = made_.rbegin(); directory != made_.rend(); ++directory) ::rmdir(directory->c_str());
}

}  // namespace fdchain
