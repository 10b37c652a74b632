// Starts a program as a user would, with exactly the descriptors a test gives it, and watches what it says.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fdchain/model/wait_status.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::test {

/// What to start, and with what.
struct Start {
  std::vector<std::string> argv;         ///< the program is looked for in PATH
  std::vector<std::string> environment;  ///< added to PATH and HOME; nothing of the test's own is inherited
  std::vector<std::pair<int, int>>
      pass;                      ///< a descriptor of the test's, and the number the program finds it at
  std::vector<int> closed;       ///< numbers among 0, 1 and 2 that are closed
  std::string input;             ///< what it can read from stdin
  std::optional<rlim_t> nofile;  ///< RLIMIT_NOFILE
  std::string working_directory;
};

/// How a program ended and all it said.
struct Result {
  WaitStatus status{0};
  std::string out;
  std::string err;
  long max_rss_kib = 0;  ///< the most memory it had at once, resident
};

/// How long a test waits for what should take moments: long, since sanitizers and a busy machine make minutes
/// of them.
inline constexpr auto usual_patience = std::chrono::seconds(90);

/// A program under test. Killed with SIGKILL and reaped at the end of its scope, if it still runs.
///
/// Every wait has a deadline and throws when it is over, with what the program has said so far.
class Program {
 public:
  explicit Program(const Start& start);
  ~Program();
  Program(Program&& other) noexcept;
  Program& operator=(Program&&) = delete;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;

  /// Waits until stderr, or stdout, has said `text`; returns all it has said so far.
  std::string wait_for_err(const std::string& text) { return wait_for(err_, text); }
  std::string wait_for_out(const std::string& text) { return wait_for(out_, text); }

  /// Waits for a whole line with `text` in it on stderr, and returns what follows the text there.
  std::string rest_of_err_line(const std::string& text);

  /// All that has been said on stderr until now, by whoever has it.
  std::string err();

  /// Waits for its end, and reads what it has said until then.
  Result finish(std::chrono::seconds within = usual_patience);

 private:
  struct Stream {
    OwnedFd pipe;
    std::string text;
  };
  std::string wait_for(Stream& stream, const std::string& text);
  void read_some(int pidfd, std::chrono::seconds within = usual_patience);
  static void read_what_is_there(Stream& stream);
  [[noreturn]] void give_up(const std::string& why) const;

  pid_t pid_ = 0;
  bool reaped_ = false;
  Stream out_;
  Stream err_;
};

/// Starts it and waits for its end.
Result run(const Start& start, std::chrono::seconds within = usual_patience);

/// What a file holds.
std::string read_file(const std::string& path);

/// The path of one of the four programs under test.
std::string bin(const std::string& name);

/// From now on the programs under test are those in `directory`; the ones of this build until then.
void take_programs_from(std::string directory);

}  // namespace fdchain::test
