#include "fdchain/program/observed.h"

#include "fdchain/program/log.h"

namespace fdchain {

void append_if_possible(Trace& trace, const std::function<HopRecord()>& observe) {
  if (!trace.on()) return;
  try {
    trace.append(observe());
  } catch (const std::exception& error) {
    log::warn("{}; nothing more is recorded", error.what());
    trace = Trace();
  }
}

}  // namespace fdchain
