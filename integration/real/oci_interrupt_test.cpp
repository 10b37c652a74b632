// A container that is not wanted any more while it is being made.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using Hooks = std::vector<oci::Hook> oci::Hooks::*;

/// A moment of the making, by the hook that takes for ever then; and the signal that comes.
struct Moment {
  std::string hook;
  Hooks hooks;
  std::string verb;
  int signal;
};
void PrintTo(const Moment& moment, std::ostream* out) { *out << moment.verb << ' ' << moment.hook; }

class OciInterrupted : public OciTest, public ::testing::WithParamInterface<Moment> {};

std::string told_of(int signal) {
  return std::string("runtime-shim: interrupted by SIG") + ::sigabbrev_np(signal) +
         " before the payload was there\n";
}

// That nothing is left, no process and no directory, is looked at after every test.
TEST_P(OciInterrupted, MakesNothing) {
  const Moment& moment = GetParam();
  oci::Config wanted = config(shell("exec sleep 1000"));
  wanted.hooks.*moment.hooks = {
      {"/bin/sh", {"sh", "-c", "echo there >&2; exec sleep 1000"}, {{"PATH=/bin:/usr/bin"}}, {}}};
  wanted.annotations = {{"run.oci.hooks.stderr", "/dev/stderr"}};
  write(wanted);
  Program program(runtime({moment.verb, "-b", bundle(), "--pid-file", file("pid"), "c"}));
  program.wait_for_err("there");
  program.signal(moment.signal);
  const Result result = program.finish();
  EXPECT_EQ(result.err, "there\n" + told_of(moment.signal));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_FALSE(fs::exists(file("pid")));
}

INSTANTIATE_TEST_SUITE_P(
    While, OciInterrupted,
    ::testing::Values(Moment{"prestart", &oci::Hooks::prestart, "run", SIGTERM},
                      Moment{"createRuntime", &oci::Hooks::create_runtime, "run", SIGINT},
                      Moment{"createRuntime", &oci::Hooks::create_runtime, "create", SIGTERM},
                      Moment{"createContainer", &oci::Hooks::create_container, "run", SIGTERM},
                      Moment{"startContainer", &oci::Hooks::start_container, "run", SIGTERM},
                      Moment{"poststart", &oci::Hooks::poststart, "run", SIGTERM}),
    [](const auto& param_info) { return param_info.param.verb + '_' + param_info.param.hook; });

template <typename Condition>
void wait_until(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + usual_patience;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    ::sched_yield();
  }
}

// From then on a signal is an interruption.
void wait_until_blocked(pid_t pid, int signal) {
  wait_until([&] {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;) {
      if (word == "SigBlk:" && status >> word)
        return ((std::stoull(word, nullptr, 16) >> (signal - 1)) & 1) != 0;
    }
    return false;
  });
}

/// A console socket whose owner takes no more connections for now.
class FullConsole {
 public:
  explicit FullConsole(const std::string& path) {
    address_.sun_family = AF_UNIX;
    path.copy(address_.sun_path, sizeof address_.sun_path - 1);
    check(::bind(listener_.get(), generic(), sizeof address_), "bind");
    check(::listen(listener_.get(), 0), "listen");
    while (true) {
      OwnedFd client(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
      if (::connect(client.get(), generic(), sizeof address_) < 0) break;
      clients_.push_back(std::move(client));
    }
  }
  void take_one() {
    taken_.emplace_back(check(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  }

 private:
  [[nodiscard]] const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address_); }

  sockaddr_un address_{};
  OwnedFd listener_{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  std::vector<OwnedFd> clients_;
  std::vector<OwnedFd> taken_;
};

class OciFullConsole : public OciTest {
 protected:
  void SetUp() override {
    oci::Config wanted = config(shell("exec sleep 1000"));
    wanted.process->terminal = true;
    write(wanted);
  }
  Words create_words() { return {"create", "-b", bundle(), "--console-socket", file("console"), "c"}; }
  FullConsole console_{file("console")};
};

TEST_F(OciFullConsole, IsNotWaitedForWhenSomebodyInterrupts) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Program program(runtime(create_words()));
    wait_until_blocked(program.pid(), signal);
    program.signal(signal);
    const Result result = program.finish();
    EXPECT_EQ(result.err, told_of(signal));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  }
}

TEST_F(OciFullConsole, IsConnectedToWhenItHasRoom) {
  Program program(runtime(create_words()));
  wait_until_blocked(program.pid(), SIGTERM);
  console_.take_one();
  EXPECT_EQ(program.finish().status, WaitStatus::for_exit_code(0));
  succeed({"delete", "c"});
}

class OciExecInterrupted : public OciTest {
 protected:
  void SetUp() override {
    write(config(shell("exec sleep 1000")));
    succeed({"create", "-b", bundle(), "c"});
    succeed({"start", "c"});
  }
  void TearDown() override {
    succeed({"delete", "--force", "c"});
    OciTest::TearDown();
  }
  std::ptrdiff_t processes() { return std::ranges::count(succeed({"ps", "c"}).out, '\n') - 1; }
};

TEST_F(OciExecInterrupted, LeavesNobody) {
  // A search that takes for ever: its process is there, and its program is not.
  oci::Process process;
  process.args = {"nosuch"};
  process.env = {"PATH="};
  for (int i = 0; i < 10'000'000; ++i) process.env[0] += "/:";
  std::ofstream(file("process.json")) << oci::encode(process);
  for (const int signal : {SIGTERM, SIGINT}) {
    fs::remove(file("log"));
    Program exec(runtime({"--log", file("log"), "--log-format=json", "exec", "--pid-file", file("pid"),
                          "--process", file("process.json"), "c"}));
    wait_until([&] { return processes() == 2; });
    exec.signal(signal);
    const Result result = exec.finish();
    EXPECT_EQ(result.err, told_of(signal));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(255));
    const boost::json::value line = boost::json::parse(read_file(file("log")));
    EXPECT_EQ("runtime-shim: " + std::string(line.at("msg").as_string()) + '\n', told_of(signal));
    EXPECT_EQ(processes(), 1);
    EXPECT_FALSE(fs::exists(file("pid")));
  }
}

TEST_F(OciExecInterrupted, NoMoreWhenTheProgramRuns) {
  check(::mkfifo((root() + "/up").c_str(), 0600), "mkfifo");
  Program exec(
      runtime({"exec", "c", "sh", "-c", "trap 'exit 5' TERM; echo up > /up; while :; do sleep 0.05; done"}));
  EXPECT_EQ(read_file(root() + "/up"), "up\n");
  exec.signal(SIGTERM);
  const Result result = exec.finish();
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(5));
}

}  // namespace
}  // namespace fdchain::test
