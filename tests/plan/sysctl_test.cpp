#include "fdchain/plan/sysctl.h"

#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

const std::vector<std::string> all{"network", "ipc", "uts", "mount", "user"};

std::string refusal(const oci::Config& config, const std::vector<std::string>& own, const std::string& name) {
  try {
    return "accepted as " + sysctl_path(config, own, name);
  } catch (const Failure& failure) {
    return failure.what();
  }
}

TEST(Sysctl, IsAFileOfANamespace) {
  const oci::Config config;
  EXPECT_EQ(sysctl_path(config, all, "net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(sysctl_path(config, all, "net/ipv4/ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(sysctl_path(config, all, "net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(sysctl_path(config, all, "net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(sysctl_path(config, all, "fs.mqueue.msg_max"), "fs/mqueue/msg_max");
  EXPECT_EQ(sysctl_path(config, all, "kernel.domainname"), "kernel/domainname");
  for (const auto* const name :
       {"msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"})
    EXPECT_EQ(sysctl_path(config, all, std::string("kernel.") + name), std::string("kernel/") + name);
}

TEST(Sysctl, OfTheMachineIsRefused) {
  for (const auto* const name :
       {"kernel.core_pattern", "kernel.msg_next_id", "kernel.shm_next_id", "kernel.sem_next_id", "kernel.shm",
        "vm.overcommit_memory", "user.max_user_namespaces", "fs.file-max", "net", "kernel", "",
        // Out of the directory of the namespace's own.
        "net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net/./ipv4", "net./.ipv4", "net..ipv4",
        "net.ipv4.", "net/", "/net/ipv4", ".net.ipv4", "fs.mqueue.//.file-max"})
    EXPECT_EQ(refusal({}, all, name),
              std::string("linux.sysctl: ") + name + ": not a parameter of a namespace");
}

TEST(Sysctl, WithoutANamespaceOfTheContainersIsTheHosts) {
  for (const auto& [name, owner] :
       {std::pair{"net.core.somaxconn", "network"}, std::pair{"kernel.sem", "ipc"},
        std::pair{"fs.mqueue.msg_max", "ipc"}, std::pair{"kernel.domainname", "uts"}})
    EXPECT_EQ(refusal({}, {"mount", "user"}, name), std::string("linux.sysctl: ") + name +
                                                        ": it would be the host's, without a " + owner +
                                                        " namespace of the container's own");
}

TEST(Sysctl, WithAPropertyOfItsOwnIsRefused) {
  oci::Config config;
  EXPECT_EQ(refusal(config, all, "kernel.hostname"),
            "linux.sysctl: kernel.hostname: the property hostname sets it");
  EXPECT_EQ(refusal(config, all, "kernel/hostname"),
            "linux.sysctl: kernel/hostname: the property hostname sets it");
  config.domainname = "example.org";
  EXPECT_EQ(refusal(config, all, "kernel.domainname"),
            "linux.sysctl: kernel.domainname: the property domainname sets it");
}

}  // namespace
}  // namespace fdchain
