// `launcher --unit`: what a .socket unit says is opened as systemd opens it, and the real one is asked.

#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "integration/harness/chain_test.h"
#include "integration/harness/user_manager.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Unit : public ChainTest {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(file(name)).parent_path());
    std::ofstream(file(name)) << text;
    return file(name);
  }

  // The addresses and names that a run with these words listens on.
  std::vector<std::string> listened_on(std::vector<std::string> words) {
    words.insert(words.end(), {"--listen-report", "fd:1", "true"});
    const Result result = run(launcher(words));
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
    std::vector<std::string> found;
    if (result.out.empty()) return found;
    const auto report = boost::json::parse(result.out);
    for (const auto& socket : report.at("sockets").as_array()) {
      const auto text = [&](const char* key) {
        return socket.at(key).is_null() ? std::string("-") : std::string(socket.at(key).as_string());
      };
      found.push_back(text("address") + " " + text("name"));
    }
    return found;
  }

  void expect_refusal(const std::vector<std::string>& words, const std::string& err) {
    const Result result = run(launcher(words));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: " + err + "\n");
    EXPECT_EQ(result.out, "");
  }
};

TEST_F(Unit, ItsSocketsComeBehindThoseOfListen) {
  const std::string echo = write("echo.socket", "[Socket]\nListenStream=8090\nListenDatagram=127.0.0.1:53\n");
  const std::string admin =
      write("admin.socket", "[Socket]\nListenStream=" + file("run/s") + "\nFileDescriptorName=admin\n");
  EXPECT_THAT(listened_on({"--unit", echo, "--listen", "tcp:127.0.0.1:9,name=own", "--unit", admin}),
              ElementsAre("tcp:127.0.0.1:9 own", "tcp:8090 echo.socket", "udp:127.0.0.1:53 echo.socket",
                          "unix:" + file("run/s") + " admin"));
}

TEST_F(Unit, DropInsBesideItAreReadInSystemdsOrder) {
  const std::string unit = write("a-b@c.socket", "[Socket]\nListenStream=1\n");
  write("socket.d/10-x.conf", "[Socket]\nListenStream=2\n");
  write("a-@.socket.d/20-x.conf", "[Socket]\nListenStream=3\n");
  write("a-b@.socket.d/10-x.conf", "[Socket]\nListenStream=4\n");
  write("a-b@.socket.d/40-not-read", "[Socket]\nListenStream=5\n");
  write("a-b@c.socket.d/30-x.conf", "[Socket]\nListenStream=6\n");
  write("a-b@c.socket.d/20-x.conf", "");
  EXPECT_THAT(listened_on({"--unit", unit}),
              ElementsAre("tcp:1 a-b@c.socket", "tcp:4 a-b@c.socket", "tcp:6 a-b@c.socket"))
      << "one of the same name in a more special directory stands for the other, and an empty one for none";
}

TEST_F(Unit, ADropInThatCannotBeReadIsLeftOut) {
  const std::string unit = write("a.socket", "[Socket]\nListenStream=@a\n");
  write("a.socket.d/1.conf", "[Socket]\nListenStream=@b\n");
  fs::create_directory(file("a.socket.d/2.conf"));
  fs::create_symlink("nowhere", file("a.socket.d/3.conf"));
  const Result result = run(launcher({"--unit", unit, "sh", "-c", "exit $LISTEN_FDS"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(2));
  EXPECT_EQ(result.err, "launcher: warning: --unit " + file("a.socket.d/2.conf") +
                            ": not a regular file; the drop-in is left out\n"
                            "launcher: warning: --unit " +
                            file("a.socket.d/3.conf") +
                            ": No such file or directory; the drop-in is left out\n");
}

// A package's unit is changed where the administrator changes it.
TEST_F(Unit, DropInsOfSystemdsOtherDirectoriesAreRead) {
  constexpr const char* in_own_places = R"(
    for place in /usr/lib/systemd/system /etc/systemd /run; do mount -t tmpfs none $place || exit 1; done
    at() { mkdir -p ${1%/*} && printf '[Socket]\nListenStream=@%s\n' $2 > $1; }
    at /usr/lib/systemd/system/a.socket one
    at /usr/lib/systemd/system/a.socket.d/1.conf two
    at /run/systemd/system/a.socket.d/2.conf not-this
    at /etc/systemd/system/a.socket.d/2.conf three
    at /run/systemd/system/socket.d/3.conf four
    at /etc/systemd/user/a.socket.d/4.conf not-this
    exec "$@")";
  Start start = launcher({"--unit", "/usr/lib/systemd/system/a.socket", "--listen-report", "fd:1", "true"});
  start.argv.insert(start.argv.begin(), {"unshare", "-m", "sh", "-c", in_own_places, "sh"});
  const Result result = run(start);
  EXPECT_EQ(result.err, "");
  std::vector<std::string> addresses;
  const auto report = boost::json::parse(result.out);
  for (const auto& socket : report.at("sockets").as_array())
    addresses.emplace_back(socket.at("address").as_string());
  EXPECT_THAT(addresses, ElementsAre("unix:@one", "unix:@two", "unix:@three", "unix:@four"));
}

TEST_F(Unit, AnInstanceIsReadFromItsTemplate) {
  write("db@.socket", "[Socket]\nListenStream=" + file("%p/%i.sock") + "\n");
  EXPECT_THAT(listened_on({"--unit", file("db@one.socket")}),
              ElementsAre("unix:" + file("db/one.sock") + " db@one.socket"));
  expect_refusal({"--unit", file("db@.socket")},
                 "--unit " + file("db@.socket") + ": a template; name an instance: NAME@INSTANCE.socket");
}

TEST_F(Unit, AUsersUnitHasTheUsersDirectories) {
  const std::string text = "[Socket]\nListenStream=%t/s\nListenStream=%S/s\nListenStream=%h/s\n";
  const std::string own = write("systemd/user/own.socket", text);
  EXPECT_THAT(listened_on({"--unit", write("systemd/users/x.socket", "[Socket]\nListenStream=@%C\n")}),
              ElementsAre("unix:@/var/cache x.socket"));
  Start start = launcher({"--unit", own, "--listen-report", "fd:1", "true"});
  start.environment = {"XDG_RUNTIME_DIR=" + file("runtime"), "HOME=" + file("home")};
  const Result result = run(start);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, ::testing::AllOf(HasSubstr("\"unix:" + file("runtime/s") + "\""),
                                           HasSubstr("\"unix:" + file("home/.config/s") + "\""),
                                           HasSubstr("\"unix:" + file("home/s") + "\"")));
}

TEST_F(Unit, WithAcceptEachConnectionGetsARun) {
  const std::string unit = write(
      "echo.socket", "[Socket]\nListenStream=127.0.0.1:8090\nAccept=yes\nFileDescriptorName=not-used\n");
  Program chain(
      launcher({"--unit", unit, "--listen-report", "fd:1", "sh", "-c", "echo $LISTEN_FDNAMES >&3"}));
  chain.wait_for_out("sockets");
  EXPECT_EQ(Client("tcp:127.0.0.1:8090").receive(11), "connection\n");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().err, "");
}

TEST_F(Unit, WhatIsNotDoneOfItIsALineEach) {
  const std::string unit =
      write("x.socket",
            "[Unit]\nConditionUser=!root\n[Socket]\nListenStream=@x\nExecStartPost=/bin/true\n"
            "Frobnicate=yes\n[Other]\nA=b\n");
  const Result result = run(launcher({"--unit", unit, "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  const std::string each = "launcher: warning: " + unit;
  EXPECT_EQ(result.err, each + ":2: ConditionUser= is not checked\n" + each +
                            ":5: ExecStartPost= is not run\n" + each +
                            ":6: unknown key 'Frobnicate' in section [Socket]; ignored\n" + each +
                            ":7: unknown section [Other]; ignored\n");
}

TEST_F(Unit, WhatIsNoUnitIsRefusedInALine) {
  const auto expect = [&](const std::string& name, const std::string& why) {
    expect_refusal({"--unit", file(name), "true"}, "--unit " + file(name) + ": " + why);
  };
  expect("none.socket", "No such file or directory");
  expect("unit.service", "not a unit's NAME.socket");
  expect("sp ace.socket", "not a unit's NAME.socket");
  fs::create_directory(file("directory.socket"));
  expect("directory.socket", "not a regular file");
  ASSERT_EQ(::mkfifo(file("fifo.socket").c_str(), 0600), 0);
  expect("fifo.socket", "not a regular file");
  write("empty.socket", "");
  expect("empty.socket", "masked: it is empty, or /dev/null");
  fs::create_symlink("/dev/null", file("masked.socket"));
  expect("masked.socket", "masked: it is empty, or /dev/null");
  fs::create_symlink("/dev/zero", file("endless.socket"));
  expect("endless.socket", "not a regular file");
  write("zero.socket", std::string("[Socket]\nListenStream=80\0", 25));
  expect("zero.socket", "a zero byte");
  write("huge.socket", "[Socket]\nListenStream=80\n");
  fs::resize_file(file("huge.socket"), 100U << 20U);
  expect("huge.socket", "longer than 1 MiB");
  write("nothing.socket", "[Socket]\nAccept=no\n");
  expect("nothing.socket", "there is nothing to listen on (ListenStream=, ListenDatagram=, ...)");
  write("user.socket", "[Socket]\nListenStream=" + file("d/s") + "\nSocketUser=nobody-of-that-name\n");
  expect("user.socket", "unix:" + file("d/s") + ": there is no user nobody-of-that-name in /etc/passwd");
  write("number.socket", "[Socket]\nListenStream=" + file("d/s") + "\nSocketUser=4000000\n");
  expect("number.socket", "unix:" + file("d/s") + ": there is no user 4000000 in /etc/passwd");
  write("group.socket", "[Socket]\nListenStream=" + file("d/s") + "\nSocketGroup=4000000\n");
  expect("group.socket", "unix:" + file("d/s") + ": there is no group 4000000 in /etc/group");
  EXPECT_FALSE(fs::exists(file("d")));
  write("sctp.socket", "[Socket]\nListenStream=80\nSocketProtocol=sctp\n");
  expect("sctp.socket", file("sctp.socket") + ":3: fdchain cannot open SocketProtocol=sctp");
  expect_refusal({"--unit", "", "true"}, "--unit: its value is empty");
}

TEST_F(Unit, AGeneratedUnitIsWhatItWasMadeFrom) {
  const std::string echo =
      write("echo.socket", "[Socket]\nListenStream=" + file("s") + "\nSocketMode=0600\n");
  Start start = launcher({"generate", "systemd", "copy", "--unit", echo, "daemon"});
  EXPECT_THAT(run(start).out,
              HasSubstr("[Socket]\nListenStream=" + file("s") +
                        "\nFileDescriptorName=echo.socket\nSocketMode=0600\nRemoveOnStop=yes\n"));
}

// All that this machine's packages have, in places of their own.
std::vector<std::string> installed_units() {
  std::set<std::string> found;
  for (const char* const directory : {"/usr/lib/systemd/system", "/usr/lib/systemd/user"}) {
    for (const auto& entry : fs::directory_iterator(directory)) {
      std::string path = entry.path();
      if (!path.ends_with(".socket")) continue;
      if (const std::size_t at = path.find("@.socket"); at != std::string::npos) path.insert(at + 1, "one");
      found.insert(path);
    }
  }
  return {found.begin(), found.end()};
}

std::size_t listeners_in(const std::string& unit) {
  const std::string path = std::regex_replace(unit, std::regex("@one"), "@");
  std::ifstream file(path);
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) count += line.starts_with("Listen") ? 1U : 0U;
  return count;
}

// Directories of its own for whatever a unit wants to make, and the devices that everybody has.
constexpr const char* in_own_places = R"(
for place in /run /var/lib /var/log /dev; do mount -t tmpfs none $place || exit 1; done
mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/zero c 1 5 || exit 1
exec "$@")";

TEST_F(Unit, EveryInstalledOneIsOpened) {
  const std::vector<std::string> units = installed_units();
  ASSERT_FALSE(units.empty());
  const std::regex documented(
      "launcher: warning: [^ ]+:[0-9]+: (Exec\\w+= is not run|Condition\\w+= is not checked)");
  for (const std::string& unit : units) {
    Start start = launcher({"--unit", unit, "payload", "report"});
    start.argv.insert(start.argv.begin(), {"unshare", "-m", "sh", "-c", in_own_places, "sh"});
    const Result result = run(start);
    if (result.err.find("/dev/rfkill: open: No such file or directory") != std::string::npos) continue;
    std::istringstream lines(result.err);
    for (std::string line; std::getline(lines, line);)
      EXPECT_TRUE(std::regex_match(line, documented)) << line;
    ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << unit;
    EXPECT_EQ(PayloadReport(result.out).adopted(), static_cast<int>(listeners_in(unit))) << unit;
  }
}

// What a payload can see of its sockets.
constexpr const char* look = R"(
import os, socket as s, stat, struct, sys
options = {n: (l, o) for n, l, o in [
  ("v6only", s.IPPROTO_IPV6, s.IPV6_V6ONLY), ("freebind", s.IPPROTO_IP, 15), ("freebind6", s.IPPROTO_IPV6, 78),
  ("transparent", s.IPPROTO_IP, 19), ("transparent6", s.IPPROTO_IPV6, 75), ("reuseport", s.SOL_SOCKET, s.SO_REUSEPORT),
  ("device", s.SOL_SOCKET, 62), ("nodelay", s.IPPROTO_TCP, s.TCP_NODELAY), ("keepalive", s.SOL_SOCKET, s.SO_KEEPALIVE),
  ("keepidle", s.IPPROTO_TCP, s.TCP_KEEPIDLE), ("keepintvl", s.IPPROTO_TCP, s.TCP_KEEPINTVL),
  ("keepcnt", s.IPPROTO_TCP, s.TCP_KEEPCNT), ("defer", s.IPPROTO_TCP, s.TCP_DEFER_ACCEPT),
  ("broadcast", s.SOL_SOCKET, s.SO_BROADCAST), ("passcred", s.SOL_SOCKET, s.SO_PASSCRED),
  ("passsec", s.SOL_SOCKET, s.SO_PASSSEC), ("pktinfo", s.IPPROTO_IP, 8), ("pktinfo6", s.IPPROTO_IPV6, 49),
  ("nlpktinfo", 270, 3), ("timestamp", s.SOL_SOCKET, 29), ("timestampns", s.SOL_SOCKET, 35),
  ("rcvbuf", s.SOL_SOCKET, s.SO_RCVBUF), ("sndbuf", s.SOL_SOCKET, s.SO_SNDBUF),
  ("priority", s.SOL_SOCKET, s.SO_PRIORITY), ("mark", s.SOL_SOCKET, s.SO_MARK), ("tos", s.IPPROTO_IP, s.IP_TOS),
  ("ttl", s.IPPROTO_IP, s.IP_TTL), ("hops", s.IPPROTO_IPV6, 16), ("listening", s.SOL_SOCKET, s.SO_ACCEPTCONN),
  ("domain", s.SOL_SOCKET, 39), ("type", s.SOL_SOCKET, s.SO_TYPE), ("protocol", s.SOL_SOCKET, 38)]}
def of(path):
  if not path or path[0] != "/" or not os.path.lexists(path): return ""
  st = os.lstat(path)
  link = " -> " + os.readlink(path) if stat.S_ISLNK(st.st_mode) else ""
  return "%s %o %d %d%s\n" % (path, st.st_mode, st.st_uid, st.st_gid, link)
out = open(sys.argv[1] + ".new", "w")
print(os.environ.get("LISTEN_FDNAMES"), file=out)
for fd in range(3, 3 + int(os.environ["LISTEN_FDS"])):
  import fcntl
  print(fd, stat.S_IFMT(os.fstat(fd).st_mode), fcntl.fcntl(fd, fcntl.F_GETFL), file=out)
  if stat.S_ISFIFO(os.fstat(fd).st_mode): print("pipe", fcntl.fcntl(fd, 1032), file=out)
  if not stat.S_ISSOCK(os.fstat(fd).st_mode): continue
  sock = s.socket(fileno=fd)
  name = sock.getsockname()
  print(name[1] if sock.family == s.AF_NETLINK else name, file=out)
  for n, (l, o) in options.items():
    try: print(" ", n, sock.getsockopt(l, o), file=out)
    except OSError as e: print(" ", n, "-", file=out)
  try: print("  congestion", sock.getsockopt(s.IPPROTO_TCP, 13, 16), file=out)
  except OSError: pass
for path in sys.argv[2:]: out.write(of(path))
out.close()
os.rename(sys.argv[1] + ".new", sys.argv[1])
)";

struct Same {
  std::string label;
  std::string text;  ///< of the unit; @ is a directory of the test's
};

void PrintTo(const Same& same, std::ostream* out) { *out << same.label; }

class SameAsSystemd : public Unit, public ::testing::WithParamInterface<Same> {
 protected:
  void TearDown() override {
    manager_.end();
    Unit::TearDown();
  }

  // What the payload writes, by whichever activator it is started.
  std::vector<std::string> payload(const std::string& out) const {
    std::vector<std::string> words{"/usr/bin/python3", file("look.py"), out};
    for (const char* const name : {"d", "d/e", "d/e/s", "d/e/t", "d/f", "links", "links/one"})
      words.push_back(file("sockets/" + std::string(name)));
    return words;
  }

  UserManager manager_{file("systemd")};
};

TEST_P(SameAsSystemd, APayloadSeesTheSame) {
  write("look.py", look);
  const std::string text = "[Socket]\n" +
                           std::regex_replace(GetParam().text, std::regex("@D"), file("sockets")) +
                           "RemoveOnStop=yes\n";
  std::string command;
  for (const std::string& word : payload(file("by-systemd"))) command += word + ' ';
  manager_.write_unit("x.socket", text);
  manager_.write_unit("x.service", "[Service]\nType=oneshot\nExecStart=" + command + "\n");
  manager_.reload();
  manager_.must({"start", "x.socket"});
  manager_.must({"start", "x.service"});
  manager_.must({"stop", "x.socket"});
  fs::remove_all(file("sockets"));
  std::vector<std::string> words{"--unit", manager_.unit_directory() + "/x.socket"};
  for (const std::string& word : payload(file("by-launcher"))) words.push_back(word);
  const Result result = run(launcher(words));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(read_file(file("by-launcher")), read_file(file("by-systemd")));
  EXPECT_THAT(read_file(file("by-systemd")), HasSubstr("3 "));
}

class ConnectionSameAsSystemd : public SameAsSystemd {};

TEST_P(ConnectionSameAsSystemd, APayloadSeesTheSame) {
  const std::string socket = "[Socket]\n" +
                             std::regex_replace(GetParam().text, std::regex("@D"), file("sockets")) +
                             "Accept=yes\nRemoveOnStop=yes\n";
  const std::string address = std::regex_replace(GetParam().label, std::regex("@D"), file("sockets"));
  const std::string script = "echo $LISTEN_FDS $LISTEN_FDNAMES $REMOTE_ADDR ${REMOTE_PORT:+port} >&3";
  manager_.write_unit("x.socket", socket);
  manager_.write_unit("x@.service", "[Service]\nExecStart=sh -c '" +
                                        std::regex_replace(script, std::regex("\\$"), "$$$$") + "'\n");
  manager_.reload();
  manager_.must({"start", "x.socket"});
  const std::string by_systemd = Client(address).receive(100);
  manager_.must({"stop", "x.socket"});
  Program chain(launcher(
      {"--unit", manager_.unit_directory() + "/x.socket", "--listen-report", "fd:1", "sh", "-c", script}));
  chain.wait_for_out("sockets");
  EXPECT_EQ(Client(address).receive(100), by_systemd);
  EXPECT_THAT(by_systemd, ::testing::StartsWith("1 connection"));
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().err, "");
}

INSTANTIATE_TEST_SUITE_P(All, ConnectionSameAsSystemd,
                         ::testing::Values(Same{"tcp:127.0.0.1:8090", "ListenStream=8090\n"},
                                           Same{"tcp:[::1]:8090", "ListenStream=8090\n"},
                                           Same{"unix:@D/s", "ListenStream=@D/s\nSocketMode=0600\n"}));

INSTANTIATE_TEST_SUITE_P(
    All, SameAsSystemd,
    ::testing::Values(
        Same{"tcp",
             "ListenStream=[::]:8090\nListenStream=127.0.0.1:8081\nBindIPv6Only=ipv6-only\nNoDelay="
             "yes\nKeepAlive=yes\n"
             "KeepAliveTimeSec=99\nKeepAliveIntervalSec=9\nKeepAliveProbes=4\nDeferAcceptSec=5\nReusePort="
             "yes\n"
             "FreeBind=yes\nTransparent=yes\nReceiveBuffer=64K\nSendBuffer=128M\nPriority=3\nMark=7\nIPTOS="
             "low-delay\n"
             "IPTTL=9\nTCPCongestion=reno\nBacklog=5\nFileDescriptorName=web\nBindToDevice=lo\n"},
        Same{"tcp_as_it_is", "ListenStream=8090\nListenStream=127.0.0.1:8081\nListenStream=[::1]:8082\n"},
        Same{"both_families", "ListenStream=8090\nBindIPv6Only=both\n"},
        Same{"udp",
             "ListenDatagram=127.0.0.1:8090\nListenDatagram=[::1]:8081\nBroadcast=yes\nPassPacketInfo=yes\n"
             "Timestamping=us\nReceiveBuffer=1M\nIPTTL=3\n"},
        Same{"unix",
             "ListenStream=@D/d/e/s\nListenDatagram=@D/d/e/"
             "t\nListenSequentialPacket=@abstract-unit\nSocketMode=0640\n"
             "DirectoryMode=0750\nSocketUser=daemon\nSocketGroup=adm\nPassCredentials=yes\nPassSecurity=yes\n"
             "Timestamping=ns\nReceiveBuffer=8M\n"},
        Same{"owner", "ListenStream=@D/d/e/s\nSocketUser=daemon\nSymlinks=@D/links/one\n"},
        Same{"fifo", "ListenFIFO=@D/d/f\nPipeSize=16K\nSocketMode=0640\nSocketGroup=adm\n"},
        Same{"netlink",
             "ListenNetlink=route 1361\nListenNetlink=kobject-uevent "
             "4\nPassCredentials=yes\nPassPacketInfo=yes\n"
             "ReceiveBuffer=128M\n"},
        Same{"special", "ListenSpecial=/dev/ptmx\nWritable=yes\n"}),
    [](const auto& param_info) { return param_info.param.label; });

}  // namespace
}  // namespace fdchain::test
