// Traces of operators that a table holds, and the plans that are composed from them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mmt/plan.h"
#include "mmt/trace.h"

namespace mmt::test {

/// Builds traces of closed operators.
struct ClosedModel {
  Trace trace;

  int value(std::vector<std::int64_t> shape) {
    trace.values.push_back({std::move(shape), "float32", -1});
    return static_cast<int>(trace.values.size()) - 1;
  }
  int input(std::vector<std::int64_t> shape = {1, 8, 4, 4}) {
    const int id = value(std::move(shape));
    trace.inputs.push_back(id);
    return id;
  }
  int call(const std::string& fingerprint, std::vector<int> inputs, std::vector<std::int64_t> shape = {1, 8, 4, 4}) {
    return call_several(fingerprint, std::move(inputs), {std::move(shape)}).front();
  }
  /// An operator of several outputs, given by their shapes.
  std::vector<int> call_several(const std::string& fingerprint, std::vector<int> inputs,
                                const std::vector<std::vector<std::int64_t>>& shapes) {
    TraceNode node;
    node.kind = TraceNodeKind::kOperator;
    node.name = fingerprint;
    node.module = fingerprint + std::to_string(trace.nodes.size());
    node.fingerprint = fingerprint;
    node.inputs = std::move(inputs);
    for (const std::vector<std::int64_t>& shape : shapes) node.outputs.push_back(value(shape));
    trace.nodes.push_back(node);
    return trace.nodes.back().outputs;
  }
};

inline std::vector<std::string> keys(const ModelPlan& plan) {
  std::vector<std::string> result;
  for (const PlanKernel& kernel : plan.kernels) result.push_back(kernel.signature.key);
  return result;
}

}  // namespace mmt::test
