// The caches as a kernel finds them inside a model, made for an operator that runs alone. The kernels before it used
// the memory that its activations and scratch memory lie in, so that it is as near as its size allows; and the model
// used more than the caches before the last one hold since the operator's weights were read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "engine/page_placement.h"
#include "engine_mnn/mnn_api.h"

namespace mmt::mnn {

/// Where a session keeps what its kernels read and write beside weights. MNN takes it as one piece from the C library,
/// and now and then another for a tensor.
class ActivationMemory {
 public:
  /// What a kernel writes. Tensors that lie on another device are left out.
  void add(const MNN::Tensor& tensor);
  /// An input, which is filled before every run: `write` leaves it to that.
  void add_input(const MNN::Tensor& tensor);
  /// After the last tensor: takes whole pieces in, with scratch memory, where the C library tells how large they are.
  void complete();
  /// Writes to every line, as the kernels before did. Reading would not do: caches of servers take data that was only
  /// read out of the level-2 cache back into the last one as they see fit.
  void write() const;
  /// Writes to the lines of each tensor that are the share of one thread, 0 to `threads` - 1.
  void write_share(int thread, int threads) const;
  std::size_t bytes() const;
  /// Once complete: puts all of it into physically contiguous memory.
  void gather(PagePlacement& placement) const;

 private:
  struct Range {
    std::uintptr_t begin = 0, end = 0;
  };
  std::vector<Range> tensors_, inputs_;
  std::vector<Range> ranges_;   ///< Once complete: apart from each other.
  std::vector<Range> written_;  ///< The same without what inputs hold.
};

/// The caches before the last one, of this processor and, for an engine of several threads, of others.
class NearCaches {
 public:
  NearCaches();
  ~NearCaches();
  NearCaches(const NearCaches&) = delete;
  NearCaches& operator=(const NearCaches&) = delete;

  /// From now on each processor that this thread may run on has a helper: sessions of several threads keep data in the
  /// caches of any of them.
  void use_threads(int threads);
  /// Fills them with memory that belongs to no model: what they held moves to the last cache.
  void displace(std::int64_t bytes);
  /// What the kernels before left behind: each thread's share of each tensor lies in the caches of its processor.
  void share(const ActivationMemory& memory);

 private:
  struct Task {
    bool ends = false;
    std::int64_t bytes = 0;                    ///< Of other memory to read.
    const ActivationMemory* memory = nullptr;  ///< To write a share of.
  };
  void ask(const Task& task);
  void wait();
  void help(int cpu);  ///< What the thread of a processor does until there is nothing to do any more.
  /// Whose share of the memory the processor writes: 0 this thread's; `threads_` and more: nobody's.
  int thread_on(int cpu) const;

  int threads_ = 1;
  std::vector<std::uint8_t> memory_;
  std::vector<int> cpus_;
  std::vector<std::thread> helpers_;
  Task task_;                            ///< Written before `asked_` tells of it.
  int here_ = -1;                        ///< The processor of who asks.
  std::atomic<std::uint32_t> asked_{0};  ///< How often.
  std::atomic<int> busy_{0};             ///< Helpers that are not done yet.
};

}  // namespace mmt::mnn
