// The caches as a kernel finds them inside a model, made for an operator that runs alone. The kernels before it used
// the memory that its activations and scratch memory lie in, so that it is in the last cache; and they used more than
// the caches before that hold.
#pragma once

#include <cstddef>
#include <cstdint>
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
  void read() const;

 private:
  struct Range {
    std::uintptr_t begin = 0, end = 0;
  };
  std::vector<Range> ranges_;  ///< Once complete: apart from each other.
};

/// Memory that belongs to no model: reading it moves others' data to the last cache.
class OtherMemory {
 public:
  void read(std::int64_t bytes);

 private:
  /// As large as most processors need, so that it is there before anybody measures the memory of a model.
  std::vector<std::uint8_t> memory_ = std::vector<std::uint8_t>(std::size_t{2} << 20, 1);
};

}  // namespace mmt::mnn
