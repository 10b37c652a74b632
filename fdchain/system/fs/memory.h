#pragma once

namespace fdchain {

/// Gives back what a process needs no more that will now wait: the pages of its code and constants, and what
/// is free of its heap.
///
/// The kernel maps sixteen pages around each one that is touched, so after its start nearly all of a small
/// program is mapped; what is needed again comes back from the page cache.
void give_back_memory();

}  // namespace fdchain
