#include "plan/reads.h"

#include <algorithm>
#include <cstddef>

namespace mmt {

std::vector<int> data_inputs(const Trace& trace, const TraceNode& node) {
  std::vector<int> inputs;
  for (const int value : node.inputs) {
    if (value < 0 || trace.is_constant(value)) continue;
    if (std::find(inputs.begin(), inputs.end(), value) == inputs.end()) inputs.push_back(value);
  }
  return inputs;
}

std::vector<int> count_uses(const Trace& trace) {
  std::vector<int> uses(trace.values.size(), 0);
  for (const TraceNode& node : trace.nodes) {
    for (const int value : data_inputs(trace, node)) ++uses[static_cast<std::size_t>(value)];
  }
  for (const int value : trace.outputs) {
    if (value >= 0) ++uses[static_cast<std::size_t>(value)];
  }
  return uses;
}

}  // namespace mmt
