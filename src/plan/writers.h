// Which kernel of a plan wrote what an operator's kernels read.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "mmt/table.h"
#include "plan/flow_numbers.h"

namespace mmt {

/// Who wrote the tensors of one session.
class TensorWriters {
 public:
  void set(int tensor, int kernel) { writers_[tensor] = kernel; }
  int of(int tensor) const;
  /// `kernel` reads and writes these tensors: who wrote what it reads, each once.
  std::vector<int> add(const FlowNumbers& numbers, int kernel);

 private:
  std::map<int, int> writers_;
};

/// Follows one operator's kernels in order. Kernels of the plan are given by their numbers in it; -1: none of them.
class Writers {
 public:
  /// `sources`: by input port, the kernel that wrote what it holds.
  Writers(const ContextRow& context, std::vector<int> sources);

  /// Kernel `k` of the context becomes number `kernel` of the plan: the kernels that wrote what it reads.
  std::vector<int> add(std::size_t k, int kernel);
  /// Kernel `k` of the context does not run in the plan: a conversion or a stub.
  void pass_by(std::size_t k);
  /// Of an output port, once all kernels were gone through.
  int of_output(std::size_t port) const;

 private:
  int source(int port) const;

  const ContextRow& context_;
  std::vector<int> sources_;
  TensorWriters tensors_;
  std::map<int, int> outputs_;  ///< Ports whose conversion did not run: who wrote what it would have read.
  int last_ = -1;               ///< Kernel of the plan that was added last.
};

}  // namespace mmt
