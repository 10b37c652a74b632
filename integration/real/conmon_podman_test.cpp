// The monitor in conmon's place under the real podman.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "fdchain/system/proc/observe.h"
#include "fdchain/system/socket/listening_socket.h"
#include "integration/real/conmon_fixture.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;

class UnderPodman : public Conmon {
 protected:
  UnderPodman() {
    write_bundle(directory_.path(), {{"/bin/true"}, false, {}});  // for its root file system
  }
  ~UnderPodman() override {
    Start start;
    start.argv = podman(bin("monitor"), "runc", {"rm", "--all", "--force", "--time", "0"});
    run(start);
    // Its overlay of nothing stays mounted otherwise.
    start.argv = {"umount", file("storage/overlay")};
    run(start);
  }
  Words podman(const std::string& conmon, const std::string& runtime, Words words) {
    words.insert(words.begin(), {"podman", "--root", file("storage"), "--runroot", file("run"), "--tmpdir",
                                 file("tmp"), "--storage-driver", "vfs", "--events-backend", "none",
                                 "--conmon", conmon, "--runtime", runtime});
    return runtime == "crun" ? with_cgroup2(words) : words;
  }
  /// `podman run OPTIONS --rootfs … COMMAND`
  Words run_words(Words options, Words command) {
    Words words{"run", "--network=none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--rootfs", directory_.file("rootfs")});
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  Result call(const std::string& conmon, const Words& words, const std::string& input = {}) {
    Start start;
    start.argv = podman(conmon, "runc", words);
    start.input = input;
    return run(start, std::chrono::seconds(60));
  }
  /// What a user sees, without what is another each time.
  std::string seen(const std::string& conmon, const Words& words, const std::string& input = {}) {
    const Result result = call(conmon, words, input);
    const std::string text = result.status.describe() + "\n-- out\n" + result.out + "-- err\n" + result.err;
    return std::regex_replace(text, std::regex("[0-9a-f]{64}|time=\"[^\"]*\""), "(some)");
  }
};

TEST_F(UnderPodman, UsersSeeNoDifference) {
  struct Use {
    std::vector<Words> commands;
    std::string input;
  };
  const std::vector<Use> uses{
      {{run_words({"--rm"}, {"sh", "-c", "echo out; echo err >&2; exit 7"})}, ""},
      {{run_words({"--rm", "-i"}, {"cat"})}, "one\ntwo\n"},
      {{run_words({"--rm", "-t"}, {"echo", "tty"})}, ""},
      {{run_words({"--rm"}, {"/nonexistent"})}, ""},
      {{run_words({"--rm"}, {"/bin"})}, ""},
      {{run_words({"--rm", "--log-driver", "none"}, {"echo", "none"})}, ""},
      {{run_words({"--rm", "--log-driver", "passthrough"}, {"echo", "passed"})}, ""},
      {{run_words({"--rm", "--timeout", "1"}, {"sleep", "100"})}, ""},
      {{run_words({"-d", "--name", "box", "--log-driver", "k8s-file"},
                  {"sh", "-c", "echo one; echo two >&2; exec sleep 100"}),
        {"logs", "box"},
        {"exec", "box", "echo", "exec"},
        {"exec", "box", "sh", "-c", "exit 9"},
        {"exec", "-i", "box", "cat"},
        {"exec", "-t", "box", "echo", "tty"},
        {"exec", "box", "/nonexistent"},
        {"stop", "--time", "0", "box"},
        {"wait", "box"},
        {"rm", "box"}},
       "input\n"},
      {{run_words({"-d", "-i", "--name", "late"}, {"sh", "-c", "read x; echo late; exit 3"}),
        {"attach", "late"},
        {"wait", "late"},
        {"rm", "late"}},
       "go\n"},
      {{{"ps", "--all", "--quiet"}}, ""},
  };
  for (const Use& use : uses) {
    std::vector<std::string> conmons;
    std::vector<std::string> ours;
    for (const Words& command : use.commands) conmons.push_back(seen(real_conmon, command, use.input));
    for (const Words& command : use.commands) ours.push_back(seen(bin("monitor"), command, use.input));
    EXPECT_EQ(ours, conmons);
  }
}

TEST_F(UnderPodman, AContainerThatRemovesItselfIsGone) {
  ASSERT_EQ(call(bin("monitor"), run_words({"-d", "--rm"}, {"echo"})).status, WaitStatus::for_exit_code(0));
  expect_nobody_left();  // the exit command too
  EXPECT_EQ(call(bin("monitor"), {"ps", "--all", "--quiet"}).out, "");
}

class SocketsUnderPodman : public UnderPodman, public ::testing::WithParamInterface<std::string> {};

TEST_P(SocketsUnderPodman, ReachThePayloadAsTheyAre) {
  const OwnedFd web = std::move(open_listening(parse_listen_spec("tcp:127.0.0.1:8080")).fd);
  const OwnedFd other = std::move(open_listening(parse_listen_spec("unix:" + file("s"))).fd);
  std::vector<PayloadReport::Identity> identities;
  for (const FdRow& row : observe_fds()) {
    if (row.number == web.get() || row.number == other.get()) identities.push_back(identity_of(row));
  }
  Start start;
  Words options{"--rm"};
  if (GetParam() == "crun") options.push_back("--cgroups=disabled");
  start.argv = as_activated(podman(bin("monitor"), GetParam(), run_words(options, {"/payload", "report"})));
  start.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=web:other"};
  start.pass = {{web.get(), 3}, {other.get(), 4}};
  const Result result = run(start, std::chrono::seconds(60));
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_THAT(report.names(), ElementsAre("web", "other"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT((std::vector{report.identity(3), report.identity(4)}),
              ::testing::UnorderedElementsAreArray(identities));
  expect_nobody_left();
}

INSTANTIATE_TEST_SUITE_P(All, SocketsUnderPodman, ::testing::Values("runc", "crun"),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace fdchain::test
