#pragma once

namespace fdchain {

/// Gives back the pages of this program's code and constants that only its start needed.
///
/// For a process that will now wait for a long time. The kernel maps sixteen pages around each one that is
/// touched, so after its start nearly all of a small program is mapped; what is needed again comes back from
/// the page cache.
void unmap_startup_code();

}  // namespace fdchain
