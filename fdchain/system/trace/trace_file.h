#pragma once

#include <string>

#include "fdchain/model/environment.h"
#include "fdchain/model/hop_record.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Where the records of a run go; or nowhere, and then nothing is observed.
///
/// Keeps no descriptor: the file is opened, written with one write(2) and closed for each record, so that
/// observing does not change what is observed.
class Trace {
 public:
  Trace() = default;

  /// As FDCHAIN_TRACE=RUN:FILE says.
  explicit Trace(const Environment& environment);

  Trace(std::string run, std::string path) : run_(std::move(run)), path_(std::move(path)) {}

  [[nodiscard]] bool on() const { return !path_.empty(); }
  [[nodiscard]] const std::string& run() const { return run_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  /// The value of FDCHAIN_TRACE for the next hop.
  [[nodiscard]] std::string variable() const { return run_ + ':' + path_; }

  /// Appends the record under this run's name. A trace that cannot be written throws Failure: whoever asked
  /// for one shall not believe an incomplete one.
  void append(HopRecord record) const;

 private:
  std::string run_;
  std::string path_;
};

/// Opens a trace to append one record, and makes it if need be. Throws: a symbolic link is not followed.
OwnedFd open_trace(const std::string& path);

}  // namespace fdchain
