#include "fdchain/system/memory.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace fdchain {
namespace {

// Only segments that cannot be written: their pages are those of the file, and nothing is lost with them.
int unmap_read_only_segments(dl_phdr_info* program, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t start = (program->dlpi_addr + segment.p_vaddr) / page * page;
    const std::uintptr_t end = (program->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
    // Advice: where it is refused, the pages stay.
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the program header has the address as a number
    if (end > start) (void)::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  }
  return 1;  // the first is the program itself; libraries are other people's memory too
}

}  // namespace

void unmap_startup_code() { ::dl_iterate_phdr(unmap_read_only_segments, nullptr); }

}  // namespace fdchain
