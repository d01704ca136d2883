// The memory of a list of kernels that pass tensors on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mmt/kernel_memory.h"
#include "mmt/table.h"

namespace mmt::memory {

/// One kernel. Tensors are numbers; -1: constant data.
struct Step {
  KernelText kernel;
  std::vector<int> reads, writes;
};

/// A tensor that is not made by a kernel of the list.
enum class Origin : std::uint8_t { kKernel, kInput };

struct Tensor {
  Shape shape;
  Origin origin = Origin::kKernel;
  bool output = false;  ///< Stays until the end.
};

struct Flow {
  std::vector<Step> steps;
  std::vector<Tensor> tensors;

  int add_tensor(Shape shape, Origin origin = Origin::kKernel);
  /// A copy of a whole tensor, in another layout or for another backend.
  int add_copy(int source, bool packed);
};

struct Account {
  std::int64_t weights = 0, activations = 0;
  std::int64_t loading = 0;  ///< The most that weights and what rearranges them take while the model is loaded.
  std::int64_t holes = 0;    ///< Freed by then, but not returned to the system.
  std::int64_t bytes() const { return weights + activations; }
};

/// What a session with these kernels takes.
Account account_for(const Flow& flow, const Traits& traits);

/// MemoryEstimate::weight_steps of these kernels.
std::vector<std::vector<std::int64_t>> weight_steps(const Flow& flow, const Traits& traits);

/// An operator's own session. False: its kernels' data flow is not in the table.
bool session_flow(const ContextRow& context, LatencyTable& table, Flow& flow);

/// The traits under which the accounts of these contexts come nearest to what was measured.
Traits find_traits(const std::vector<const ContextRow*>& contexts, LatencyTable& table);

}  // namespace mmt::memory
