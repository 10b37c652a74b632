#include "fdchain/model/listen_env.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

using Kind = ListenProblem::Kind;

ListenProblem problem(Kind kind, int result, std::string_view name, std::string_view value,
                      std::string_view why) {
  std::string text(name);
  text.append("=").append(printable(value, 80)).append(": ").append(why);
  return {kind, result, 0, std::move(text)};
}

// The pid a text names, or the error libsystemd's parse_pid() has for it.
Number<pid_t> parse_pid(std::string_view text) {
  const Number<unsigned long> number = parse_unsigned_as_systemd(text);
  if (number.error != 0) return {0, number.error};
  if (number.value == 0 || number.value > INT_MAX) return {0, ERANGE};
  return {static_cast<pid_t>(number.value), 0};
}

// Checks the two variables that say whom the sockets are for; nothing means they are for us.
std::optional<ListenProblem> check_addressee(const Environment& environment, const Self& self) {
  const auto pid_text = environment.get(listen_pid_name);
  if (!pid_text) {
    const auto count = environment.get(listen_fds_name);
    if (!count) return ListenProblem{};
    return problem(Kind::ignored, 0, listen_fds_name, *count, "set, but LISTEN_PID is not");
  }
  const Number<pid_t> pid = parse_pid(*pid_text);
  if (pid.error != 0) {
    return problem(Kind::ignored, -pid.error, listen_pid_name, *pid_text, "not a process number");
  }
  if (pid.value != self.pid) {
    return problem(Kind::ignored, 0, listen_pid_name, *pid_text,
                   "names another process than this one, " + std::to_string(self.pid));
  }
  const auto id_text = environment.get(listen_pidfdid_name);
  if (!id_text) return std::nullopt;
  const Number<unsigned long> id = parse_unsigned_as_systemd(*id_text);
  if (id.error != 0) {
    return problem(Kind::ignored, -id.error, listen_pidfdid_name, *id_text, "not the number of a pidfd");
  }
  if (self.pidfdid && id.value != *self.pidfdid) {
    return problem(Kind::ignored, 0, listen_pidfdid_name, *id_text,
                   "names another process than this one, " + std::to_string(*self.pidfdid));
  }
  return std::nullopt;
}

}  // namespace

std::variant<ListenEnv, ListenProblem> parse_listen_env(const Environment& environment, const Self& self) {
  if (auto wrong = check_addressee(environment, self)) return *wrong;
  const auto count_text = environment.get(listen_fds_name);
  if (!count_text) {
    return problem(Kind::ignored, 0, listen_pid_name, *environment.get(listen_pid_name),
                   "set, but LISTEN_FDS is not");
  }
  const Number<int> count = parse_int_as_systemd(*count_text);
  // podman and the runtimes go on with none, and so can whoever passes them on.
  const bool none = count_text->empty() || (count.error == 0 && count.value == 0);
  if (none) return problem(Kind::ignored, -EINVAL, listen_fds_name, *count_text, "no sockets are counted");
  if (count.error != 0) {
    return problem(Kind::malformed, -count.error, listen_fds_name, *count_text, "not a count of descriptors");
  }
  if (count.value <= 0 || count.value > INT_MAX - listen_fds_start) {
    return problem(Kind::malformed, -EINVAL, listen_fds_name, *count_text, "not a count of descriptors");
  }
  ListenEnv result{count.value, std::nullopt, environment.get(listen_pidfdid_name).has_value()};
  const auto names_text = environment.get(listen_fdnames_name);
  if (!names_text) return result;
  result.fdnames = std::string(*names_text);
  const auto names = std::ranges::count(*names_text, ':') + 1;
  if (names != count.value) {
    auto wrong = problem(Kind::names_count, -EINVAL, listen_fdnames_name, *names_text,
                         std::to_string(names) + (names == 1 ? " name for " : " names for ") +
                             std::to_string(count.value) + (count.value == 1 ? " socket" : " sockets"));
    wrong.count = count.value;
    return wrong;
  }
  return result;
}

std::vector<std::string> split_fdnames(std::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const std::size_t colon = text.find(':');
    names.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return names;
    text.remove_prefix(colon + 1);
  }
}

std::string join_fdnames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(&name == names.data() ? "" : ":").append(name);
  return text;
}

void announce(Environment& environment, int count, const std::optional<std::string>& fdnames) {
  unset_listen_env(environment);
  if (count == 0) return;
  environment.set(listen_fds_name, std::to_string(count));
  if (fdnames) environment.set(listen_fdnames_name, *fdnames);
}

void unset_listen_env(Environment& environment) {
  for (const auto name : {listen_pid_name, listen_pidfdid_name, listen_fds_name, listen_fdnames_name}) {
    environment.unset(name);
  }
}

}  // namespace fdchain
