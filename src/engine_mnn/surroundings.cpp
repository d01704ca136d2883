#include "engine_mnn/surroundings.h"

#include <algorithm>
#include <cstring>
#include <utility>

#if __has_include(<malloc.h>)
#include <malloc.h>
#define MMT_HAS_USABLE_SIZE 1
#endif

#include "engine_mnn/random_pool.h"

namespace mmt::mnn {
namespace {

constexpr std::size_t kCacheLine = 64;
/// MNN aligns what it takes from the C library, and keeps the address that it got right before the aligned one.
constexpr std::uintptr_t kMostAlignment = 256;

void read_lines(const volatile std::uint8_t* memory, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kCacheLine) static_cast<void>(memory[at]);
}

/// Where the piece of memory that starts at this tensor ends; 0 where a piece does not start there, or nobody knows.
std::uintptr_t end_of_piece(std::uintptr_t begin) {
#ifdef MMT_HAS_USABLE_SIZE
  std::uintptr_t taken = 0;
  std::memcpy(&taken, reinterpret_cast<const void*>(begin - sizeof taken), sizeof taken);
  if (taken < begin && taken + kMostAlignment >= begin) {
    return taken + malloc_usable_size(reinterpret_cast<void*>(taken));
  }
#endif
  return 0;
}

}  // namespace

void ActivationMemory::add(const MNN::Tensor& tensor) {
  const auto begin = reinterpret_cast<std::uintptr_t>(tensor.buffer().host);
  if (begin == 0) return;
  auto bytes = static_cast<std::size_t>(ElementType{tensor.getType()}.bytes());
  for (const int extent : tensor.shape()) bytes *= static_cast<std::size_t>(std::max(extent, 0));
  ranges_.push_back({begin, begin + bytes});
}

void ActivationMemory::complete() {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> apart;
  bool knows_piece = false;
  for (Range range : ranges_) {
    const bool follows = !apart.empty() && range.begin < apart.back().end;
    if (follows && knows_piece) continue;  // However large: elements may be smaller in memory than their type tells.
    if (follows) {
      apart.back().end = std::max(apart.back().end, range.end);
      continue;
    }
    const std::uintptr_t end = end_of_piece(range.begin);
    knows_piece = end > range.begin;
    apart.push_back({range.begin, knows_piece ? end : range.end});
  }
  ranges_ = std::move(apart);
}

void ActivationMemory::read() const {
  for (const Range& range : ranges_)
    read_lines(reinterpret_cast<const std::uint8_t*>(range.begin), range.end - range.begin);
}

void OtherMemory::read(std::int64_t bytes) {
  const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0));
  if (memory_.size() < wanted) memory_.assign(wanted, 1);  // Written: pages that were never written to share one.
  read_lines(memory_.data(), wanted);
}

}  // namespace mmt::mnn
