#include "monitor/shared/event_loop.h"

#include <chrono>

#include "fdchain/system/fs/memory.h"

namespace fdchain {

void run_event_loop(boost::asio::io_context& io) {
  while (!io.stopped()) {
    if (io.run_one_for(std::chrono::seconds(1)) > 0) continue;
    if (io.stopped()) return;
    give_back_memory();
    // The next act is the wait: every function that were run between would be mapped again.
    io.run_one();
  }
}

}  // namespace fdchain
