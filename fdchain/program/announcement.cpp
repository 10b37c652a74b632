#include "fdchain/program/announcement.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
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

std::string counted(std::size_t number, std::string_view what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
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
    case ListenProblem::Kind::names_count:  // arrive() takes those
    case ListenProblem::Kind::malformed: throw Failure(problem.text);
  }
  return {};
}

}  // namespace

void warn_of_names(const ListenEnv& sockets) {
  if (!sockets.fdnames) return;
  const auto names = split_fdnames(*sockets.fdnames).size();
  if (names == static_cast<std::size_t>(sockets.count)) return;
  log::warn("LISTEN_FDNAMES={}: {} for {}; it is passed on as it came", printable(*sockets.fdnames, 80),
            counted(names, "name"), counted(static_cast<std::size_t>(sockets.count), "socket"));
}

ListenEnv accept_announcement(const Arrival& arrival, int preserve_fds) {
  ListenEnv sockets = accept_sockets(arrival);
  for (int fd = sockets.end(); fd < sockets.end() + preserve_fds; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0)
      throw Failure(fmt::format("--preserve-fds {}: descriptor {} is not open", preserve_fds, fd));
  }
  return sockets;
}

namespace {

bool holds(const FdTable& table, int number) {
  return std::ranges::any_of(table, [&](const FdRow& row) { return row.number == number; });
}

}  // namespace

AcceptedFds accept_kept(const FdRange& kept, const Announcement& announcement, const FdTable& open) {
  AcceptedFds accepted;
  accepted.preserve_fds = announcement.preserve_fds;
  // What is there without a gap is the window; what else is kept is looked for when the plan is edited.
  const auto in_a_row = [&](int most) {
    int count = 0;
    while (count < most && holds(open, listen_fds_start + count)) ++count;
    return count;
  };
  accepted.sockets.count = in_a_row(kept.sockets);
  if (const auto names = announcement.environment.get(listen_fdnames_name)) accepted.sockets.fdnames = *names;
  accepted.preserved = in_a_row(kept.sockets + kept.preserved) - accepted.sockets.count;
  const int end = listen_fds_start + kept.sockets + kept.preserved;
  for (int fd = accepted.sockets.end() + accepted.preserved; fd < end; ++fd) {
    if (!holds(open, fd)) accepted.free.push_back(fd);
  }
  accepted.kept_end = end;
  return accepted;
}

AcceptedFds accept_as(const Profile* profile, Arrival& arrival, int preserve_fds,
                      std::span<const int> handshake) {
  if (profile == nullptr) {
    AcceptedFds accepted{accept_announcement(arrival, preserve_fds), preserve_fds, preserve_fds, {}, 0};
    accepted.kept_end = accepted.sockets.end() + preserve_fds;
    return accepted;
  }
  std::erase_if(arrival.record->fds, [&](const FdRow& row) {
    return std::ranges::find(handshake, row.number) != handshake.end();
  });
  const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
  const bool announced = env != nullptr && !arrival.missing;
  const Announcement announcement{arrival.environment, announced, announced ? env->count : 0, preserve_fds};
  AcceptedFds accepted = accept_kept(profile->keep(announcement), announcement, arrival.record->fds);
  take_window(arrival, accepted.sockets.count);
  for (const FdRow& row : arrival.record->fds) {
    if (row.number >= accepted.sockets.end() + accepted.preserved && row.number > STDERR_FILENO)
      arrival.held.emplace_back(row.number);
  }
  return accepted;
}

}  // namespace fdchain
