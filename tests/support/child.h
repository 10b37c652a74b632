#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::test {

/// Runs `body` in a forked child and returns what it returned as its exit status, or 200 plus the signal that
/// ended it: for whatever changes a process for good. `body` must not use gtest's assertions.
template <typename Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 199;
    try {
      status = body();
    } catch (const std::exception& error) {
      ::dprintf(STDERR_FILENO, "in the child: %s\n", error.what());
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 200 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Whatever can be read until the end.
std::string read_all(int fd);

/// A directory that goes with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

}  // namespace fdchain::test
