#include "fdchain/protocol/told.h"

#include <gtest/gtest.h>

#include <vector>

namespace fdchain {
namespace {

std::optional<int> told(const std::vector<std::string_view>& words) { return told_to_preserve(words); }

TEST(ToldToPreserve, IsFoundInEveryWayOfSayingIt) {
  EXPECT_EQ(told({"monitor", "--preserve-fds", "2", "--", "runtime"}), 2);
  EXPECT_EQ(told({"runc", "create", "--preserve-fds=3", "id"}), 3);
  EXPECT_EQ(told({"conmon", "--runtime-opt", "--preserve-fds", "--runtime-opt", "2"}), 2);
  EXPECT_EQ(told({"conmon", "--runtime-opt=--preserve-fds", "--runtime-opt=4"}), 4);
  EXPECT_EQ(told({"conmon", "--runtime-opt", "--preserve-fds=5"}), 5);
}

TEST(ToldToPreserve, IsNothingOtherwise) {
  EXPECT_EQ(told({}), std::nullopt);
  EXPECT_EQ(told({"monitor", "--", "runtime", "--preserve-fds", "2"}), std::nullopt) << "of the next hop";
  EXPECT_EQ(told({"monitor", "--preserve-fds"}), std::nullopt);
  EXPECT_EQ(told({"monitor", "--preserve-fds", "-1"}), std::nullopt);
  EXPECT_EQ(told({"monitor", "--preserve-fdsx", "1"}), std::nullopt);
}

TEST(ToldToCountSockets, IsWhoeverIsNotToldOfFdchainsHandshake) {
  const auto counts = [](std::vector<std::string_view> words) { return told_to_count_sockets(words); };
  EXPECT_TRUE(counts({"conmon", "-r", "/usr/bin/crun", "--runtime-opt", "--preserve-fds"}));
  EXPECT_TRUE(counts({"runc", "create", "id"}));
  EXPECT_TRUE(counts({"monitor", "--sync-fdx", "1", "--", "shim", "--sync-fd", "5"})) << "of the next hop";
  EXPECT_FALSE(counts({"monitor", "--runtime-sync-fd", "5", "--", "shim"}));
  EXPECT_FALSE(counts({"shim", "--sync-fd=5", "--", "true"}));
}

TEST(ToldToReplaceListenPid, IsAWordOfItsOwn) {
  const std::vector<std::string_view> words{"conmon", "--replace-listen-pid", "--", "x"};
  EXPECT_TRUE(told_to_replace_listen_pid(words));
  const std::vector<std::string_view> others{"monitor", "--", "--replace-listen-pid"};
  EXPECT_FALSE(told_to_replace_listen_pid(others));
}

TEST(ToldToKeepSockets, IsThePodmanThatServesItsApi) {
  const auto told = [](std::vector<std::string_view> words) { return told_to_keep_sockets(words); };
  EXPECT_TRUE(told({"podman", "system", "service"}));
  EXPECT_TRUE(
      told({"/usr/bin/podman", "--runtime", "runc", "--log-level=info", "system", "service", "-t", "5"}));
  EXPECT_FALSE(told({"podman", "run", "image", "system", "service"}));
  EXPECT_FALSE(told({"podman", "--root", "x", "exec", "c", "system", "service"}));
  EXPECT_FALSE(told({"podman", "system", "df"}));
  EXPECT_FALSE(told({"podman", "system"}));
  EXPECT_FALSE(told({}));
}

TEST(ToldToRelayNotifications, IsAnOptionWithItsSocketInEitherForm) {
  const auto told = [](std::vector<std::string_view> words) { return told_to_relay_notifications(words); };
  EXPECT_TRUE(told({"conmon", "--sdnotify-socket", "/run/notify"}));
  EXPECT_TRUE(told({"conmon", "--sdnotify-socket=/run/notify"}));
  EXPECT_FALSE(told({"monitor", "--", "--sdnotify-socket", "/run/notify"}));
}

}  // namespace
}  // namespace fdchain
