#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fdchain/protocol/attach.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// A k8s-file with conmon's limits on its size.
class K8sFile {
 public:
  /// Opens the file for appending. Throws std::system_error, or Failure where it may not be.
  K8sFile(std::string path, const ConmonOptions& options);

  /// Throws std::system_error when it cannot be written.
  void write(AttachStream stream, std::string_view bytes);

  /// Starts the file anew, for whoever has moved it away or wants it to. What is left at its path is kept as
  /// FILE.1 where old logs are kept, and replaced elsewhere.
  void start_anew();

  void sync() const;

 private:
  void rotate() const;
  void keep_as(const std::string& name) const;

  std::string path_;
  std::int64_t size_max_;
  std::int64_t global_size_max_;
  int files_kept_;  ///< 0: a full log is thrown away
  OwnedFd file_;
  std::int64_t written_ = 0;
  std::int64_t written_in_all_ = 0;
};

/// The journal, by its native socket. Without one at its place what is said there is lost, as with conmon.
///
/// Records that the journal has no room for are kept, in their order: whoever reads the container's output
/// stops until `send_kept` has sent them.
class JournalLog {
 public:
  explicit JournalLog(const ConmonOptions& options);

  void write(AttachStream stream, std::string_view bytes);

  [[nodiscard]] bool pressed() const { return !kept_.empty(); }

  /// Sends what there is room for. Throws std::system_error, once for each record that can never be sent.
  void send_kept();

  /// Lent: writable when there may be room.
  [[nodiscard]] int socket() const { return socket_.get(); }

  /// Sends what is still without a newline, and waits as long as the journal takes something.
  void finish();

 private:
  struct Partial {
    AttachStream stream;
    std::string bytes;
  };
  void keep(AttachStream stream, std::string_view line, bool partial);
  bool send(const std::string& record);

  std::string fields_;  ///< the same in every record
  bool says_partial_;
  OwnedFd socket_;
  bool connected_ = false;
  std::deque<std::string> kept_;
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

  /// Whether a log has no room for now; output has to wait then until `relieve` has found some.
  [[nodiscard]] bool pressed() const { return journal_ && journal_->pressed(); }
  void relieve();

  /// Lent: what is writable when `relieve` is worth trying; -1 where no log can be pressed.
  [[nodiscard]] int room() const { return journal_ ? journal_->socket() : -1; }

  [[nodiscard]] bool passthrough() const { return passthrough_; }

 private:
  template <typename Attempt>
  void try_to(Attempt attempt);

  bool passthrough_;
  bool sync_;
  bool complained_ = false;
  std::optional<K8sFile> file_;
  std::optional<JournalLog> journal_;
};

}  // namespace fdchain
