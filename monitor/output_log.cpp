#include "monitor/output_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/files.h"
#include "fdchain/system/sys.h"

namespace fdchain {

namespace asio = boost::asio;

OutputLog::Stream::Stream(asio::io_context& io, std::string_view stream_name) : name(stream_name), ours(io) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  ours.assign(ends[0]);
  theirs = OwnedFd(ends[1]);
}

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
    : path_(std::move(path)), file_(open_log(path_)), streams_{Stream(io, "stdout"), Stream(io, "stderr")} {}

void OutputLog::start() {
  for (Stream& stream : streams_) {
    stream.theirs.close();
    stream.ours.non_blocking(true);
    read(stream);
  }
}

// Waits with asio and reads by itself: a read that asio has made is lost when the loop ends before its
// handler ran.
void OutputLog::read(Stream& stream) {
  stream.ours.async_wait(asio::posix::stream_descriptor::wait_read, [this, &stream](auto error) {
    if (error) return;
    boost::system::error_code end;
    if (const std::size_t size = stream.ours.read_some(asio::buffer(stream.buffer), end)) write(stream, size);
    if (!end || end == asio::error::would_block) read(stream);
  });
}

void OutputLog::drain() {
  for (Stream& stream : streams_) {
    boost::system::error_code error;
    while (const std::size_t size = stream.ours.read_some(asio::buffer(stream.buffer), error))
      write(stream, size);
    stream.ours.close();
  }
  // A file that cannot be synced, a pipe say, has nothing to lose at a power cut either.
  (void)!::fsync(file_.get());
}

void OutputLog::write(const Stream& stream, std::size_t size) try {
  if (broken_) return;
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  write_all(file_.get(), k8s_entries(k8s_stamp(now), stream.name, {stream.buffer.data(), size}), path_);
} catch (const std::system_error& error) {
  broken_ = true;
  print_error(Hop::monitor, std::string(error.what()) + "; the payload's output is dropped from here on");
}

}  // namespace fdchain
