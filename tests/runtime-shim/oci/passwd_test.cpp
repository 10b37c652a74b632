// An image's /etc/passwd, which may be anything.

#include "runtime-shim/oci/passwd.h"

#include <gtest/gtest.h>

namespace fdchain::oci {
namespace {

std::string found(const std::string& passwd, uid_t uid) {
  const auto entry = find_user(passwd, uid);
  return entry ? entry->name + ' ' + entry->home : "nobody";
}

TEST(Passwd, TheFirstLineWithTheNumberCounts) {
  const std::string file =
      "root:x:0:0:root:/root:/bin/sh\n"
      "web:x:33:33:web:/srv/www:/bin/false\n"
      "other:x:33:33::/srv/other:/bin/false\n";
  EXPECT_EQ(found(file, 0), "root /root");
  EXPECT_EQ(found(file, 33), "web /srv/www");
  EXPECT_EQ(found(file, 34), "nobody");
  EXPECT_EQ(found("", 0), "nobody");
}

TEST(Passwd, LinesThatAreNoneArePassedOver) {
  const std::string file =
      "# users\n"
      "short:x:5\n"
      "text:x:five:5::/five:/bin/sh\n"
      "plus:x:+6:6::/six:/bin/sh\n"
      ":::::\n"
      "last:x:4294967295:7::/seven";
  EXPECT_EQ(found(file, 5), "short ");
  EXPECT_EQ(found(file, 6), "nobody");
  EXPECT_EQ(found(file, 4294967295), "last /seven");
}

}  // namespace
}  // namespace fdchain::oci
