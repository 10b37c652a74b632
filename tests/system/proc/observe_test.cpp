#include "fdchain/system/proc/observe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <vector>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe_process.h"
#include "tests/support/allocations.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

TEST(Observe, DescribesWhatIsNotASocket) {
  const OwnedFd directory(check(::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), "open"));
  const auto row = observe_fd(directory.get());
  ASSERT_TRUE(row);
  EXPECT_EQ(row->type, "DIR");
  EXPECT_EQ(row->mode, "--");
  EXPECT_EQ(row->name, "/tmp");
  EXPECT_TRUE(row->close_on_exec);
  const OwnedFd epoll(check(::epoll_create1(0), "epoll_create1"));
  EXPECT_EQ(observe_fd(epoll.get())->type, "eventpoll");
  EXPECT_FALSE(observe_fd(epoll.get())->close_on_exec);
}

TEST(Observe, TellsTheEndsOfAPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const OwnedFd read_end(ends[0]);
  const OwnedFd write_end(ends[1]);
  EXPECT_EQ(observe_fd(ends[0])->mode, "r-");
  EXPECT_EQ(observe_fd(ends[1])->mode, "-w");
  EXPECT_TRUE(observe_fd(ends[1])->non_blocking);
  EXPECT_TRUE(observe_fd(ends[0])->same_object(*observe_fd(ends[1])));
}

TEST(Observe, GivesASocketItsAddressStateAndCookie) {
  const OwnedFd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  const auto row = observe_fd(socket.get());
  ASSERT_TRUE(row && row->socket);
  EXPECT_EQ(row->type, "TCP");
  EXPECT_EQ(row->socket->family, AF_INET);
  EXPECT_TRUE(row->socket->listening);
  EXPECT_NE(row->socket->cookie, 0U);
  EXPECT_TRUE(row->socket->local.starts_with("0.0.0.0:"));
  EXPECT_EQ(row->name, "state=listen laddr=" + row->socket->local);
  const OwnedFd copy(check(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 50), "fcntl"));
  EXPECT_TRUE(row->same_object(*observe_fd(copy.get())));
  EXPECT_EQ(observe_fd(copy.get())->socket->cookie, row->socket->cookie);
}

TEST(Observe, TheTableIsExactlyWhatIsOpenAndDoesNotHoldTheScanItself) {
  const FdTable before = observe_fds();
  const OwnedFd extra(check(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open"));
  FdTable after = observe_fds();
  ASSERT_EQ(after.size(), before.size() + 1);
  std::erase_if(after, [&](const FdRow& row) { return row.number == extra.get(); });
  EXPECT_EQ(after, before);
  EXPECT_EQ(observe_fd(extra.get() + 1000), std::nullopt);
}

// While a program is being replaced, its process has no environment; when it ends, it loses that before its
// descriptors.
TEST(Observe, AProcessThatChangesProgramsOrEndsIsNeverSeenByHalf) {
  const char* const script = R"(test $# -lt 200 && exec sh -c "$0" "$0" "$@" x)";
  std::array<const char*, 5> argv{"sh", "-c", script, script, nullptr};
  std::array<const char*, 3> environment{"PATH=/usr/bin:/bin", "LISTEN_FDS=1", nullptr};
  const pid_t child = ::vfork();
  if (child == 0) {
    ::execve("/bin/sh", const_cast<char**>(argv.data()), const_cast<char**>(environment.data()));
    ::_exit(127);
  }
  ASSERT_GT(child, 0);
  siginfo_t ended{};
  int seen = 0;
  while (::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0) {
    const auto record = observe_other(child, Hop::payload, Moment::running, Hop::monitor, {});
    if (!record) continue;
    ++seen;
    const std::map<std::string, std::string> whole{{"LISTEN_FDS", "1"}};
    ASSERT_EQ(record->environment, whole);
    ASSERT_GE(record->fds.size(), 3U);
  }
  EXPECT_GT(seen, 0);
  EXPECT_EQ(observe_other(child, Hop::payload, Moment::running, Hop::monitor, {}), std::nullopt)
      << "a zombie";
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

// Starts a program and waits until it runs; by vfork, which returns then.
pid_t start(const std::string& program) {
  std::array<const char*, 3> argv{"cat", "-", nullptr};
  std::array<const char*, 1> environment{nullptr};
  const pid_t child = ::vfork();
  if (child == 0) {
    ::execve(program.c_str(), const_cast<char**>(argv.data()), const_cast<char**>(environment.data()));
    ::_exit(127);
  }
  return child;
}

void end(pid_t child) {
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

// The name of a program is its own choice, and stands in the very text in which the others are looked up.
TEST(Observe, AProgramCannotWriteItsOwnRecordByItsName) {
  const test::TemporaryDirectory directory;
  for (const char* const name : {"NSpid: 42", "PPid: 1", "SigIgn: 4000"}) {
    const std::string program = directory.file(name);
    std::filesystem::copy_file("/bin/cat", program);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const OwnedFd out(ends[1]);
    const OwnedFd in(ends[0]);
    const int stdin_before = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    ASSERT_EQ(::dup2(in.get(), STDIN_FILENO), STDIN_FILENO);
    const pid_t child = start(program);
    ASSERT_EQ(::dup2(stdin_before, STDIN_FILENO), STDIN_FILENO);
    ::close(stdin_before);
    const auto record = observe_other(child, Hop::payload, Moment::running, Hop::monitor, {});
    ASSERT_TRUE(record) << name;
    EXPECT_EQ(record->pid_in_namespace, child) << name;
    EXPECT_EQ(record->ppid, ::getpid()) << name;
    EXPECT_EQ(std::ranges::count(record->ignored_signals, SIGTERM), 0) << name;
    end(child);
  }
}

std::size_t work_of_a_look(pid_t child, const FdTable& known) {
  const std::size_t before = test::allocations();
  const auto record = observe_other(child, Hop::payload, Moment::running, Hop::monitor, known);
  EXPECT_TRUE(record);
  return test::allocations() - before;
}

// A copy of all that is known for each descriptor would be sixteen times as much.
TEST(Observe, FourTimesTheDescriptorsAreFourTimesTheWork) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("a name that does not fit into a string without memory of its own");
  std::vector<OwnedFd> held;
  std::vector<std::size_t> work;
  for (const std::size_t count : {100U, 400U}) {
    while (held.size() < count)
      held.emplace_back(check(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open", path));
    const FdTable known = observe_fds();
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    work.push_back(work_of_a_look(child, known));
    end(child);
  }
  EXPECT_LT(work[1], 6 * work[0]) << work[0] << " for 100 descriptors";
}

}  // namespace
}  // namespace fdchain
