// The lists of hooks, as config.json names them.
#pragma once

#include <array>
#include <vector>

#include "fdchain/model/oci_config.h"

namespace fdchain::oci {

struct HookList {
  const char* key;
  std::vector<Hook> Hooks::*list;
};
inline constexpr std::array hook_lists{
    HookList{"prestart", &Hooks::prestart},
    HookList{"createRuntime", &Hooks::create_runtime},
    HookList{"createContainer", &Hooks::create_container},
    HookList{"startContainer", &Hooks::start_container},
    HookList{"poststart", &Hooks::poststart},
    HookList{"poststop", &Hooks::poststop},
};

}  // namespace fdchain::oci
