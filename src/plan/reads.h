// What the nodes of a trace read.
#pragma once

#include <vector>

#include "mmt/trace.h"

namespace mmt {

/// The values that a node reads and that are no constants, each once.
std::vector<int> data_inputs(const Trace& trace, const TraceNode& node);

/// By value, how many nodes read it; outputs of the model count as a use.
std::vector<int> count_uses(const Trace& trace);

}  // namespace mmt
