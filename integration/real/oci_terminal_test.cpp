// Terminals that are passed through, and the ends of those who have them.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/wait_until.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

class OciPassThrough : public OciTest {
 protected:
  /// `SHELL-WORDS with $0 as the runtime's command for a container with a terminal`
  Start piped(const std::string& around, const std::string& script, bool own_pids = true) {
    oci::Config wanted = config(shell(script));
    wanted.process->terminal = true;
    if (!own_pids)
      std::erase_if(wanted.linux_.namespaces, [](const auto& each) { return each.type == "pid"; });
    write(wanted);
    Start start;
    start.argv = {"sh", "-c", around, bin("runtime-shim"), states(), bundle()};
    return start;
  }
  static constexpr const char* runtime_run = "$0 --root $1 run -b $2 c";
};

TEST_F(OciPassThrough, MoreInputThanAnybodyReadsHoldsUpNothing) {
  const Start start = piped(std::string("yes | ") + runtime_run, "exit 7");
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(7));
}

TEST_F(OciPassThrough, InputAndOutputFlowAtOnce) {
  // Both directions are full when the payload begins to read: it is woken by what it writes.
  const Start start = piped(std::string("yes | head -n 30000 | ") + runtime_run + " | wc -l",
                            "stty -echo; seq 20000; awk 'END {print NR}'; exit 0");
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_GT(std::stoi(result.out), 20000) << result.err;
}

TEST_F(OciPassThrough, AllOutputComesWhenTheReaderIsSlowerThanThePayload) {
  const Start start = piped(std::string("mkfifo $2/go; ") + runtime_run +
                                " < /dev/null | { read x < $2/go; wc -c; } & "
                                // The payload has ended, and its output is more than a pipe has room for.
                                "read pid < $2/rootfs/done; echo > $2/go; wait",
                            "yes 123456 | head -c 66000; echo > /done");
  check(::mkfifo((root() + "/done").c_str(), 0600), "mkfifo");
  EXPECT_EQ(std::stoi(run(start).out), 66000);
}

TEST_F(OciPassThrough, AReaderThatGoesIsNoError) {
  const Start start = piped(std::string("{ ") + runtime_run + "; echo $? >&2; } < /dev/null | head -n 1",
                            "seq 100000; exit 5");
  const Result result = run(start);
  EXPECT_EQ(result.out, "1\n");
  EXPECT_EQ(result.err, "5\n");
}

TEST_F(OciPassThrough, SomebodyWhoWritesOnIsNotWaitedFor) {
  // Not process 1 of a namespace: it leaves a child that keeps writing, and ends.
  const Start start = piped(std::string(runtime_run) + " < /dev/null > /dev/null",
                            "trap '' HUP; yes & echo $! > /pid; exit 3", false);
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(3));
  // Not reaped by anybody yet, if the terminal's end was its own.
  ::kill(std::stoi(read_file(root() + "/pid")), SIGKILL);
}

TEST_F(OciPassThrough, ASignalReachesThePayloadWhileNobodyReads) {
  const std::string held = file("held");
  check(::mkfifo(held.c_str(), 0600), "mkfifo");
  const OwnedFd reader(check(::open(held.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"));
  Start start = piped(std::string("exec ") + runtime_run + " < /dev/null > " + held,
                      "trap 'exit 9' TERM; echo > /up; while :; do echo 1234567890; done");
  check(::mkfifo((root() + "/up").c_str(), 0600), "mkfifo");
  Program program(start);
  EXPECT_EQ(read_file(root() + "/up"), "\n");
  // Its output has nowhere to go now; and the signal has to end even the wait for that.
  program.signal(SIGTERM);
  program.signal(SIGTERM);
  const Result result = program.finish();
  EXPECT_TRUE(result.status == WaitStatus::for_exit_code(9) ||
              result.status == WaitStatus::for_exit_code(143))
      << result.status.describe() << result.err;
}

// They were the payload's, which went on; they say nothing of a reader.
TEST_F(OciPassThrough, AllOutputComesThoughThePayloadHasHadSignals) {
  const std::string held = file("held");
  check(::mkfifo(held.c_str(), 0600), "mkfifo");
  const OwnedFd reader(check(::open(held.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"));
  const Start start =
      piped(std::string("exec ") + runtime_run + " < /dev/null > " + held,
            "trap hup=1 HUP; trap term=1 TERM; trap user=1 USR1; echo > /up; "
            "until [ \"$hup$term$user\" = 111 ]; do :; done; yes 123456 | head -c 66000; exit 7");
  check(::mkfifo((root() + "/up").c_str(), 0600), "mkfifo");
  Program program(start);
  EXPECT_EQ(read_file(root() + "/up"), "\n");
  const auto payload = json::parse(succeed({"state", "c"}).out).at("pid").as_int64();
  for (const int number : {SIGUSR1, SIGHUP, SIGTERM}) program.signal(number);
  // Ended, and more has been written than the pipe has room for.
  wait_until("the payload's end", [&] { return ::kill(static_cast<pid_t>(payload), 0) < 0; });
  program.signal(SIGUSR1);  // and nobody's any more
  check(::fcntl(reader.get(), F_SETFL, 0), "fcntl");
  EXPECT_EQ(read_all(reader.get()).size(), 66000);
  EXPECT_EQ(program.finish().status, WaitStatus::for_exit_code(7));
}

}  // namespace
}  // namespace fdchain::test
