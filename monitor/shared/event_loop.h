#pragma once

#include <boost/asio/io_context.hpp>

namespace fdchain {

/// Runs handlers until `io` is stopped or has nothing left to wait for.
///
/// When a second has passed without any, gives back what a start or a burst of work has mapped, and waits
/// without a timeout: what follows may be months of nothing.
void run_event_loop(boost::asio::io_context& io);

}  // namespace fdchain
