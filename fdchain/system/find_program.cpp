#include "fdchain/system/find_program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

bool is_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

std::string find_program(const std::string& name, std::string_view search_path) {
  if (name.find('/') != std::string::npos) return name;
  std::string forbidden;
  while (!name.empty()) {
    const std::size_t colon = search_path.find(':');
    const std::string_view directory = search_path.substr(0, colon);
    const std::string path = (directory.empty() ? "." : std::string(directory)) + '/' + name;
    if (is_file(path)) {
      if (::access(path.c_str(), X_OK) == 0) return path;
      forbidden = path;
    }
    if (colon == std::string_view::npos) break;
    search_path.remove_prefix(colon + 1);
  }
  if (name.empty()) throw Failure("exec '': an empty name", exit_status::not_found);
  if (!forbidden.empty()) throw_exec_failure(forbidden, EACCES);
  throw Failure("exec " + printable(name) + ": not found in PATH", exit_status::not_found);
}

std::string find_hop(const std::string& name, std::string_view search_path) try {
  return find_program(name, search_path);
} catch (const Failure& failure) {
  throw Failure(failure.what());
}

void throw_exec_failure(const std::string& program, int error) {
  const std::string prefix = "exec " + printable(program) + ": ";
  if (error == ENOENT && is_file(program)) {
    throw Failure(prefix + "the interpreter it names is not there", exit_status::cannot_invoke);
  }
  if (error == EACCES && is_directory(program))
    throw Failure(prefix + "a directory", exit_status::cannot_invoke);
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Failure(prefix + std::strerror(error), missing ? exit_status::not_found : exit_status::cannot_invoke);
}

}  // namespace fdchain
