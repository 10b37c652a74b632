#pragma once

#include <functional>
#include <string_view>

#include "fdchain/model/hop.h"

namespace fdchain {

/// Prints one line on stderr, in one write. Control characters in it are made visible.
void print_line(std::string_view text);

/// The same under the program's name: `monitor: TEXT`.
void print_error(Hop hop, std::string_view text);

/// Runs a program's `body`. Whatever it throws goes to `report` with an exit status, which is returned: a
/// Failure's own, 125 for anything else.
int guarded(const std::function<int()>& body, const std::function<void(std::string_view, int)>& report);

/// The same, reported on stderr.
int guarded(Hop hop, const std::function<int()>& body);

}  // namespace fdchain
