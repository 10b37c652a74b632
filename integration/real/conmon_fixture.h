// What the tests of the monitor in conmon's dialect share.
#pragma once

#include <string>
#include <vector>

#include "fdchain/system/fd/owned_fd.h"
#include "integration/harness/chain_test.h"
#include "integration/real/monitored.h"

namespace fdchain::test {

using Words = std::vector<std::string>;

class Conmon : public ChainTest {
 protected:
  /// One call of `program`, in a directory of its own, over a fake runtime that runs `payload`.
  MonitorStart call(const std::string& program, const std::string& payload,
                    Words options = {"--api-version"});

  /// The same of our monitor.
  MonitorStart ours(const std::string& payload, Words options = {"--api-version"});

  /// `program`, started by a shell that has done `first`: words for unshare(1), and what is done inside.
  std::string after(const std::string& unshare, const std::string& first, const std::string& program);
  std::string ours_after(const std::string& unshare, const std::string& first) {
    return after(unshare, first, bin("monitor"));
  }

  /// Has a fake runtime do `first`, before it makes its container.
  static void let_runtime(const MonitorStart& start, const std::string& first);

  int calls_ = 0;
};

/// A datagram socket at `path`.
OwnedFd bind_datagram(const std::string& path);

}  // namespace fdchain::test
