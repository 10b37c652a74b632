#pragma once

#include <cstddef>

namespace fdchain::test {

/// How often this process has asked for memory: work that can be counted, however busy the machine is.
std::size_t allocations();

}  // namespace fdchain::test
