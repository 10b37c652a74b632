// --network, --pid, --userns and --rootfs: the same words for the launcher, which hands them on, and the
// shim.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/isolation.h"
#include "fdchain/program/options.h"

namespace fdchain {

/// The words as they were typed.
struct IsolationTexts {
  std::string network = "host";
  std::string pid = "host";
  std::string userns = "host";
  std::string rootfs;
};

boost::program_options::options_description isolation_options(IsolationTexts& texts);

/// Throws Failure for a word that is none of the two.
Isolation parse_isolation(const IsolationTexts& texts);

/// The options that ask for it; none for a payload on the host.
std::vector<std::string> to_words(const Isolation& isolation);

}  // namespace fdchain
