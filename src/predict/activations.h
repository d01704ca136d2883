// What a run does with the memory of its activations, kernel by kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mmt/kernel.h"

namespace mmt {

/// Follows the activations' memory over a run's kernels. Tensors use the same memory one after another, so only what a
/// kernel reaches beyond those before it was last touched in the run before.
class TouchedMemory {
 public:
  /// Bytes of the next kernel's outputs that it is the first to use.
  std::int64_t first_use(const KernelSignature& kernel);

 private:
  std::int64_t reach_ = 0;
};

/// How much of a run lies between two uses of a tensor.
class TensorAges {
 public:
  struct Passed {
    double bytes = 0, us = 0;
  };

  /// What ran since the output of `writer` was last written or read.
  Passed since(int writer) const;
  /// The next kernel uses these kernels' outputs, and by itself touches `bytes` in `us`.
  void add(const std::vector<int>& reads, double bytes, double us);

 private:
  std::vector<Passed> last_use_;  ///< By kernel: what had run when its output was last used.
  Passed now_;
};

}  // namespace mmt
