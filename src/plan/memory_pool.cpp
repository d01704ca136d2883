#include "plan/memory_pool.h"

#include <algorithm>
#include <iterator>

namespace mmt::memory {
namespace {
constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kLargestApart = 32LL << 20;
std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
}  // namespace

ActivationPool::Handle ActivationPool::take(std::int64_t bytes, bool apart) {
  bytes = aligned(bytes);
  if (apart) return blocks_.insert(blocks_.end(), Block{bytes, true});
  Handle fits = blocks_.end(), largest = blocks_.end();
  for (Handle it = blocks_.begin(); it != blocks_.end(); ++it) {
    if (it->used) continue;
    if (it->bytes >= bytes && (fits == blocks_.end() || it->bytes < fits->bytes)) fits = it;
    if (largest == blocks_.end() || it->bytes >= largest->bytes) largest = it;
  }
  const Handle chosen = fits != blocks_.end() ? fits : largest;
  if (chosen == blocks_.end()) return blocks_.insert(blocks_.end(), Block{bytes, true});
  if (chosen->bytes > bytes) blocks_.insert(std::next(chosen), Block{chosen->bytes - bytes, false});
  chosen->bytes = bytes;
  chosen->used = true;
  return chosen;
}

void ActivationPool::give_back(Handle block) {
  block->used = false;
  if (const Handle right = std::next(block); right != blocks_.end() && !right->used) {
    block->bytes += right->bytes;
    blocks_.erase(right);
  }
  if (block != blocks_.begin()) {
    if (const Handle left = std::prev(block); !left->used) {
      left->bytes += block->bytes;
      blocks_.erase(block);
    }
  }
}

std::int64_t ActivationPool::bytes() const {
  std::int64_t sum = 0;
  for (const Block& block : blocks_) sum += block.bytes;
  return sum;
}

WeightHeap::Handle WeightHeap::take(std::int64_t bytes) {
  std::size_t fits = pieces_.size();
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    if (!pieces_[i].used && pieces_[i].bytes >= bytes &&
        (fits == pieces_.size() || pieces_[i].bytes < pieces_[fits].bytes))
      fits = i;
  }
  if (fits == pieces_.size()) {
    roots_.push_back({bytes, 1});
    held_ += bytes;
    pieces_.push_back({bytes, roots_.size() - 1, true});
    return pieces_.size() - 1;
  }
  const std::int64_t size = aligned(bytes);
  if (size < pieces_[fits].bytes) {
    pieces_.push_back({pieces_[fits].bytes - size, pieces_[fits].root, false});
    pieces_[fits].bytes = size;
  }
  pieces_[fits].used = true;
  ++roots_[pieces_[fits].root].used;
  return fits;
}

void WeightHeap::give_back(Handle piece) {
  pieces_[piece].used = false;
  --roots_[pieces_[piece].root].used;
}

std::int64_t WeightHeap::bytes() const {
  std::int64_t sum = 0;
  for (const Root& root : roots_) sum += root.used > 0 ? root.bytes : 0;
  return sum;
}

bool ProcessHeap::take(std::int64_t bytes) {
  if (bytes <= 0 || bytes > apart_from_) return false;
  if (const auto fits = free_.lower_bound(bytes); fits != free_.end()) {
    const std::int64_t rest = *fits - bytes;
    free_.erase(fits);
    holes_ -= bytes;
    if (rest > 0) free_.insert(rest);
  }
  return true;
}

void ProcessHeap::give_back(std::int64_t bytes, bool among_others) {
  if (among_others) {
    free_.insert(bytes);
    holes_ += bytes;
  } else if (bytes <= kLargestApart) {  // That size and more will be mapped apart from now on.
    apart_from_ = std::max(apart_from_, bytes);
  }
}

}  // namespace mmt::memory
