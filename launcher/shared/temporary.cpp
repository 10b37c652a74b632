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

const char* told_directory() {
  const char* const told = std::getenv("TMPDIR");
  return told != nullptr && *told != '\0' ? told : nullptr;
}

std::string temporary_directory() {
  const char* const told = told_directory();
  return told != nullptr ? told : "/tmp";
}

[[noreturn]] void refuse_directory(const std::string& why) {
  throw Failure((told_directory() != nullptr ? "TMPDIR=" : "") + printable(temporary_directory()) + ": " +
                why + "; a directory for temporary files is needed");
}

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
  const std::string directory = temporary_directory();
  struct stat status {};
  if (::stat(directory.c_str(), &status) < 0) refuse_directory(std::strerror(errno));
  if (!S_ISDIR(status.st_mode)) refuse_directory(std::strerror(ENOTDIR));
  std::uint64_t number = 0;
  check(retry([&] { return ::getrandom(&number, sizeof number, 0); }), "getrandom");
  const std::string_view between = directory.ends_with('/') ? "" : "/";
  return fmt::format("{}{}{}{:016x}", directory, between, prefix, number);
}

void make_temporary_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) < 0)
    refuse_directory(std::string("nothing can be made there: ") + std::strerror(errno));
}

TemporaryTrace::TemporaryTrace()
    : directory_(temporary_path("fdchain-trace-")),
      caretaker_([directory = directory_](const Caretaker::Notes&) { remove_trace(directory); }) {
  make_temporary_directory(directory_);
  const OwnedFd file(
      check(::open(path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open", path()));
}

TemporaryTrace::~TemporaryTrace() { remove_trace(directory_); }

std::string TemporaryTrace::path() const { return trace_in(directory_); }

}  // namespace fdchain
