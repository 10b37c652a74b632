// The command line of an OCI runtime, and the state that one call leaves for the next.

#include "fdchain/protocol/oci_cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "fdchain/model/failure.h"
#include "fdchain/protocol/oci_state.h"

namespace fdchain::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

std::string refusal(const Words& words) {
  try {
    decode_command(words);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(OciCli, TheVerbIsFoundAmongTheWordsOfAnyRuntime) {
  EXPECT_EQ(oci::verb_in({"runc", "--root", "/run/start", "--log=x", "create", "--bundle", "b", "kill"}),
            "create");
  EXPECT_EQ(oci::verb_in({"/bin/sh", "/usr/bin/crun", "--debug", "exec", "id"}), "exec");
  EXPECT_EQ(oci::verb_in({"runc", "--criu", "delete", "restore", "id"}), "restore");
  EXPECT_EQ(oci::verb_in({"crun", "--", "create"}), "");
  EXPECT_EQ(oci::verb_in({}), "");
}

TEST(OciCommandLine, ConmonsCreateIsUnderstood) {
  const Command command =
      decode_command({"--systemd-cgroup", "--log-format=json", "--log", "/l", "--cgroup-manager", "disabled",
                      "create", "--bundle", "/b", "--pid-file", "/p", "--no-pivot", "--no-new-keyring",
                      "--preserve-fds", "2", "--console-socket", "/s", "c1"});
  Command expected;
  expected.verb = Verb::create;
  expected.systemd_cgroup = true;
  expected.log_format = "json";
  expected.log = "/l";
  expected.cgroup_manager = "disabled";
  expected.bundle = "/b";
  expected.pid_file = "/p";
  expected.no_pivot = true;
  expected.no_new_keyring = true;
  expected.preserve_fds = 2;
  expected.console_socket = "/s";
  expected.id = "c1";
  EXPECT_EQ(command, expected);
  EXPECT_EQ(decode_command(encode(command)), command);
}

TEST(OciCommandLine, ConmonsExecIsUnderstood) {
  const Command command = decode_command(
      {"exec", "--pid-file", "/p", "--process", "/f", "--detach", "--preserve-fds", "1", "--tty", "c1"});
  EXPECT_EQ(command.process_file, "/f");
  EXPECT_TRUE(command.detach && command.tty);
  EXPECT_EQ(command.preserve_fds, 1);
  EXPECT_EQ(decode_command(encode(command)), command);
}

TEST(OciCommandLine, TheProgramOfExecKeepsItsOwnWords) {
  const Command command =
      decode_command({"exec", "-dt", "-u1:2", "-e", "A=b", "c1", "ls", "-d", "--", "--all"});
  EXPECT_EQ(command.id, "c1");
  EXPECT_EQ(command.user, "1:2");
  EXPECT_THAT(command.args, ElementsAre("ls", "-d", "--", "--all"));
  EXPECT_EQ(decode_command(encode(command)), command);
}

TEST(OciCommandLine, OptionsMayFollowTheId) {
  EXPECT_EQ(decode_command({"run", "c1", "--bundle=/b"}).bundle, "/b");
  EXPECT_TRUE(decode_command({"delete", "c1", "-f"}).force);
  const Command kill = decode_command({"kill", "--all", "c1", "9"});
  EXPECT_TRUE(kill.all);
  EXPECT_EQ(kill.signal, "9");
  EXPECT_EQ(decode_command({"kill", "c1"}).signal, "TERM");
}

TEST(OciCommandLine, WhatIsWrongIsNamed) {
  EXPECT_EQ(refusal({"frob"}), "frob: unknown command; see --help");
  EXPECT_EQ(refusal({"create"}), "the container's ID is missing; see --help");
  EXPECT_EQ(refusal({"create", "a", "b"}), "b: one word too many");
  EXPECT_EQ(refusal({"create", "--all", "a"}), "--all: unknown option");
  EXPECT_EQ(refusal({"create", "-z", "a"}), "-z: unknown option");
  EXPECT_EQ(refusal({"create", "--bundle"}), "--bundle: its value is missing");
  EXPECT_EQ(refusal({"create", "--preserve-fds", "-1", "a"}),
            "--preserve-fds -1: not a number from 0 to 65536");
  EXPECT_EQ(refusal({"--log-format", "xml", "list"}), "--log-format xml: neither text nor json");
  EXPECT_EQ(refusal({"pause", "a"}),
            "pause: not carried out by this runtime: it needs cgroups or checkpoints, and makes neither");
  EXPECT_EQ(refusal({"--debug"}), "no command; see --help");
}

TEST(OciCommandLine, HelpIsAboutTheVerb) {
  const Command command = decode_command({"exec", "--help"});
  EXPECT_EQ(command.verb, Verb::help);
  EXPECT_EQ(command.help_about, Verb::exec);
  EXPECT_THAT(usage(command.help_about), HasSubstr("--process FILE"));
  EXPECT_THAT(usage(Verb::state), Not(HasSubstr("--process FILE")));
  EXPECT_THAT(usage(std::nullopt), HasSubstr("--cgroup-manager NAME"));
}

TEST(OciDialect, IsToldByTheCommandLineAlone) {
  for (const Words& words : {Words{"run", "-b", "x", "id"}, Words{"--root", "/x", "state", "id"},
                             Words{"--log=/x", "--debug", "list"}, Words{"--version"}, Words{"-v"},
                             Words{"pause", "x"}, Words{"--systemd-cgroup", "create"},
                             // Wrong, and this dialect's to say so: the native one has no such options.
                             Words{"--root", "run", "payload"}, Words{"--debug", "frob"},
                             Words{"--log", "/x", "--nope", "list"}, Words{"--debug", "-x", "list"}}) {
    EXPECT_TRUE(is_command_line(words)) << ::testing::PrintToString(words);
  }
  for (const Words& words :
       {Words{}, Words{"--", "run"}, Words{"payload"}, Words{"--sync-fd", "5", "--", "list"},
        Words{"--workdir", "/", "state"}, Words{"--help"}, Words{"./run"}, Words{"-x", "run"},
        Words{"--root", "/x", "--", "run"}}) {
    EXPECT_FALSE(is_command_line(words)) << ::testing::PrintToString(words);
  }
}

TEST(OciSignal, IsANumberOrAName) {
  EXPECT_EQ(parse_signal("9"), SIGKILL);
  EXPECT_EQ(parse_signal("KILL"), SIGKILL);
  EXPECT_EQ(parse_signal("SIGTERM"), SIGTERM);
  EXPECT_EQ(parse_signal("sigterm"), SIGTERM);
  EXPECT_EQ(parse_signal("kill"), SIGKILL);
  EXPECT_EQ(parse_signal("0"), 0);
  EXPECT_EQ(parse_signal("RTMIN+3"), SIGRTMIN + 3);
  EXPECT_EQ(parse_signal("SIGRTMAX-1"), SIGRTMAX - 1);
  for (const auto* const bad : {"65", "-9", "nope", "", "SIG", "RTMIN-1", "RTMAX+1", "RTMIN3", "9x"}) {
    EXPECT_EQ(parse_signal(bad), std::nullopt) << bad;
  }
}

TEST(OciState, WhatIsWrittenIsRead) {
  const State state{"c1",   4711,        123456789012ULL, "/b \"x\"", "/r", "2026-01-01T00:00:00.000000Z",
                    "root", {{"a", "b"}}};
  EXPECT_EQ(decode_state(encode(state), "state.json"), state);
  EXPECT_THROW(decode_state("{}", "state.json"), Failure);
  EXPECT_THROW(decode_state("", "state.json"), Failure);
}

TEST(OciState, IsToldAsTheSpecificationWantsIt) {
  const State state{"c1", 4711, 5, "/b", "/r", "T", "root", {{"a", "b"}}};
  EXPECT_EQ(describe(state, Status::created, false),
            R"({"ociVersion":"1.0.2","id":"c1","pid":4711,"status":"created","bundle":"/b","rootfs":"/r",)"
            R"("created":"T","owner":"root","annotations":{"a":"b"}})");
  EXPECT_EQ(
      describe({"c1", 4711, 5, "/b", "/r", "T", "root", {}}, Status::stopped, true),
      "{\n  \"ociVersion\": \"1.0.2\",\n  \"id\": \"c1\",\n  \"pid\": 0,\n  \"status\": \"stopped\",\n"
      "  \"bundle\": \"/b\",\n  \"rootfs\": \"/r\",\n  \"created\": \"T\",\n  \"owner\": \"root\"\n}\n");
}

TEST(OciId, NamesADirectoryAndNothingElse) {
  for (const std::string& good : Words{"a", "A-b_c+d.e", "...", std::string(200, 'x')}) {
    EXPECT_EQ(problem_of_id(good), "") << good;
  }
  for (const std::string& bad :
       Words{"", ".", "..", "a/b", "../x", "a b", "a\nb", "ü", std::string(201, 'x')}) {
    EXPECT_NE(problem_of_id(bad), "") << bad;
  }
}

}  // namespace
}  // namespace fdchain::oci
