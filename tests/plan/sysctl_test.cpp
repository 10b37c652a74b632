#include "fdchain/plan/sysctl.h"

#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

oci::Config with_all_namespaces() {
  oci::Config config;
  config.linux_.namespaces = {{"network", ""}, {"ipc", ""}, {"uts", ""}, {"mount", ""}, {"user", ""}};
  return config;
}

std::string refusal(const oci::Config& config, const std::string& name) {
  try {
    return "accepted as " + sysctl_path(config, name);
  } catch (const Failure& failure) {
    return failure.what();
  }
}

TEST(Sysctl, IsAFileOfANamespace) {
  const oci::Config config = with_all_namespaces();
  EXPECT_EQ(sysctl_path(config, "net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(sysctl_path(config, "net/ipv4/ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(sysctl_path(config, "net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(sysctl_path(config, "net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(sysctl_path(config, "fs.mqueue.msg_max"), "fs/mqueue/msg_max");
  EXPECT_EQ(sysctl_path(config, "kernel.domainname"), "kernel/domainname");
  for (const auto* const name :
       {"msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"})
    EXPECT_EQ(sysctl_path(config, std::string("kernel.") + name), std::string("kernel/") + name);
}

TEST(Sysctl, OfTheMachineIsRefused) {
  for (const auto* const name :
       {"kernel.core_pattern", "kernel.msg_next_id", "kernel.shm_next_id", "kernel.sem_next_id", "kernel.shm",
        "vm.overcommit_memory", "user.max_user_namespaces", "fs.file-max", "net", "kernel", "",
        // Out of the directory of the namespace's own.
        "net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net/./ipv4", "net./.ipv4", "net..ipv4",
        "net.ipv4.", "net/", "/net/ipv4", ".net.ipv4", "fs.mqueue.//.file-max"})
    EXPECT_EQ(refusal(with_all_namespaces(), name),
              std::string("linux.sysctl: ") + name + ": not a parameter of a namespace");
}

TEST(Sysctl, WithoutANewNamespaceIsTheHosts) {
  oci::Config config;
  config.linux_.namespaces = {{"network", "/proc/1/ns/net"}, {"mount", ""}};
  for (const auto& [name, owner] :
       {std::pair{"net.core.somaxconn", "network"}, std::pair{"kernel.sem", "ipc"},
        std::pair{"fs.mqueue.msg_max", "ipc"}, std::pair{"kernel.domainname", "uts"}})
    EXPECT_EQ(refusal(config, name), std::string("linux.sysctl: ") + name +
                                         ": it is the host's, without a new " + owner + " namespace");
}

TEST(Sysctl, WithAPropertyOfItsOwnIsRefused) {
  oci::Config config = with_all_namespaces();
  EXPECT_EQ(refusal(config, "kernel.hostname"),
            "linux.sysctl: kernel.hostname: the property hostname sets it");
  EXPECT_EQ(refusal(config, "kernel/hostname"),
            "linux.sysctl: kernel/hostname: the property hostname sets it");
  config.domainname = "example.org";
  EXPECT_EQ(refusal(config, "kernel.domainname"),
            "linux.sysctl: kernel.domainname: the property domainname sets it");
}

}  // namespace
}  // namespace fdchain
