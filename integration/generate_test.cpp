// `launcher generate systemd`: the units are systemd's to judge.

#include <filesystem>
#include <fstream>

#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;

class Generate : public ChainTest {
 protected:
  Result generate(std::vector<std::string> words) {
    words.insert(words.begin(), {"generate", "systemd"});
    Start start = launcher(words);
    start.working_directory = directory_.path();
    return run(start);
  }

  // What systemd-analyze has to say of the units; nothing when it accepts them.
  std::string complaints(const std::vector<std::string>& units) {
    Start start;
    start.argv = {"systemd-analyze", "--user", "--man=no", "--recursive-errors=no", "verify"};
    for (const std::string& unit : units) start.argv.push_back(file(unit));
    start.environment = {"XDG_RUNTIME_DIR=" + directory_.path(),
                         "SYSTEMD_UNIT_PATH=" + directory_.path() + ":"};
    const Result result = run(start);
    return (result.status == WaitStatus::for_exit_code(0) ? "" : "refused: ") + result.out + result.err;
  }

  // What systemd reads in a line of a unit that it has loaded.
  static std::string line_of(const std::string& text, const std::string& key) {
    const std::size_t at = text.find(key);
    return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
  }
};

TEST_F(Generate, ComplaintsAreHeard) {
  std::ofstream(file("bad.socket")) << "[Socket]\nListenStream=nowhere:at:all\n";
  std::ofstream(file("bad.service")) << "[Service]\nExecStart=/nonexistent\n";
  EXPECT_THAT(complaints({"bad.socket"}), HasSubstr("ListenStream"));
  EXPECT_THAT(complaints({"bad.service"}), HasSubstr("/nonexistent"));
}

TEST_F(Generate, SystemdAcceptsEveryKindOfSocket) {
  const Result result = generate(
      {"echo",           "--files",   "--listen",          "tcp:127.0.0.1:3000", "--listen",
       "udp:[::1]:3000", "--listen",  "unix:/tmp/a b%c",   "--listen",           "unix-seqpacket:@x",
       "--listen",       "vsock:1:2", "--listen",          "fifo:/tmp/f",        "--listen",
       "mqueue:/q",      "--listen",  "special:/dev/null", "--listen",           "netlink:kobject-uevent 1",
       "--network",      "none"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out, file("echo.socket") + '\n' + file("echo.service") + '\n');
  EXPECT_EQ(complaints({"echo.socket", "echo.service"}), "");
  EXPECT_EQ(line_of(read_file(file("echo.service")), "ExecStart="),
            "ExecStart=" + bin("launcher") + " --network none -- payload");
}

TEST_F(Generate, SystemdAcceptsSeveralNamesAndModes) {
  const Result result = generate({"app", "--files", "--listen", "tcp:3000,name=web", "--listen",
                                  "unix:/tmp/x,name=admin,mode=0600", "--sdnotify", "ignore", "sh", "-c",
                                  "echo \"100% of $HOME\"; exit"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(complaints({"app-web.socket", "app-admin.socket", "app.service"}), "");
  const std::string service = read_file(file("app.service"));
  EXPECT_EQ(
      line_of(service, "ExecStart="),
      "ExecStart=" + bin("launcher") + " --sdnotify=ignore -- sh -c \"echo \\\"100%% of $$HOME\\\"; exit\"");
  EXPECT_THAT(service, HasSubstr("Type=exec\n"));
}

TEST_F(Generate, SystemdAcceptsEveryOption) {
  const Result result = generate(
      {"all", "--files", "--listen",
       "tcp:[::]:80,name=web,backlog=5,v6only,freebind,transparent,reuseport,bind-to-device=lo,nodelay,"
       "keepalive,"
       "keepalive-time=60,keepalive-interval=5,keepalive-probes=3,defer-accept=2,congestion=reno,"
       "timestamping=us,"
       "rcvbuf=8M,sndbuf=1K,priority=3,mark=7,tos=low-delay,ttl=9",
       "--listen", "udp:[::]:53,name=dns,v6only=no,broadcast,passpktinfo,timestamping=ns", "--listen",
       "unix:/run/s,name=admin,mode=0600,dirmode=0700,user=daemon,group=12,symlink=/x,symlink=/y "
       "z,passcred,passsec",
       "--listen", "fifo:/run/f,name=fifo,pipe-size=64K", "--listen",
       "mqueue:/q,name=queue,max-messages=5,message-size=64", "--listen",
       "special:/dev/null,name=special,writable", "--listen", "netlink:route 1361,name=route"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(complaints({"all-web.socket", "all-dns.socket", "all-admin.socket", "all-fifo.socket",
                        "all-queue.socket", "all-special.socket", "all-route.socket", "all.service"}),
            "");
}

TEST_F(Generate, WithAcceptThereIsATemplateForTheConnections) {
  const Result result =
      generate({"web", "--files", "--listen", "tcp:8080,accept,max-connections=5", "mydaemon"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out, file("web.socket") + '\n' + file("web@.service") + '\n');
  EXPECT_EQ(complaints({"web.socket"}), "");
  EXPECT_EQ(
      read_file(file("web.socket")),
      "[Unit]\nDescription=Sockets of web\n\n[Socket]\nListenStream=8080\nAccept=yes\nMaxConnections=5\n\n"
      "[Install]\nWantedBy=sockets.target\n");
  EXPECT_EQ(read_file(file("web@.service")),
            "[Unit]\nDescription=web, behind fdchain's "
            "launcher\n\n[Service]\nType=notify\nNotifyAccess=all\nExecStart=" +
                bin("launcher") + " --sdnotify=conmon -- mydaemon\nKillMode=mixed\n");
  EXPECT_EQ(generate({"web", "--listen", "tcp:1,accept", "--listen", "tcp:2"}).err,
            "launcher: --listen tcp:2: with accept for one socket every other one needs it too\n");
  EXPECT_EQ(generate({"web", "--listen", "tcp:0"}).err,
            "launcher: --listen tcp:0: systemd has no port that the kernel chooses\n");
}

TEST_F(Generate, WithoutFilesItPrintsAndWritesNothing) {
  const Result result = generate({"echo", "--listen", "tcp:3000", "mydaemon"});
  EXPECT_THAT(result.out, ::testing::StartsWith("# echo.socket\n[Unit]\n"));
  EXPECT_THAT(result.out, HasSubstr("\n# echo.service\n[Unit]\n"));
  EXPECT_THAT(result.out, HasSubstr(" --sdnotify=conmon -- mydaemon\n")) << "it may know nothing of READY=1";
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(Generate, EveryPathIsAbsoluteAndEveryOptionKept) {
  const Result result = generate({"all",
                                  "--name",
                                  "n",
                                  "--log",
                                  "k8s-file:log",
                                  "--timeout",
                                  "9",
                                  "--monitor",
                                  "./m",
                                  "--runtime",
                                  "r",
                                  "--env",
                                  "A=b c",
                                  "--workdir",
                                  "w",
                                  "--pidfile",
                                  "p",
                                  "--exit-file",
                                  "e",
                                  "--trace",
                                  "t",
                                  "--report",
                                  "text:r",
                                  "--check=warning",
                                  "--contract",
                                  "fds=0",
                                  "--expect",
                                  "payload: nothing",
                                  "--allow",
                                  "fd-leaked@payload:9",
                                  "--save-baseline",
                                  "b",
                                  "--all",
                                  "--fault",
                                  "monitor:keep-listen-pid",
                                  "--network",
                                  "none",
                                  "--pid",
                                  "private",
                                  "--userns",
                                  "private",
                                  "--sdnotify",
                                  "conmon",
                                  "--",
                                  "./daemon",
                                  "--option"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(
      line_of(result.out, "ExecStart="),
      "ExecStart=" + bin("launcher") + " --name=n --sdnotify=conmon --log=k8s-file:" + file("log") +
          " --timeout=9 --monitor=" + file("m") + " --runtime=r \"--env=A=b c\" --workdir=" + file("w") +
          " --pidfile=" + file("p") + " --exit-file=" + file("e") + " --trace=" + file("t") +
          " --report=text:" + file("r") +
          " --contract=fds=0 \"--expect=payload: nothing\" --allow=fd-leaked@payload:9 --save-baseline=" +
          file("b") +
          " --all --check=warning --fault=monitor:keep-listen-pid --network none --pid private --userns "
          "private -- " +
          file("daemon") + " --option");
}

TEST_F(Generate, NothingIsOverwrittenUnlessItIsAskedFor) {
  const std::vector<std::string> words{"web", "--files", "--listen", "tcp:8080", "daemon"};
  std::ofstream(file("web.service")) << "precious\n";
  const Result refused = generate(words);
  EXPECT_EQ(refused.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(
      refused.err,
      "launcher: generate systemd --files: web.service is there and says something else; --replace writes "
      "it anew\n");
  EXPECT_EQ(refused.out, "");
  EXPECT_EQ(read_file(file("web.service")), "precious\n");
  EXPECT_FALSE(std::filesystem::exists(file("web.socket"))) << "all or nothing";

  std::vector<std::string> replacing = words;
  replacing.insert(replacing.begin() + 2, "--replace");
  EXPECT_EQ(generate(replacing).err, "");
  EXPECT_THAT(read_file(file("web.service")), HasSubstr("ExecStart="));
  EXPECT_EQ(generate(words).err, "") << "what is there is what would be written";
}

TEST_F(Generate, AFailureLeavesWhatWasThereBefore) {
  const std::vector<std::string> words{bin("launcher"), "generate", "systemd",  "web",   "--files",
                                       "--replace",     "--listen", "tcp:8080", "daemon"};
  Start to_full_disk;
  to_full_disk.argv = {"sh", "-c", "exec \"$@\" >/dev/full", "sh"};
  to_full_disk.argv.insert(to_full_disk.argv.end(), words.begin(), words.end());
  to_full_disk.working_directory = directory_.path();
  const auto expect_failure = [&](const Start& start, const std::string& why) {
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: " + why + '\n');
  };
  expect_failure(to_full_disk, "write stdout: No space left on device");
  EXPECT_FALSE(std::filesystem::exists(file("web.socket")));
  EXPECT_FALSE(std::filesystem::exists(file("web.service")));

  std::ofstream(file("web.socket")) << "precious\n";
  expect_failure(to_full_disk, "write stdout: No space left on device");
  EXPECT_EQ(read_file(file("web.socket")), "precious\n");
  EXPECT_FALSE(std::filesystem::exists(file("web.service")));

  std::filesystem::create_directory(file("web.service"));
  Start in_the_way;
  in_the_way.argv = words;
  in_the_way.working_directory = directory_.path();
  expect_failure(in_the_way, "generate systemd --files web.service: there, and not a regular file");
  EXPECT_EQ(read_file(file("web.socket")), "precious\n");
}

TEST_F(Generate, UnitsOfAnEarlierSetAreToldOf) {
  EXPECT_EQ(
      generate({"web", "--files", "--listen", "tcp:8080,name=a", "--listen", "tcp:8081,name=b", "daemon"})
          .err,
      "");
  std::ofstream(file("website.socket")) << "another's\n";
  const Result result = generate({"web", "--files", "--replace", "--listen", "tcp:8082", "daemon"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err, ::testing::AllOf(HasSubstr("web-a.socket is there, and is none of these units\n"),
                                           HasSubstr("web-b.socket is there, and is none of these units\n"),
                                           ::testing::Not(HasSubstr("website"))));
}

TEST_F(Generate, ProfilesAndDialectAreKept) {
  const Result result = generate({"web", "--profile", "podman-4.3", "--profile", "runtime-shim=runc", "--pid",
                                  "host", "--dialect", "native", "/daemon"});
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(line_of(result.out, "ExecStart="),
              HasSubstr(" --dialect=native --profile=launcher=podman-4.3 --profile=monitor=conmon "
                        "--profile=runtime-shim=runc --pid=host -- /daemon"));
}

TEST_F(Generate, HelpNamesNAME) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--help"}, {"-h"}, {"web", "--help"}, {"web", "-h"}}) {
    const Result result = generate(words);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
    EXPECT_THAT(result.out, ::testing::StartsWith("Usage: launcher generate systemd NAME ["));
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(Generate, InARootTheWorkingDirectoryIsFromItsTop) {
  const Result result = generate({"web", "--rootfs", "root", "--workdir", "srv", "/daemon"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(line_of(result.out, "ExecStart="), "ExecStart=" + bin("launcher") +
                                                   " --sdnotify=conmon --workdir=/srv --rootfs " +
                                                   file("root") + " -- /daemon");
}

TEST_F(Generate, WhatCannotBeIsRefusedInALine) {
  const auto expect_refusal = [&](const std::vector<std::string>& words, const std::string& text) {
    const Result result = generate(words);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: generate systemd" + text + "\n");
    EXPECT_EQ(result.out, "");
  };
  expect_refusal({}, ": no NAME; see generate --help");
  expect_refusal({"web", "--replace"}, " web --replace: nothing is written without --files");
  expect_refusal({""}, " '': a unit needs a name");
  expect_refusal({"a b"}, " a b: a unit's name has letters, digits and : - _ . only");
  expect_refusal({"a@b"}, " a@b: a unit's name has letters, digits and : - _ . only");
  expect_refusal(
      {std::string(248, 'n')},
      ' ' + std::string(40, 'n') + "...: a unit's name has 255 characters at most, .service and all");
  expect_refusal({"a\nb"}, " a\\x0ab: a unit's name has letters, digits and : - _ . only");
  expect_refusal({"a/b"}, " a/b: a unit's name has letters, digits and : - _ . only");
  expect_refusal({"web.service"}, " web.service: the name without .service or .socket is asked for");
  expect_refusal({"web", "--detach"}, " --detach: systemd starts it in the foreground");
  expect_refusal({"web", "--preserve-fds", "1"}, " --preserve-fds: systemd passes sockets only");
  expect_refusal({"web", "--report", "json:fd:9"}, " --report FORMAT:fd:N: systemd passes sockets only");
  expect_refusal({"web", "--listen", "tcp:80", "--listen-report", "fd:9"},
                 " --listen-report fd:9: systemd passes sockets only");
}

}  // namespace
}  // namespace fdchain::test
