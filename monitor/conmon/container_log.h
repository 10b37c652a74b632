#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fdchain/protocol/attach.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// A k8s-file with conmon's limits on its size.
class K8sFile {
 public:
  /// Opens the file for appending. Throws std::system_error, or Failure where it may not be.
  K8sFile(std::string path, const ConmonOptions& options);

  /// Throws std::system_error when it cannot be written.
  void write(AttachStream stream, std::string_view bytes);

  /// Starts the file anew, for whoever has moved it away; what is left at its path is replaced.
  void reopen();

  void sync() const;

 private:
  void start_anew();
  void rotate() const;

  std::string path_;
  std::int64_t size_max_;
  std::int64_t global_size_max_;
  int files_kept_;  ///< 0: a full log is thrown away
  OwnedFd file_;
  std::int64_t written_ = 0;
  std::int64_t written_in_all_ = 0;
};

/// The journal, by its native socket. Without one at its place what is said there is lost, as with conmon.
class JournalLog {
 public:
  explicit JournalLog(const ConmonOptions& options);

  void write(AttachStream stream, std::string_view bytes);

  /// Sends what is still without a newline.
  void finish();

 private:
  struct Partial {
    AttachStream stream;
    std::string bytes;
  };
  void send(AttachStream stream, std::string_view line, bool partial) const;

  std::string fields_;  ///< the same in every record
  bool says_partial_;
  OwnedFd socket_;
  Partial out_{AttachStream::out, {}};
  Partial err_{AttachStream::err, {}};
};

/// All the logs of one container. One that cannot be written is complained of once, and tried again each
/// time: a full disk may be emptied.
class ContainerLog {
 public:
  /// Opens the logs. Throws when one cannot be.
  ContainerLog(const ConmonOptions& options, const ConmonLogs& logs);

  void write(AttachStream stream, std::string_view bytes);
  void reopen();
  void finish();

  [[nodiscard]] bool passthrough() const { return passthrough_; }

 private:
  bool passthrough_;
  bool sync_;
  bool complained_ = false;
  std::optional<K8sFile> file_;
  std::optional<JournalLog> journal_;
};

}  // namespace fdchain
