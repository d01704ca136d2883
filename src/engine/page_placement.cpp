#include "engine/page_placement.h"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

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

/// A huge page, all of it in memory; 0 where the system has none.
std::uintptr_t take_huge_page() {
  // Twice as much, since a huge page begins at a multiple of its size.
  void* const taken = mmap(nullptr, 2 * kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (taken == MAP_FAILED) return 0;
  const auto begin = reinterpret_cast<std::uintptr_t>(taken);
  const std::uintptr_t block = (begin + kHugePage - 1) / kHugePage * kHugePage;
  if (block > begin) munmap(taken, block - begin);
  munmap(at(block + kHugePage), begin + kHugePage - block);
  if (madvise(at(block), kHugePage, MADV_HUGEPAGE) != 0) {
    munmap(at(block), kHugePage);
    return 0;
  }
  std::memset(at(block), 0, 1);  // All of it comes with the first byte.
  return block;
}

}  // namespace

PagePlacement::~PagePlacement() {
  if (rest_bytes() > 0) munmap(at(next_), rest_bytes());
  if (prepared_.valid() && prepared_.get() != 0) munmap(at(prepared_.get()), kHugePage);
}

std::size_t PagePlacement::spare_bytes() const {
  return rest_bytes() + (prepared_.valid() && prepared_.get() != 0 ? kHugePage : 0);
}

void PagePlacement::prepare() {
  if (is_refused_ || prepared_.valid() || rest_bytes() > kHugePage / 2) return;
  try {
    prepared_ = std::async(std::launch::async, take_huge_page);
  } catch (const std::system_error&) {
    // No thread to be had: it is taken when it is needed.
  }
}

bool PagePlacement::take_block() {
  next_ = prepared_.valid() ? std::exchange(prepared_, {}).get() : take_huge_page();
  is_refused_ = next_ == 0;
  block_end_ = is_refused_ ? 0 : next_ + kHugePage;
  return !is_refused_;
}

void PagePlacement::gather(std::uintptr_t begin, std::uintptr_t end) {
  const std::uintptr_t page = page_bytes();
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin + kFewestPages * page > end) return;
  while (begin < end) {
    if (rest_bytes() == 0 && !take_block()) return;
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
std::size_t PagePlacement::spare_bytes() const { return 0; }
void PagePlacement::prepare() {}
bool PagePlacement::take_block() { return false; }
void PagePlacement::gather(std::uintptr_t, std::uintptr_t) {}
#endif

}  // namespace mmt
