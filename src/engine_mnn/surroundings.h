// The caches as a kernel finds them inside a model, made for an operator that runs alone. The kernels before it used
// the memory that its activations and scratch memory lie in, so that it is as near as its size allows; and the model
// used more than the caches before the last one hold since the operator's weights were read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "engine_mnn/mnn_api.h"

namespace mmt::mnn {

/// Where a session keeps what its kernels read and write beside weights. MNN takes it as one piece from the C library,
/// and now and then another for a tensor.
class ActivationMemory {
 public:
  /// What a kernel writes, or an input. Tensors that lie on another device are left out.
  void add(const MNN::Tensor& tensor);
  /// After the last tensor: takes whole pieces in, with scratch memory, where the C library tells how large they are.
  void complete();
  /// Writes to every line, as the kernels before did. Reading would not do: caches of servers take data that was only
  /// read out of the level-2 cache back into the last one as they see fit.
  void write() const;
  std::size_t bytes() const;

 private:
  struct Range {
    std::uintptr_t begin = 0, end = 0;
  };
  std::vector<Range> ranges_;  ///< Once complete: apart from each other.
};

/// Memory that belongs to no model: reading it moves others' data to the last cache.
class OtherMemory {
 public:
  OtherMemory();
  ~OtherMemory();
  OtherMemory(const OtherMemory&) = delete;
  OtherMemory& operator=(const OtherMemory&) = delete;

  /// From now on each processor that this thread may run on reads memory of its own at the same time: sessions of
  /// several threads keep data in the caches of any of them.
  void use_all_processors();
  void read(std::int64_t bytes);

 private:
  void help(int cpu);  ///< What the thread of a processor does until there is nothing to read any more.

  std::vector<std::uint8_t> memory_;
  std::vector<std::thread> helpers_;
  std::int64_t wanted_ = 0;              ///< Bytes; negative: the helpers end. Written before `asked_` tells of it.
  int here_ = -1;                        ///< The processor of who asks.
  std::atomic<std::uint32_t> asked_{0};  ///< How often.
  std::atomic<int> busy_{0};             ///< Helpers that have not read yet.
};

}  // namespace mmt::mnn
