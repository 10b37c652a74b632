#include "fdchain/system/trace/trace_file.h"

#include <fcntl.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/trace.h"
#include "fdchain/system/fd/nofile.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {

Trace::Trace(const Environment& environment) {
  const auto value = environment.get(trace_name);
  if (!value) return;
  const std::size_t colon = value->find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == value->size()) {
    throw Failure(std::string(trace_name) + '=' + printable(*value) + ": not RUN:FILE");
  }
  run_ = value->substr(0, colon);
  path_ = value->substr(colon + 1);
}

OwnedFd open_trace(const std::string& path) {
  // O_NONBLOCK: a FIFO that nobody reads is refused, and not waited for. A link could lead to a file that is
  // no trace.
  const int how = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
  OwnedFd file(::open(path.c_str(), how, 0644));
  if (!file && errno == ELOOP) throw Failure("--trace " + printable(path) + ": a symbolic link");
  check(file.get(), "open", path);
  return file;
}

void Trace::append(HopRecord record) const {
  if (!on()) return;
  record.run = run_;
  const RaisedNofile room;
  try {
    const OwnedFd file = open_trace(path_);
    write_all(file.get(), encode(record), path_);
  } catch (const std::system_error& error) {
    throw Failure(std::string("trace: ") + error.what());
  }
}

}  // namespace fdchain
