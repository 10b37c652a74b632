#pragma once

#include <functional>

#include "fdchain/model/hop_record.h"
#include "fdchain/system/trace/trace_file.h"

namespace fdchain {

/// Appends what `observe` sees. When that fails, warns and turns the trace off: a run that is under way does
/// not end for want of a record.
void append_if_possible(Trace& trace, const std::function<HopRecord()>& observe);

}  // namespace fdchain
