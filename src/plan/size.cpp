// Parameters, operations and file size of composed models.
#include <algorithm>
#include <memory>

#include "mmt/error.h"
#include "mmt/memory.h"
#include "plan/composer.h"

namespace mmt {
namespace {

// What every converted file holds beside its operators: header, identifiers, names of its inputs and outputs, and the
// conversions at its borders.
constexpr std::int64_t kFileFrameBytes = 720;
// A function between operators is written as one operator more.
constexpr std::int64_t kFunctionBytes = 300;

std::int64_t element_bytes(const std::string& dtype) {
  if (dtype == "bool" || dtype == "int8" || dtype == "uint8") return 1;
  if (dtype == "float16" || dtype == "bfloat16") return 2;
  return dtype == "int64" || dtype == "float64" ? 8 : 4;
}

bool is_folded(const PlanNode& node) { return node.found.starts_with("folded"); }

std::int64_t constant_bytes(const Trace& trace, const TraceNode& node) {
  std::int64_t sum = 0;
  for (const int value : node.inputs) {
    if (!trace.is_constant(value)) continue;
    const TraceValue& v = trace.values[static_cast<std::size_t>(value)];
    std::int64_t bytes = element_bytes(v.dtype);
    for (const std::int64_t extent : v.shape) bytes *= extent;
    sum += bytes;
  }
  return sum;
}

}  // namespace

std::vector<NodeSize> node_sizes(const Trace& trace, const ModelPlan& plan, LatencyTable& table) {
  if (trace.nodes.size() != plan.nodes.size())
    throw Error(ErrorCode::kInvalidArgument, "sizes: the plan was not composed from this trace");
  const std::vector<TraceNodeCost> costs = trace_costs(trace);
  std::vector<NodeSize> sizes;
  sizes.reserve(plan.nodes.size());
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    NodeSize& size = sizes.emplace_back();
    const auto row = table.find_operator(plan.nodes[i].fingerprint);
    const bool closed = trace.nodes[i].kind == TraceNodeKind::kOperator;
    if (!closed) {
      size.parameters = costs[i].parameters;
      size.flops = costs[i].flops;
    } else if (row != nullptr) {
      size.parameters = row->parameter_count;
      size.flops = row->flops;
    }
    if (row == nullptr || row->contexts.empty()) continue;
    const ContextRow* plain = find_context(*row, "plain");
    size.file_bytes = (plain != nullptr ? *plain : row->contexts.front()).file_bytes;
    const ContextRow* taken = find_context(*row, plan.nodes[i].found == "table, packed" ? "packed" : "plain");
    size.session_mib = (taken != nullptr ? *taken : row->contexts.front()).memory_mib;
  }
  return sizes;
}

SizeEstimate estimate_size(const Trace& trace, const ModelPlan& plan, LatencyTable& table) {
  SizeEstimate estimate;
  estimate.file_bytes = kFileFrameBytes;
  const std::vector<NodeSize> sizes = node_sizes(trace, plan, table);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    estimate.parameters += sizes[i].parameters;
    if (sizes[i].flops >= 0) {
      estimate.flops += sizes[i].flops;
    } else {
      ++estimate.uncounted;
    }
    if (is_folded(plan.nodes[i])) continue;  // Its numbers are in the weights of what it is folded into.
    if (sizes[i].file_bytes >= 0) {
      estimate.file_bytes += std::max<std::int64_t>(0, sizes[i].file_bytes - kFileFrameBytes);
    } else {
      estimate.file_bytes += kFunctionBytes + constant_bytes(trace, trace.nodes[i]);
    }
  }
  return estimate;
}

}  // namespace mmt
