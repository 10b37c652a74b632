// Our adoption of sockets against libsystemd's, on random environments.

#include "fdchain/system/socket/adopt.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "fdchain/system/proc/self.h"
#include "fdchain/system/trace/arrival.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

constexpr int open_sockets = 4;
constexpr int environments = 20'000;
constexpr unsigned seed = 252;

/// What one of the two did: its answer, and which descriptors it made close-on-exec.
struct Outcome {
  int result = 0;  // without names
  int with_names = 0;
  std::vector<std::string> names;
  std::vector<bool> close_on_exec;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

class RandomEnvironment {
 public:
  explicit RandomEnvironment(unsigned seed_value) : random_(seed_value) {}

  // Variables that are right, nearly right or nonsense, in every spelling of a number that strtol knows.
  std::vector<std::string> make() {
    std::vector<std::string> assignments;
    if (!one_in(12)) assignments.push_back("LISTEN_PID=" + pid());
    if (!one_in(12)) assignments.push_back("LISTEN_FDS=" + count());
    if (one_in(2)) assignments.push_back("LISTEN_FDNAMES=" + names());
    return assignments;
  }

 private:
  bool one_in(int n) { return pick(n) == 0; }
  int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  std::string spelled(long value) {
    char text[64];
    const char* const formats[] = {"%ld",  "%ld",   "%ld",   "%ld",  " %ld", "\t%ld",
                                   "+%ld", "0x%lx", "0X%lX", "0%lo", "00%ld"};
    std::snprintf(text, sizeof text, formats[pick(std::size(formats))], value);
    return text;
  }

  std::string garbage() {
    const char* const texts[] = {"",
                                 " ",
                                 "x",
                                 "-",
                                 "+",
                                 "2x",
                                 "1 ",
                                 "1.0",
                                 "0x",
                                 "0b",
                                 "0o",
                                 "0b11",
                                 "-0",
                                 "- 1",
                                 "+-1",
                                 "\x80",
                                 "١",
                                 "1e0",
                                 "99999999999",
                                 "0o2",
                                 "0B1",
                                 "0O1",
                                 "+0b1",
                                 "-0b1",
                                 "18446744073709551616",
                                 "-9223372036854775809",
                                 "\n2",
                                 "\r2",
                                 "\v2"};
    return texts[pick(std::size(texts))];
  }

  std::string pid() {
    if (one_in(6)) return garbage();
    const long candidates[] = {::getpid(),
                               ::getpid(),
                               ::getpid(),
                               ::getpid(),
                               ::getpid(),
                               ::getpid(),
                               1,
                               0,
                               -1,
                               INT_MAX,
                               INT_MIN,
                               LONG_MAX,
                               4294967296L + ::getpid()};
    return spelled(candidates[pick(std::size(candidates))]);
  }

  std::string count() {
    if (one_in(6)) return garbage();
    const long candidates[] = {1,  2,  3,       4,           4,           5,       6,        0,
                               -1, -3, INT_MAX, INT_MAX - 3, INT_MAX - 2, INT_MIN, LONG_MAX, 4294967297L};
    return spelled(candidates[pick(std::size(candidates))]);
  }

  std::string names() {
    std::string text;
    const int colons = pick(6);
    for (int i = 0; i <= colons; ++i) {
      if (i > 0) text += ':';
      if (!one_in(4)) text += "name" + std::to_string(pick(3));
    }
    return text;
  }

  std::mt19937 random_;
};

void clear_close_on_exec() {
  for (int fd = 3; fd < 3 + open_sockets; ++fd) ::fcntl(fd, F_SETFD, 0);
}

std::vector<bool> close_on_exec() {
  std::vector<bool> flags;
  for (int fd = 3; fd < 3 + open_sockets; ++fd) flags.push_back((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  return flags;
}

Outcome ask_libsystemd(const std::vector<std::string>& assignments) {
  ::clearenv();
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    ::setenv(assignment.substr(0, equals).c_str(), assignment.c_str() + equals + 1, 1);
  }
  clear_close_on_exec();
  char** names = nullptr;
  Outcome outcome;
  outcome.result = ::sd_listen_fds(0);
  clear_close_on_exec();
  outcome.with_names = ::sd_listen_fds_with_names(0, &names);
  outcome.close_on_exec = close_on_exec();
  for (char** name = names; name != nullptr && *name != nullptr; ++name) {
    outcome.names.emplace_back(*name);
    std::free(*name);
  }
  std::free(names);
  return outcome;
}

Outcome ask_us(const std::vector<std::string>& assignments) {
  clear_close_on_exec();
  const Adoption adoption = adopt_listen_fds(Environment(assignments), observe_self());
  return {adoption.result, adoption.with_names, adoption.names, close_on_exec()};
}

std::string show(const Outcome& outcome) {
  std::string text = std::to_string(outcome.result) + '/' + std::to_string(outcome.with_names) + " {";
  for (const std::string& name : outcome.names) text += name + ',';
  text += "} ";
  for (const bool flag : outcome.close_on_exec) text += flag ? 'x' : '-';
  return text;
}

// In a child whose 3 … 6 are open and whose 7 and above are not. Writes every disagreement to `report`.
int compare(int report) {
  ::close_range(3, static_cast<unsigned>(report) - 1, 0);
  for (int fd = 3; fd < 3 + open_sockets; ++fd) {
    if (::eventfd(0, 0) != fd) return 2;
  }
  RandomEnvironment random(seed);
  int adopted = 0;
  int disagreements = 0;
  for (int i = 0; i < environments; ++i) {
    const auto assignments = random.make();
    const Outcome theirs = ask_libsystemd(assignments);
    const Outcome ours = ask_us(assignments);
    if (theirs.result > 0) ++adopted;
    if (ours == theirs) continue;
    ++disagreements;
    std::string text;
    for (const std::string& assignment : assignments) text += assignment + ' ';
    ::dprintf(report, "%s: libsystemd %s, we %s\n", text.c_str(), show(theirs).c_str(), show(ours).c_str());
  }
  // A comparison in which nothing is ever adopted would prove little.
  if (adopted < environments / 20) return 3;
  return disagreements == 0 ? 0 : 1;
}

TEST(AdoptListenFds, AgreesWithLibsystemdOnTwentyThousandRandomEnvironments) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const OwnedFd read_end(ends[0]);
  OwnedFd write_end(::fcntl(ends[1], F_DUPFD_CLOEXEC, 100));
  ::close(ends[1]);
  const int status = test::in_child([&] { return compare(write_end.get()); });
  write_end.close();
  EXPECT_EQ(status, 0) << test::read_all(read_end.get()).substr(0, 4000);
}

TEST(AdoptListenFds, HeedsLISTEN_PIDFDIDWhereTheKernelCanTell) {
  const Self self = observe_self();
  if (!self.pidfdid)
    GTEST_SKIP() << "this kernel's pidfds have no inode number of their own (before Linux 6.9)";
  const int status = test::in_child([] {
    const Self child = observe_self();
    ::close_range(3, ~0U, 0);
    if (::eventfd(0, 0) != 3) return 2;
    Environment environment({"LISTEN_FDS=1"});
    environment.set("LISTEN_PID", std::to_string(child.pid));
    environment.set("LISTEN_PIDFDID", std::to_string(*child.pidfdid));
    const int right = adopt_listen_fds(environment, child).result;
    environment.set("LISTEN_PIDFDID", std::to_string(*child.pidfdid + 1));
    const int wrong = adopt_listen_fds(environment, child).result;
    return right == 1 && wrong == 0 ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace fdchain
