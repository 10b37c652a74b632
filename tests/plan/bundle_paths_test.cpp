#include "fdchain/plan/bundle_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

TEST(BundlePaths, ARelativeSourceOfABindMountStartsFromTheBundle) {
  std::vector<oci::Mount> mounts{
      {"/a", "bind", "data", {}, false},         {"/b", "", "../up", {"ro", "rbind"}, false},
      {"/c", "none", "/abs", {"bind"}, false},   {"/d", "tmpfs", "shm", {}, false},
      {"/e", "tmpfs", "data", {"bind"}, false},  {"/f", "bind", "", {"bind"}, false},
      {"/g", "proc", "proc", {"rbindx"}, false},
  };
  resolve_bind_sources(mounts, "/bundle");
  std::vector<std::string> sources;
  for (const oci::Mount& mount : mounts) sources.push_back(mount.source);
  EXPECT_THAT(sources, ::testing::ElementsAre("/bundle/data", "/bundle/../up", "/abs", "shm", "/bundle/data",
                                              "", "proc"));
}

TEST(BundlePaths, ALinkMustNotLeadOutAndAPathMay) {
  EXPECT_TRUE(link_leads_out("/b", "/b/rootfs", "/elsewhere"));
  EXPECT_TRUE(link_leads_out("/b", "/b/./x/../rootfs", "/"));
  EXPECT_TRUE(link_leads_out("/b", "/b/rootfs", "/bb/rootfs"));
  EXPECT_TRUE(link_leads_out("/b", "/b/rootfs", "/b"));
  EXPECT_FALSE(link_leads_out("/b", "/b/rootfs", "/b/rootfs"));
  EXPECT_FALSE(link_leads_out("/b", "/b/rootfs", "/b/versions/2"));
  EXPECT_FALSE(link_leads_out("/b", "/b/../other/rootfs", "/other/rootfs"));
  EXPECT_FALSE(link_leads_out("/b", "/var/lib/image", "/data/image"));
  EXPECT_FALSE(link_leads_out("/", "/rootfs", "/data/rootfs")) << "everything is in this bundle";
}

}  // namespace
}  // namespace fdchain
