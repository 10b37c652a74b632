#include "fdchain/system/fs/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace fdchain {
namespace {

struct Range {
  std::uintptr_t start = 0;
  std::size_t size = 0;
};

/// The read-only segments of a program; some linkers make four, constants apart from code.
struct Segments {
  std::array<Range, 8> ranges;
  std::size_t count = 0;
};

// Only segments that cannot be written: their pages are those of the file, and nothing is lost with them.
int find_read_only_segments(dl_phdr_info* program, std::size_t, void* result) {
  Segments& found = *static_cast<Segments*>(result);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < program->dlpi_phnum && found.count < found.ranges.size(); ++i) {
    const ElfW(Phdr)& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t start = (program->dlpi_addr + segment.p_vaddr) / page * page;
    const std::uintptr_t end = (program->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
    if (end > start) found.ranges[found.count++] = {start, end - start};
  }
  return 1;  // the first is the program itself; libraries are other people's memory too
}

}  // namespace

void give_back_memory() {
  ::malloc_trim(0);
  // All that has to be found is found first: whatever runs after the unmapping is mapped again, and around it
  // much else.
  Segments segments;
  ::dl_iterate_phdr(find_read_only_segments, &segments);
  for (std::size_t i = 0; i < segments.count; ++i) {
    const Range& range = segments.ranges[i];
    // Advice: where it is refused, the pages stay.
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the program header has the address as a number
    (void)::madvise(reinterpret_cast<void*>(range.start), range.size, MADV_DONTNEED);
  }
}

}  // namespace fdchain
