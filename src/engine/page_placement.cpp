#include "engine/page_placement.h"

#include <algorithm>
#include <cstring>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace mmt {

#if defined(__linux__) && defined(MADV_HUGEPAGE)
namespace {

constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
constexpr std::uintptr_t kFewestPages = 8;  ///< Fewer find room in any set of a cache.

void* at(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

std::uintptr_t page_bytes() {
  static const auto bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

PagePlacement::~PagePlacement() {
  if (spare_bytes() > 0) munmap(at(next_), spare_bytes());
}

bool PagePlacement::take_block() {
  if (spare_bytes() > 0) munmap(at(next_), spare_bytes());
  next_ = block_end_ = 0;
  // Twice as much, since a huge page begins at a multiple of its size.
  void* const taken = mmap(nullptr, 2 * kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (taken == MAP_FAILED) return false;
  const auto begin = reinterpret_cast<std::uintptr_t>(taken);
  const std::uintptr_t block = (begin + kHugePage - 1) / kHugePage * kHugePage;
  if (block > begin) munmap(taken, block - begin);
  munmap(at(block + kHugePage), begin + kHugePage - block);
  if (madvise(at(block), kHugePage, MADV_HUGEPAGE) != 0) {
    munmap(at(block), kHugePage);
    return false;
  }
  std::memset(at(block), 0, 1);  // All of it comes with the first byte.
  next_ = block;
  block_end_ = block + kHugePage;
  return true;
}

void PagePlacement::gather(std::uintptr_t begin, std::uintptr_t end) {
  const std::uintptr_t page = page_bytes();
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin + kFewestPages * page > end) return;
  while (begin < end) {
    if (spare_bytes() == 0 && !take_block()) return;
    const std::uintptr_t bytes = std::min(end - begin, block_end_ - next_);
    std::memcpy(at(next_), at(begin), bytes);
    // Where huge pages would lie at other addresses than they do, the system maps their parts.
    if (mremap(at(next_), bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at(begin)) == MAP_FAILED) return;
    madvise(at(begin), bytes, MADV_NOHUGEPAGE);  // As before, for all that comes.
    next_ += bytes;
    begin += bytes;
  }
}
#else
PagePlacement::~PagePlacement() = default;
bool PagePlacement::take_block() { return false; }
void PagePlacement::gather(std::uintptr_t, std::uintptr_t) {}
#endif

}  // namespace mmt
