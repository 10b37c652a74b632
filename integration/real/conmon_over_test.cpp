// The monitor in conmon's dialect over the real runtimes, without podman.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fdchain/protocol/attach.h"
#include "integration/harness/wait_until.h"
#include "integration/real/conmon_fixture.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Runtime {
  std::string name;
  Words arguments;
};

class OverRuntime : public Conmon, public ::testing::WithParamInterface<Runtime> {
 protected:
  OverRuntime() : bundle_(file("box")), id_("fdchain-conmon-" + std::to_string(::getpid())) {
    fs::create_directory(bundle_);
  }
  Start monitor(Words options) {
    Start start;
    start.argv = {bin("monitor"),
                  "--api-version",
                  "-c",
                  id_,
                  "-u",
                  id_,
                  "-r",
                  "/usr/bin/" + GetParam().name,
                  "-b",
                  bundle_,
                  "-p",
                  bundle_ + "/pidfile",
                  "--conmon-pidfile",
                  bundle_ + "/monitor",
                  "--exit-dir",
                  bundle_,
                  "--full-attach",
                  "-l",
                  "k8s-file:" + bundle_ + "/log",
                  "--runtime-arg",
                  "--root",
                  "--runtime-arg",
                  file("state")};
    for (const std::string& word : GetParam().arguments)
      start.argv.insert(start.argv.end(), {"--runtime-arg", word});
    start.argv.insert(start.argv.end(), options.begin(), options.end());
    if (GetParam().name == "crun") start.argv = with_cgroup2(start.argv);
    return start;
  }
  void runtime(Words words) {
    Start start;
    start.argv = {"/usr/bin/" + GetParam().name, "--root", file("state")};
    start.argv.insert(start.argv.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    start.argv.insert(start.argv.end(), words.begin(), words.end());
    if (GetParam().name == "crun") start.argv = with_cgroup2(start.argv);
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  }
  std::string bundle_;
  std::string id_;
};

TEST_P(OverRuntime, AContainerIsCreatedStartedLoggedAndItsStatusPublished) {
  write_bundle(bundle_, {{"/bin/sh", "-c", "echo out; echo err >&2; exit 5"}, false, {}});
  ASSERT_EQ(run(monitor({})).status, WaitStatus::for_exit_code(0));
  wait_for_file(bundle_ + "/pidfile");
  const OwnedFd client = attach_to(bundle_);
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  wait_for_file(file("state") + '/' + id_);
  runtime({"start", id_});
  const Attached attached = read_frames(client.get());
  expect_nobody_left();
  EXPECT_EQ(attached.out, "out\n");
  EXPECT_EQ(attached.err, "err\n");
  EXPECT_EQ(without_times(read_file(bundle_ + "/log")), "TIME stderr F err\nTIME stdout F out\n");
  EXPECT_EQ(read_file(bundle_ + '/' + id_), "5");
  runtime({"delete", "--force", id_});
}

TEST_P(OverRuntime, ATerminalIsTakenOverAndResized) {
  write_bundle(
      bundle_,
      {{"/bin/sh", "-c",
        "read go; for size in '33 77' '44 88'; do until [ \"$(stty size)\" = \"$size\" ]; do :; done; "
        "stty size; done"},
       true,
       {}});
  ASSERT_EQ(run(monitor({"-t"})).status, WaitStatus::for_exit_code(0));
  wait_for_file(bundle_ + "/pidfile");
  const OwnedFd client = attach_to(bundle_);
  runtime({"start", id_});
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  std::ofstream(bundle_ + "/ctl") << "1 33 77\n";
  std::string seen;
  while (seen.find("33 77\r\n") == std::string::npos) {
    const auto frame = decode_attach_frame(receive_packet(client.get()));
    ASSERT_TRUE(frame);
    seen += frame->bytes;
  }
  std::ofstream(bundle_ + "/winsz") << "44 88\n";
  const Attached attached = read_frames(client.get());
  expect_nobody_left();
  EXPECT_THAT(attached.out, HasSubstr("44 88\r\n"));
  EXPECT_EQ(attached.err, "");
  EXPECT_EQ(read_file(bundle_ + '/' + id_), "0");
  runtime({"delete", "--force", id_});
}

INSTANTIATE_TEST_SUITE_P(All, OverRuntime,
                         ::testing::Values(Runtime{"runc", {}},
                                           Runtime{"crun", {"--cgroup-manager=disabled"}}),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace fdchain::test
