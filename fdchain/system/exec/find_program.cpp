#include "fdchain/system/exec/find_program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/rootfs.h"

namespace fdchain {
namespace {

// What is at the path, without permission to use it; not open when nothing is.
OwnedFd look_up(const std::string& path, const FileSystem& files) {
  if (files.root.empty() || files.entered) return OwnedFd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  return look_up_in(files.root, path.starts_with('/') ? path : files.directory + '/' + path);
}

bool is_file(const OwnedFd& found) {
  struct stat status {};
  return found && ::fstat(found.get(), &status) == 0 && !S_ISDIR(status.st_mode);
}

bool is_directory(const OwnedFd& found) { return found && !is_file(found); }

bool may_execute(const OwnedFd& found) { return ::faccessat(found.get(), "", X_OK, AT_EMPTY_PATH) == 0; }

// What somebody new to root file systems would not guess.
std::string where(const FileSystem& files) {
  return files.root.empty() ? ""
                            : " in the root file system " + printable(files.root) +
                                  ": the program has to be there, with the libraries it needs";
}

}  // namespace

std::string find_program(const std::string& name, std::string_view search_path, const FileSystem& files) {
  if (name.find('/') != std::string::npos) return name;
  std::string forbidden;
  while (!name.empty()) {
    const std::size_t colon = search_path.find(':');
    const std::string_view directory = search_path.substr(0, colon);
    const std::string path = (directory.empty() ? "." : std::string(directory)) + '/' + name;
    if (const OwnedFd found = look_up(path, files); is_file(found)) {
      if (may_execute(found)) return path;
      forbidden = path;
    }
    if (colon == std::string_view::npos) break;
    search_path.remove_prefix(colon + 1);
  }
  if (name.empty()) throw Failure("exec '': an empty name", exit_status::not_found);
  if (!forbidden.empty()) throw_exec_failure(forbidden, EACCES, files);
  throw Failure("exec " + printable(name) + ": not found in PATH" + where(files), exit_status::not_found);
}

std::string find_hop(const std::string& name, std::string_view search_path) try {
  // By its bare name a hop of ours is found where it is installed.
  const bool is_own = name == "monitor" || name == "runtime-shim";
  const std::string own = is_own ? find_own_program(name) : "";
  return is_own && ::access(own.c_str(), X_OK) == 0 ? own : find_program(name, search_path);
} catch (const Failure& failure) {
  throw Failure(failure.what());
}

void throw_exec_failure(const std::string& program, int error, const FileSystem& files) {
  const OwnedFd found = look_up(program, files);
  const std::string prefix = "exec " + printable(program) + ": ";
  if (error == ENOENT && is_file(found)) {
    throw Failure(prefix + std::string(missing_interpreter), exit_status::cannot_invoke);
  }
  if (error == EACCES && is_directory(found))
    throw Failure(prefix + "a directory", exit_status::cannot_invoke);
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Failure(prefix + std::strerror(error) + (missing ? where(files) : ""),
                missing ? exit_status::not_found : exit_status::cannot_invoke);
}

}  // namespace fdchain
