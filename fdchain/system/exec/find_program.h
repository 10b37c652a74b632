#pragma once

#include <string>
#include <string_view>

namespace fdchain {

/// Where a program is looked for when there is no PATH.
inline constexpr std::string_view standard_path = "/usr/local/bin:/usr/bin:/bin";

/// The last words of throw_exec_failure() about a script, or a dynamically linked program, that is there.
inline constexpr std::string_view missing_interpreter = "the interpreter it names is not there";

/// As whom to look: what a program's / and working directory will be.
struct FileSystem {
  std::string root;       ///< empty: this process's own
  std::string directory;  ///< in that root; only there is it of any meaning
  bool entered = false;   ///< this process is in there already
};

/// The path of `name` as a shell would find it: itself when it has a slash, else the first executable in the
/// colon-separated `search_path`.
///
/// Throws Failure 127 when there is none, 126 when there is one that may not be executed.
std::string find_program(const std::string& name, std::string_view search_path, const FileSystem& files = {});

/// The same for a hop of the chain; `monitor` and `runtime-shim` are those that are installed with this
/// program. Throws Failure 125: 126 and 127 speak of the payload.
std::string find_hop(const std::string& name, std::string_view search_path);

/// Why execve(2) of `program` failed with `error`, as the Failure that says so: 127 not found, 126 found and
/// not executable. Tells a missing interpreter from a missing program.
[[noreturn]] void throw_exec_failure(const std::string& program, int error, const FileSystem& files = {});

}  // namespace fdchain
