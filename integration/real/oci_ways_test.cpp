// Ways of making a container that are taken rarely.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cstring>
#include <filesystem>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::Contains;
using ::testing::HasSubstr;

class OciWays : public OciTest {
 protected:
  void create(const std::string& id, const oci::Config& wanted) {
    write(wanted);
    succeed({"create", "-b", bundle(), "--pid-file", file("pid"), id});
  }
};

TEST_F(OciWays, NamespacesByPathAreAnotherContainers) {
  create("first", config(shell("exec sleep 1000")));
  succeed({"start", "first"});
  const std::string proc = "/proc/" + read_file(file("pid")) + "/ns/";
  oci::Config wanted = config(shell("for n in pid net ipc uts; do readlink /proc/self/ns/$n; done"));
  wanted.hostname.clear();
  std::string expected;
  for (oci::Namespace& each : wanted.linux_.namespaces) {
    if (each.type == "mount") continue;
    each.path = proc + (each.type == "network" ? "net" : each.type);
  }
  for (const auto* const name : {"pid", "net", "ipc", "uts"})
    expected += fs::read_symlink(proc + name).string() + '\n';
  const Result result = run_container(wanted);
  EXPECT_EQ(result.out, expected) << result.err;
  succeed({"delete", "--force", "first"});
}

TEST_F(OciWays, ATerminalOfExecIsSentToTheConsoleSocket) {
  create("c", config(shell("exec sleep 1000")));
  succeed({"start", "c"});
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  file("console").copy(address.sun_path, sizeof address.sun_path - 1);
  const OwnedFd listener(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(listener.get(), 1), "listen");
  Program exec(
      runtime({"exec", "-t", "--console-socket", file("console"), "c", "sh", "-c", "tty; read x; exit 6"}));
  const OwnedFd peer(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  std::array<char, 64> name{};
  iovec part{name.data(), name.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  check(::recvmsg(peer.get(), &message, MSG_CMSG_CLOEXEC), "recvmsg");
  ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
  int number = -1;
  std::memcpy(&number, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof number);
  const OwnedFd master(number);
  EXPECT_EQ(std::string(name.data()), "/dev/pts/0");
  std::string said;
  for (std::array<char, 256> buffer; said.find("\r\n") == std::string::npos;) {
    const ssize_t got = ::read(master.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    said.append(buffer.data(), static_cast<std::size_t>(got));
  }
  EXPECT_EQ(said, "/dev/pts/0\r\n");
  check(::write(master.get(), "x\n", 2), "write");
  EXPECT_EQ(exec.finish().status, WaitStatus::for_exit_code(6));
  succeed({"delete", "--force", "c"});
}

TEST_F(OciWays, DetachedARunEndsWhenThePayloadRuns) {
  check(::mkfifo((root() + "/door").c_str(), 0600), "mkfifo");
  write(config(shell("echo x > /door; exec sleep 1000")));
  succeed({"run", "-d", "-b", bundle(), "--pid-file", file("pid"), "c"});
  EXPECT_EQ(read_file(root() + "/door"), "x\n");
  EXPECT_EQ(json::parse(succeed({"state", "c"}).out).at("pid").as_int64(), std::stoi(read_file(file("pid"))));
  succeed({"delete", "--force", "c"});
}

TEST_F(OciWays, PoststartHooksSeeItRunningAndTheirFailureEndsTheContainer) {
  oci::Config wanted = config(shell("exec sleep 1000"));
  wanted.hooks.poststart = {{"/bin/sh", {"sh", "-c", "cat > " + file("state")}, {{"PATH=/bin:/usr/bin"}}, {}},
                            {"/bin/false", {}, {}, {}}};
  wanted.hooks.poststop = {{"/bin/sh", {"sh", "-c", "echo gone > " + file("stopped")}, {}, {}}};
  create("c", wanted);
  EXPECT_FALSE(fs::exists(file("state")));
  const Result result = run(runtime({"start", "c"}));
  EXPECT_EQ(result.err, "runtime-shim: poststart hook /bin/false exited with status 1\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_EQ(json::parse(read_file(file("state"))).at("status"), "running");
  EXPECT_EQ(read_file(file("stopped")), "gone\n");
  EXPECT_EQ(run(runtime({"state", "c"})).err,
            "runtime-shim: container c: it does not exist in " + states() + '\n');
}

TEST_F(OciWays, AHookThatIsNotDoneInTimeEndsTheCreation) {
  oci::Config wanted = config(shell("true"));
  wanted.hooks.create_runtime = {{"/bin/sleep", {"sleep", "1000"}, {}, 1}};
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: createRuntime hook /bin/sleep: not done after 1 seconds\n");
}

TEST_F(OciWays, AnOrdinaryUsersRuntimeIsASealedCopyInMemory) {
  oci::Config wanted = config(shell("true"));
  wanted.hooks.create_runtime = {
      {"/bin/sh", {"sh", "-c", "readlink /proc/$PPID/exe"}, {{"PATH=/bin:/usr/bin"}}, {}}};
  wanted.annotations = {{"run.oci.hooks.stdout", file("executable")}};
  write_for_ordinary_user(wanted);
  const Result result = run(runtime_of_ordinary_user({"run", "-b", bundle(), "c"}));
  EXPECT_EQ(read_file(file("executable")), "/memfd:runtime-shim (deleted)\n") << result.err;
}

TEST_F(OciWays, WhatSpecWritesCanBeRunAndFeaturesAreOfTheSpecification) {
  succeed({"spec", "-b", bundle()});
  EXPECT_THAT(run(runtime({"spec", "-b", bundle()})).err, HasSubstr("it exists already"));
  oci::Config written = oci::decode_config(read_file(bundle() + "/config.json"), "config.json");
  EXPECT_EQ(written.process->args, Words{"sh"});
  written.process->terminal = false;
  written.process->args = shell("hostname");
  EXPECT_EQ(run_container(written).out, "fdchain\n");
  const json::object features = json::parse(succeed({"features"}).out).as_object();
  EXPECT_EQ(features.at("ociVersionMin"), "1.0.0");
  EXPECT_EQ(features.at("linux").at("seccomp").at("enabled"), false);
  EXPECT_THAT(features.at("linux").at("namespaces").as_array(), Contains(json::value("mount")));
}

}  // namespace
}  // namespace fdchain::test
