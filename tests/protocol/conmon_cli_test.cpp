#include "fdchain/protocol/conmon_cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

using ::testing::ElementsAre;
using Words = std::vector<std::string>;

ConmonOptions parsed(const Words& words) { return std::get<ConmonOptions>(parse_conmon_options(words)); }

ConmonRefusal refused(const Words& words) { return std::get<ConmonRefusal>(parse_conmon_options(words)); }

// The words of `podman run -d` 4.3.1, sockets included.
const Words of_podman{"--api-version",
                      "1",
                      "-c",
                      "abc",
                      "-u",
                      "abc",
                      "-r",
                      "/usr/bin/crun",
                      "-b",
                      "/b",
                      "-p",
                      "/b/pidfile",
                      "-n",
                      "web",
                      "--exit-dir",
                      "/exits",
                      "--full-attach",
                      "-s",
                      "-l",
                      "k8s-file:/b/ctr.log",
                      "--log-level",
                      "warning",
                      "--syslog",
                      "--runtime-arg",
                      "--log-format=json",
                      "--runtime-arg",
                      "--log",
                      "--runtime-arg=/b/oci-log",
                      "--timeout=5",
                      "-t",
                      "--conmon-pidfile",
                      "/b/conmon.pid",
                      "--exit-command",
                      "/usr/bin/podman",
                      "--exit-command-arg",
                      "--root",
                      "--exit-command-arg",
                      "/r",
                      "--runtime-opt",
                      "--preserve-fds",
                      "--runtime-opt",
                      "2"};

ConmonOptions as_podman_means() {
  ConmonOptions options;
  options.api_version = true;
  options.cid = options.cuuid = "abc";
  options.runtime = "/usr/bin/crun";
  options.bundle = "/b";
  options.container_pidfile = "/b/pidfile";
  options.name = "web";
  options.exit_dir = "/exits";
  options.full_attach = options.systemd_cgroup = options.syslog = options.terminal = true;
  options.log_paths = {"k8s-file:/b/ctr.log"};
  options.log_level = "warning";
  options.runtime_args = {"--log-format=json", "--log", "/b/oci-log"};
  options.timeout = 5;
  options.conmon_pidfile = "/b/conmon.pid";
  options.exit_command = "/usr/bin/podman";
  options.exit_command_args = {"--root", "/r"};
  options.runtime_opts = {"--preserve-fds", "2"};
  return options;
}

TEST(ConmonCli, PodmansWordsAreRead) { EXPECT_EQ(parsed(of_podman), as_podman_means()); }

TEST(ConmonCli, EncodedOptionsAreReadAgain) {
  EXPECT_EQ(parsed(encode(as_podman_means())), as_podman_means());
  ConmonOptions rare;
  rare.exec = rare.exec_attach = rare.sync = rare.no_sync_log = rare.leave_stdin_open = rare.in = true;
  rare.no_pivot = rare.no_new_keyring = rare.replace_listen_pid = rare.log_rotate = true;
  rare.no_container_partial_message = rare.version = true;
  rare.log_size_max = -1;
  rare.log_global_size_max = 1LL << 40;
  rare.log_max_files = rare.exit_delay = 3;
  rare.log_labels = {"A=1", "B=2"};
  rare.log_allowlist_dirs = {"/var/log"};
  rare.log_tag = rare.persist_dir = rare.sdnotify_socket = rare.exec_process_spec = "--cid";
  rare.restore = rare.socket_dir_path = rare.seccomp_notify_socket = rare.seccomp_notify_plugins = "";
  EXPECT_EQ(parsed(encode(rare)), rare);
}

TEST(ConmonCli, BothFormsOfAValueAndFlagsInOneWord) {
  ConmonOptions expected;
  expected.terminal = expected.in = true;
  expected.cid = "x=y";
  expected.timeout = 16;
  EXPECT_EQ(parsed({"-it", "--cid=x=y", "-T", "0x10"}), expected);
  EXPECT_EQ(parsed({"-itc", "x=y", "--timeout", "16"}), expected);
  EXPECT_EQ(parsed({"-c", "first", "--stdin=whatever", "stray", "-", "-t", "-T", "16", "--cid", "x=y"}),
            expected)
      << "stray words are passed over, a flag's value is not looked at, the last of two counts";
  EXPECT_EQ(parsed({"-it", "-T", "16", "--cid", "x=y", "--", "--bogus"}), expected);
}

TEST(ConmonCli, TheOldNamesMeanTheSame) {
  EXPECT_EQ(parsed({"--pidfile", "/p", "--restore-arg", "--x"}),
            parsed({"--container-pidfile", "/p", "--runtime-opt", "--x"}));
}

TEST(ConmonCli, WhatGOptionRefusesIsSaidOnStdout) {
  for (const Words& words : std::vector<Words>{{"--bogus"},
                                               {"-cx"},
                                               {"-Z"},
                                               {"--c", "x"},
                                               {"-c"},
                                               {"--cid"},
                                               {"-cu", "x"},
                                               {"--timeout", "abc"},
                                               {"--timeout="},
                                               {"--timeout", "99999999999"},
                                               {"--timeout", "5x"},
                                               {"--log-size-max", "99999999999999999999"}}) {
    const ConmonRefusal refusal = refused(words);
    EXPECT_TRUE(refusal.on_stdout) << words.front();
    EXPECT_THAT(refusal.text, ::testing::StartsWith("conmon: option parsing failed: ")) << words.front();
  }
}

TEST(ConmonCli, WhatConmonAsksOfItsOptions) {
  const auto why = [](const Words& words) {
    const auto refusal = check_conmon_options(parsed(words), [](const std::string& path) {
      return path == "/none" ? std::optional<std::string>("No such file or directory") : std::nullopt;
    });
    return refusal && !refusal->on_stdout ? refusal->text : "";
  };
  EXPECT_EQ(why({"-u", "x"}), "conmon: Container ID not provided. Use --cid");
  EXPECT_EQ(why({"-c", "x"}), "[conmon:e] Container UUID not provided. Use --cuuid");
  EXPECT_EQ(why({"-c", "x", "-u", "x"}), "[conmon:e] Runtime path not provided. Use --runtime");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r"}), "");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "--log-level", "loud"}),
            "[conmon:e]: No such log level loud");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "--log-level", "DEBUG"}), "");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "-e"}),
            "[conmon:e] Exec process spec path not provided. Use --exec-process-spec");
  EXPECT_EQ(why({"-c", "x", "-r", "/r", "-e", "--exec-process-spec", "/s"}), "")
      << "legacy exec needs no UUID";
  EXPECT_EQ(why({"-c", "x", "-r", "/r", "-e", "--exec-process-spec", "/s", "--api-version"}),
            "[conmon:e] Container UUID not provided. Use --cuuid");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "-e", "--restore", "/i"}),
            "[conmon:e] Cannot use 'exec' and 'restore' at the same time");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "--exec-attach"}),
            "[conmon:e] Attach can only be specified with exec");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "-e", "--exec-process-spec", "/s", "--exec-attach"}),
            "[conmon:e] Attach can only be specified for a non-legacy exec session");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/r", "--exit-delay", "-1"}),
            "[conmon:e] Delay before invoking exit command must be greater than or equal to 0");
  EXPECT_EQ(why({"-c", "x", "-u", "x", "-r", "/none", "-e", "--exit-delay", "-1"}),
            "[conmon:e]: Runtime path /none is not valid No such file or directory")
      << "before what is asked of exec sessions and logs";
}

// As conmon 2.2 does, before it asks for anything else.
TEST(ConmonCli, HowManyOldLogsAreKept) {
  const auto why = [](const Words& words) {
    const auto refusal = check_conmon_options(parsed(words), [](const auto&) { return std::nullopt; });
    return refusal ? refusal->text : "";
  };
  const std::string negative = "conmon: log-max-files must be non-negative, got -1";
  const std::string none = "conmon: log-max-files must be at least 1 when log-rotate is enabled, got 0";
  const std::string later = "conmon: Container ID not provided. Use --cid";
  EXPECT_EQ(why({"--log-rotate", "--log-max-files", "-1"}), negative);
  EXPECT_EQ(why({"--log-max-files", "-1"}), negative);
  EXPECT_EQ(why({"--log-rotate", "--log-max-files", "0"}), none);
  EXPECT_EQ(why({"--log-max-files", "0"}), later);
  EXPECT_EQ(why({"--log-rotate", "--log-max-files", "1"}), later);
  EXPECT_TRUE(refused({"--log-max-files", "2147483648"}).on_stdout);
}

TEST(ConmonCli, LabelsAreTheJournals) {
  const auto why = [](const std::string& label, const Words& paths = {"journald"}) {
    ConmonOptions options;
    options.cuuid = "0123456789abc";
    options.log_paths = paths;
    options.log_labels = {"GOOD_1=x y", label};
    const auto logs = parse_conmon_logs(options);
    const auto* const refusal = std::get_if<ConmonRefusal>(&logs);
    return refusal != nullptr ? refusal->text : "";
  };
  const std::string format = "[conmon:e]: Container labels must be in format LABEL=VALUE ";
  EXPECT_EQ(why("A=1"), "");
  EXPECT_EQ(why("A="), "");
  EXPECT_EQ(why("=1"), format + "(no LABEL present in '=1')");
  EXPECT_EQ(why("A"), format + "(none or more than one '=' present in 'A')");
  EXPECT_EQ(why("A=B=C"), format + "(none or more than one '=' present in 'A=B=C')");
  for (const std::string label : {"M%L=x", "a=x", "A =x"}) {
    EXPECT_EQ(why(label),
              "[conmon:e]: Container label names must contain only uppercase letters, numbers and underscore "
              "(in '" +
                  label + "')");
  }
  EXPECT_EQ(why("A=B=C", {"none"}), "") << "nobody looks at them";
  EXPECT_EQ(why("A=1", {"/a"}), "[conmon:e] k8s-file doesn't support --log-label");
}

TEST(ConmonCli, LogDrivers) {
  const auto logs = [](const Words& paths) {
    ConmonOptions options;
    options.cuuid = "0123456789abc";
    options.log_paths = paths;
    return parse_conmon_logs(options);
  };
  const auto file = [](const std::string& path) { return ConmonLogs{path, false, false}; };
  EXPECT_EQ(std::get<ConmonLogs>(logs({"k8s-file:/a"})), file("/a"));
  EXPECT_EQ(std::get<ConmonLogs>(logs({"k8s-file:/a:b"})), file("/a:b"));
  EXPECT_EQ(std::get<ConmonLogs>(logs({"/a"})), file("/a"));
  EXPECT_EQ(std::get<ConmonLogs>(logs({":none"})), file("none"));
  EXPECT_EQ(std::get<ConmonLogs>(logs({"none", "off", "null", "none:x"})), ConmonLogs());
  EXPECT_EQ(std::get<ConmonLogs>(logs({"journald:", "passthrough", "/a"})), (ConmonLogs{"/a", true, true}));
  for (const Words& paths : std::vector<Words>{{}, {""}, {":"}, {"k8s-file"}, {"k8s-file:"}, {"bogus:/a"}}) {
    EXPECT_FALSE(std::get<ConmonRefusal>(logs(paths)).on_stdout);
  }
  ConmonOptions options;
  options.cuuid = "012345678901";
  options.log_paths = {"journald"};
  EXPECT_TRUE(std::holds_alternative<ConmonRefusal>(parse_conmon_logs(options))) << "the id is too short";
  options.log_paths = {"/a"};
  options.log_tag = "t";
  EXPECT_TRUE(std::holds_alternative<ConmonRefusal>(parse_conmon_logs(options))) << "tags are the journal's";
}

TEST(ConmonCli, AnOptionIsKnownWhateverItsValue) {
  for (const auto* const word : {"--cid", "--cid=x", "-c", "-ti", "--api-version", "--log-label", "-0"})
    EXPECT_TRUE(is_conmon_option(word)) << word;
  for (const auto* const word : {"", "-", "--", "--ci", "-cx", "cid", "--exit-file", "--no-stdin", "--log"})
    EXPECT_FALSE(is_conmon_option(word)) << word;
}

TEST(ConmonCli, PodmanReadsTheVersion) {
  EXPECT_EQ(conmon_version("1.2.3"),
            "conmon version 2.1.6\ncommit: fdchain 1.2.3, whose monitor speaks as conmon 2.1.6 does\n");
}

TEST(ConmonCli, TheDescriptorsThatAreAnnouncedToTheRuntime) {
  const auto announced = [](const Words& words) {
    ConmonOptions options;
    options.runtime_opts = words;
    return announced_fds(options);
  };
  EXPECT_EQ(announced({}), 0);
  EXPECT_EQ(announced({"--preserve-fds", "2"}), 2);
  EXPECT_EQ(announced({"--x", "--preserve-fds=3"}), 3);
  EXPECT_EQ(announced({"--preserve-fds"}), 0);
  EXPECT_EQ(announced({"--preserve-fds", "18446744073709551615"}), 1 << 20) << "podman's LISTEN_FDS=-1";
  EXPECT_EQ(announced({"--preserve-fds", "-1"}), 0);
}

// As conmon 2.1.6 was seen to build them.
TEST(ConmonCli, TheRuntimesCommandLine) {
  ConmonOptions options;
  options.cid = "a";
  options.runtime = "/rt";
  EXPECT_THAT(runtime_command(options, "/b", "/p", ""),
              ElementsAre("/rt", "create", "--bundle", "/b", "--pid-file", "/p", "a"));
  options.systemd_cgroup = options.no_pivot = options.no_new_keyring = true;
  options.runtime_args = {"--x"};
  options.runtime_opts = {"--o"};
  EXPECT_THAT(runtime_command(options, "/b", "/p", "/t"),
              ElementsAre("/rt", "--systemd-cgroup", "--x", "create", "--bundle", "/b", "--pid-file", "/p",
                          "--no-pivot", "--no-new-keyring", "--o", "--console-socket", "/t", "a"));
  options.restore = "/img";
  EXPECT_THAT(runtime_command(options, "/b", "/p", ""),
              ElementsAre("/rt", "--systemd-cgroup", "--x", "restore", "--bundle", "/b", "--pid-file", "/p",
                          "--no-pivot", "--no-new-keyring", "--detach", "--image-path", "/img", "--work-path",
                          "/b", "--o", "a"));
  options.restore.reset();
  options.exec = options.terminal = true;
  options.exec_process_spec = "/s";
  EXPECT_THAT(runtime_command(options, "/b", "/p", "/t"),
              ElementsAre("/rt", "--x", "exec", "--pid-file", "/p", "--process", "/s", "--detach", "--tty",
                          "--o", "--console-socket", "/t", "a"));
}

}  // namespace
}  // namespace fdchain
