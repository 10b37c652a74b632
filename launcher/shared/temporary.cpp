#include "launcher/shared/temporary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

std::string trace_in(const std::string& directory) { return directory + "/trace"; }

// A hop that lives on may write one more record, and so make the file once more; when its directory has gone
// it cannot.
void remove_trace(const std::string& directory) {
  while (::unlink(trace_in(directory).c_str()) == 0 || errno == ENOENT) {
    if (::rmdir(directory.c_str()) == 0 || errno != ENOTEMPTY) return;
    if (::access(trace_in(directory).c_str(), F_OK) < 0) return;  // something else is in there
  }
}

}  // namespace

std::string temporary_path(std::string_view prefix) {
  const char* const told = std::getenv("TMPDIR");
  const bool is_told = told != nullptr && *told != '\0';
  std::string directory = is_told ? told : "/tmp";
  const auto refuse = [&](const char* why) {
    throw Failure((is_told ? "TMPDIR=" : "") + printable(directory) + ": " + why +
                  "; a directory for temporary files is needed");
  };
  struct stat status {};
  if (::stat(directory.c_str(), &status) < 0) refuse(std::strerror(errno));
  if (!S_ISDIR(status.st_mode)) refuse(std::strerror(ENOTDIR));
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  std::uint64_t number = 0;
  check(retry([&] { return ::getrandom(&number, sizeof number, 0); }), "getrandom");
  return fmt::format("{}/{}{:016x}", directory, prefix, number);
}

TemporaryTrace::TemporaryTrace()
    : directory_(temporary_path("fdchain-trace-")),
      caretaker_([directory = directory_](const Caretaker::Notes&) { remove_trace(directory); }) {
  check(::mkdir(directory_.c_str(), 0700), "mkdir", directory_);
  const OwnedFd file(
      check(::open(path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open", path()));
}

TemporaryTrace::~TemporaryTrace() { remove_trace(directory_); }

std::string TemporaryTrace::path() const { return trace_in(directory_); }

}  // namespace fdchain
