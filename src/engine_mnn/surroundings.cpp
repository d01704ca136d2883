#include "engine_mnn/surroundings.h"

#include <algorithm>
#include <cstring>
#include <utility>

#if __has_include(<malloc.h>)
#include <malloc.h>
#define MMT_HAS_USABLE_SIZE 1
#endif

#include "engine_mnn/host_probe.h"
#include "engine_mnn/random_pool.h"

namespace mmt::mnn {
namespace {

constexpr std::size_t kCacheLine = 64;
/// As much as most processors need, so that it is there before anybody measures the memory of a model.
constexpr std::size_t kUsualBytes = std::size_t{2} << 20;
/// MNN aligns what it takes from the C library, and keeps the address that it got right before the aligned one.
constexpr std::uintptr_t kMostAlignment = 256;

void read_lines(const volatile std::uint8_t* memory, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kCacheLine) static_cast<void>(memory[at]);
}

/// As if a kernel had written there: contents stay. In four places at a time: a core gets more out of far memory so.
void write_lines(volatile std::uint8_t* memory, std::size_t bytes) {
  const std::size_t quarter = bytes / (4 * kCacheLine) * kCacheLine;
  for (std::size_t at = 0; at < quarter; at += kCacheLine) {
    volatile std::uint8_t *const first = memory + at, *const second = first + quarter, *const third = second + quarter,
                                 *const fourth = third + quarter;
    const std::uint8_t values[] = {*first, *second, *third, *fourth};
    *first = values[0];
    *second = values[1];
    *third = values[2];
    *fourth = values[3];
  }
  for (std::size_t at = 4 * quarter; at < bytes; at += kCacheLine) memory[at] = memory[at];
}

/// The first so many bytes of `memory`, which is made larger where it is too small.
void read_own(std::vector<std::uint8_t>& memory, std::int64_t bytes) {
  const auto wanted = static_cast<std::size_t>(bytes);
  if (memory.size() < wanted) memory.assign(wanted, 1);  // Written: pages that were never written to share one.
  read_lines(memory.data(), wanted);
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
  tensors_.push_back({begin, begin + bytes});
}

void ActivationMemory::add_input(const MNN::Tensor& tensor) {
  const std::size_t before = tensors_.size();
  add(tensor);
  if (tensors_.size() > before) inputs_.push_back(tensors_.back());
}

void ActivationMemory::complete() {
  ranges_ = tensors_;
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

  written_ = ranges_;
  for (const Range& input : inputs_) {
    // Lines that it shares with others stay.
    const std::uintptr_t begin = (input.begin + kCacheLine - 1) / kCacheLine * kCacheLine;
    const std::uintptr_t end = input.end / kCacheLine * kCacheLine;
    if (begin >= end) continue;
    std::vector<Range> left;
    for (const Range& range : written_) {
      if (range.begin < std::min(begin, range.end)) left.push_back({range.begin, std::min(begin, range.end)});
      if (std::max(end, range.begin) < range.end) left.push_back({std::max(end, range.begin), range.end});
    }
    written_ = std::move(left);
  }
}

void ActivationMemory::write() const {
  for (const Range& range : written_)
    write_lines(reinterpret_cast<std::uint8_t*>(range.begin), range.end - range.begin);
}

void ActivationMemory::write_share(int thread, int threads) const {
  const auto share = static_cast<std::size_t>(thread), shares = static_cast<std::size_t>(threads);
  for (const Range& tensor : tensors_) {
    const std::size_t lines = (tensor.end - tensor.begin + kCacheLine - 1) / kCacheLine;
    const std::uintptr_t begin = tensor.begin + lines * share / shares * kCacheLine;
    const std::uintptr_t end = std::min(tensor.begin + lines * (share + 1) / shares * kCacheLine, tensor.end);
    if (begin < end) write_lines(reinterpret_cast<std::uint8_t*>(begin), end - begin);
  }
}

std::size_t ActivationMemory::bytes() const {
  std::size_t bytes = 0;
  for (const Range& range : ranges_) bytes += range.end - range.begin;
  return bytes;
}

void ActivationMemory::gather(PagePlacement& placement) const {
  for (const Range& range : ranges_) placement.gather(range.begin, range.end);
}

NearCaches::NearCaches() : memory_(kUsualBytes, 1) {}

NearCaches::~NearCaches() {
  ask({.ends = true});
  for (std::thread& helper : helpers_) helper.join();
}

void NearCaches::use_threads(int threads) {
  threads_ = threads;
  if (threads <= 1 || !helpers_.empty()) return;
  cpus_ = usable_cpus();
  for (const int cpu : cpus_) helpers_.emplace_back([this, cpu] { help(cpu); });
  displace(kUsualBytes);
}

void NearCaches::ask(const Task& task) {
  task_ = task;
  here_ = current_cpu();
  busy_ = static_cast<int>(helpers_.size());
  ++asked_;
  asked_.notify_all();
}

void NearCaches::wait() {
  for (int busy = busy_; busy > 0; busy = busy_) busy_.wait(busy);
}

void NearCaches::displace(std::int64_t bytes) {
  bytes = std::max<std::int64_t>(bytes, 0);
  ask({.bytes = bytes});
  read_own(memory_, bytes);
  wait();
}

void NearCaches::share(const ActivationMemory& memory) {
  if (helpers_.empty()) return;  // All of it is this thread's.
  ask({.memory = &memory});
  wait();
}

int NearCaches::thread_on(int cpu) const {
  if (cpu == here_) return 0;
  int thread = 1;
  for (const int other : cpus_) {
    if (other == cpu) return thread;
    thread += static_cast<int>(other != here_);
  }
  return threads_;
}

void NearCaches::help(int cpu) {
  const bool is_there = try_pin_to(cpu);
  std::vector<std::uint8_t> memory(kUsualBytes, 1);
  for (std::uint32_t seen = 0;; ++seen) {
    asked_.wait(seen);
    if (task_.ends) return;
    if (is_there && cpu != here_) {
      if (task_.memory == nullptr) {
        read_own(memory, task_.bytes);
      } else if (const int thread = thread_on(cpu); thread < threads_) {
        task_.memory->write_share(thread, threads_);
      }
    }
    if (--busy_ == 0) busy_.notify_one();
  }
}

}  // namespace mmt::mnn
