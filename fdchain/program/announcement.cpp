#include "fdchain/program/announcement.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "fdchain/model/failure.h"
#include "fdchain/program/log.h"

namespace fdchain {
namespace {

std::string describe_missing(const ListenEnv& env, int missing) {
  std::string text = fmt::format("LISTEN_FDS={}: descriptor {} is not open", env.count, missing);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && static_cast<rlim_t>(env.end()) > limit.rlim_cur) {
    text += fmt::format(", and RLIMIT_NOFILE allows no more than {} descriptors", limit.rlim_cur);
  }
  return text;
}

ListenEnv accept_sockets(const Arrival& arrival) {
  if (const auto* const env = std::get_if<ListenEnv>(&arrival.listen)) {
    if (arrival.missing) throw Failure(describe_missing(*env, *arrival.missing));
    return *env;
  }
  const auto& problem = std::get<ListenProblem>(arrival.listen);
  switch (problem.kind) {
    case ListenProblem::Kind::absent: break;
    case ListenProblem::Kind::ignored: log::warn("{}; no sockets are taken", problem.text); break;
    case ListenProblem::Kind::malformed:
    case ListenProblem::Kind::names_count: throw Failure(problem.text);
  }
  return {};
}

}  // namespace

ListenEnv accept_announcement(const Arrival& arrival, int preserve_fds) {
  ListenEnv sockets = accept_sockets(arrival);
  for (int fd = sockets.end(); fd < sockets.end() + preserve_fds; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0)
      throw Failure(fmt::format("--preserve-fds {}: descriptor {} is not open", preserve_fds, fd));
  }
  return sockets;
}

}  // namespace fdchain
