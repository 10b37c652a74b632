#include "monitor/native/output_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {

namespace asio = boost::asio;

namespace {

// Without waiting, now and at every write, should it be a FIFO: the monitor has more to do than to log.
OwnedFd open_log(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd < 0 && errno == ENXIO)
    throw Failure("--log k8s-file:" + printable(path) + ": nobody reads this FIFO");
  return OwnedFd(check(fd, "open", path));
}

}  // namespace

OutputLog::OutputLog(asio::io_context& io, std::string path)
    : path_(std::move(path)),
      file_(open_log(path_)),
      stdout_(io, [this](std::string_view bytes) { write("stdout", bytes); }),
      stderr_(io, [this](std::string_view bytes) { write("stderr", bytes); }),
      stdout_end_(stdout_.make()),
      stderr_end_(stderr_.make()) {}

void OutputLog::start() {
  stdout_end_.close();
  stderr_end_.close();
  stdout_.start();
  stderr_.start();
}

void OutputLog::drain() {
  stdout_.drain();
  stderr_.drain();
  // A file that cannot be synced, a pipe say, has nothing to lose at a power cut either.
  (void)!::fsync(file_.get());
}

void OutputLog::write(std::string_view stream, std::string_view bytes) try {
  if (broken_) return;
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  write_all(file_.get(), k8s_entries(k8s_stamp(now), stream, bytes), path_);
} catch (const std::system_error& error) {
  broken_ = true;
  print_error(Hop::monitor, std::string(error.what()) + "; the payload's output is dropped from here on");
}

}  // namespace fdchain
