#include "fdchain/system/socket/adopt.h"

#include <fcntl.h>

#include <cerrno>

namespace fdchain {
namespace {

// Sets 3 … count+2 close-on-exec; stops at the first that is not open. 0 or -errno.
int set_close_on_exec(int count) {
  for (int fd = listen_fds_start; fd < listen_fds_start + count; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0) return -errno;
    if ((flags & FD_CLOEXEC) == 0 && ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) return -errno;
  }
  return 0;
}

}  // namespace

Adoption adopt_listen_fds(const Environment& environment, const Self& self) {
  const auto parsed = parse_listen_env(environment, self);
  const auto* const env = std::get_if<ListenEnv>(&parsed);
  const auto* const problem = std::get_if<ListenProblem>(&parsed);
  // libsystemd looks at the names last, when the descriptors have been adopted already.
  const bool adopts = env != nullptr || problem->kind == ListenProblem::Kind::names_count;
  if (!adopts) return {problem->result, problem->result, {}, problem->text};
  const int count = env != nullptr ? env->count : problem->count;
  if (const int result = set_close_on_exec(count); result < 0) {
    return {result, result, {}, "LISTEN_FDS=" + std::to_string(count) + ": not all of them are open"};
  }
  if (problem != nullptr) return {count, problem->result, {}, problem->text};
  if (env->fdnames) return {count, count, split_fdnames(*env->fdnames), {}};
  return {count,
          count,
          std::vector<std::string>(static_cast<std::size_t>(count), std::string(unnamed_socket)),
          {}};
}

}  // namespace fdchain
