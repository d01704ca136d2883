// How the kernels of one session pass tensors on, by the tensors' numbers.
#pragma once

#include <string>
#include <vector>

namespace mmt {

/// The numbers of a PlannedKernel::tensors text; `copied_from`: per read its source, -1 for none.
struct FlowNumbers {
  std::vector<int> reads, copied_from, writes;
  static FlowNumbers parse(const std::string& text);
};

}  // namespace mmt
