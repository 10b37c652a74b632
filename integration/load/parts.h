// The three parts of the load campaign. Each throws when something does not come in time.
#pragma once

#include <cstddef>
#include <string>

#include "integration/load/outcome.h"

namespace fdchain::load {

/// Many chains alive at once, each behind a socket of its own: every one answers, and what it takes of
/// memory.
///
/// Fewer than `wanted` where limits or free memory do not allow them, which the outcome says.
Outcome chains_alive(std::size_t wanted, const std::string& directory);

/// Activations one after another, each by a client that has come while the last chain was about to end: no
/// connection is lost, and after each the activator has no descriptor more, no zombie and no new file.
Outcome activations(std::size_t wanted, const std::string& directory);

/// Clients of each kind of socket, all at once, each with as many messages: all come back in order and
/// complete.
Outcome crowds(std::size_t clients, std::size_t messages, const std::string& directory);

}  // namespace fdchain::load
