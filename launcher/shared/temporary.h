#pragma once

#include <string>
#include <string_view>

#include "launcher/shared/caretaker.h"

namespace fdchain {

/// A path in the directory for temporary files (TMPDIR, or /tmp) that nobody can guess, and where nothing is:
/// known before it is made, so that somebody can be told to remove it first. Throws Failure, naming TMPDIR,
/// when that is no directory.
std::string temporary_path(std::string_view prefix);

/// Makes the directory that temporary_path() has named, for its owner alone. Throws Failure, naming TMPDIR,
/// when that lets nobody make one.
void make_temporary_directory(const std::string& path);

/// A file for the records of a run that nobody wants to keep. It goes with this object, and with this process
/// should that be killed.
class TemporaryTrace {
 public:
  /// Throws Failure when it cannot be made.
  TemporaryTrace();
  ~TemporaryTrace();
  TemporaryTrace(const TemporaryTrace&) = delete;
  TemporaryTrace& operator=(const TemporaryTrace&) = delete;

  [[nodiscard]] std::string path() const;

 private:
  std::string directory_;
  Caretaker caretaker_;
};

}  // namespace fdchain
