// What it takes to look at another process from outside.
#pragma once

namespace fdchain::bench {

/// Seconds for one look at a process with so many descriptors more, each of which this process has too.
double look_at_process(int descriptors);

}  // namespace fdchain::bench
