#include "mmt/memory.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "mmt/error.h"
#include "plan/composer.h"
#include "plan/flow_numbers.h"
#include "plan/memory_flow.h"
#include "plan/memory_pool.h"
#include "plan/merge.h"
#include "plan/reads.h"

namespace mmt {
namespace {

using memory::Account;
using memory::Flow;
using memory::Origin;
using memory::Shape;
using memory::Traits;

constexpr double kMib = 1024.0 * 1024.0;

double mib(std::int64_t bytes) { return static_cast<double>(bytes) / kMib; }

/// The context that a plan's node was taken in; nullptr where it has no row.
const ContextRow* context_of(const PlanNode& node, const OperatorRow* row) {
  if (row == nullptr || row->contexts.empty() || !node.found.starts_with("table")) return nullptr;
  const ContextRow* context = find_context(*row, node.found == "table, packed" ? "packed" : "plain");
  return context != nullptr ? context : &row->contexts.front();
}

/// Puts the operators' data flows together along the trace.
class ModelFlow {
 public:
  ModelFlow(const Trace& trace, const ModelPlan& plan, LatencyTable& table)
      : trace_(trace), plan_(plan), table_(table), values_(trace.values.size()), uses_(count_uses(trace)) {
    if (trace.nodes.size() != plan.nodes.size())
      throw Error(ErrorCode::kInvalidArgument, "memory: the plan was not composed from this trace");
    kernels_.resize(plan.nodes.size());
    for (const PlanKernel& kernel : plan.kernels) {
      if (kernel.node >= 0) kernels_[static_cast<std::size_t>(kernel.node)].push_back(&kernel);
    }
    for (const PlanNode& node : plan.nodes) rows_.push_back(table.find_operator(node.fingerprint));
  }

  MemoryEstimate estimate() {
    MemoryEstimate result;
    for (std::size_t i = 0; i < trace_.nodes.size(); ++i) {
      if (!add(i)) {
        result.why = plan_.nodes[i].name +
                     " was measured by a version that did not note how its kernels pass tensors on; measure the "
                     "operators again (mmt meter --again)";
        return result;
      }
    }
    for (const int value : trace_.outputs) {
      if (value < 0 || trace_.is_constant(value)) continue;
      flow_.tensors[static_cast<std::size_t>(in_layout(value, false))].output = true;
    }
    const Traits traits = memory::find_traits(contexts(), table_);
    const Account account = memory::account_for(flow_, traits);
    result.known = true;
    result.weights_mib = mib(account.weights);
    result.weight_steps = memory::weight_steps(flow_, traits);
    result.activations_mib = mib(account.activations);
    result.loading_mib = mib(account.loading);
    result.holes_mib = mib(account.holes);
    std::map<const ContextRow*, double> beyond;
    for (const ContextRow* context : used_) {
      const auto [it, fresh] = beyond.try_emplace(context, 0.0);
      if (fresh) {
        Flow own;
        if (context->memory_mib > 0 && memory::session_flow(*context, table_, own))
          it->second = context->memory_mib - mib(memory::account_for(own, traits).bytes());
      }
      result.unexplained_mib += it->second;
    }
    result.session_mib = std::max(0.0, result.weights_mib + result.activations_mib + result.unexplained_mib);
    return result;
  }

 private:
  struct Value {
    int plain = -1, packed = -1;  ///< Its tensors by layout, -1: not made.
    bool ends_operator = false;   ///< A copy wrote `plain` so only because its operator ended there.
  };

  std::vector<const ContextRow*> contexts() const {
    std::vector<const ContextRow*> unique(used_.begin(), used_.end());
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    return unique;
  }

  Shape shape_of(int value, bool packed) const {
    const TraceValue& v = trace_.values[static_cast<std::size_t>(value)];
    return {
        {v.shape.begin(), v.shape.end()}, packed, v.dtype == "bool" || v.dtype == "int8" || v.dtype == "uint8" ? 1 : 4};
  }

  /// The tensor that holds a value in this layout; a conversion is added where it is in the other one.
  int in_layout(int value, bool packed) {
    Value& v = values_[static_cast<std::size_t>(value)];
    if (v.plain < 0 && v.packed < 0) v.plain = flow_.add_tensor(shape_of(value, false), Origin::kInput);
    if (packed && v.packed < 0 && v.ends_operator) {
      write_packed(v.plain);
      v = {-1, v.plain, false};
    }
    int& wanted = packed ? v.packed : v.plain;
    if (wanted < 0) {
      const bool image = trace_.values[static_cast<std::size_t>(value)].shape.size() == 4;
      wanted = image ? flow_.add_copy(packed ? v.plain : v.packed, packed) : std::max(v.plain, v.packed);
    }
    return wanted;
  }

  /// The step that wrote a tensor; nullptr for inputs.
  memory::Step* writer_of(int tensor) {
    for (auto step = flow_.steps.rbegin(); step != flow_.steps.rend(); ++step) {
      if (std::find(step->writes.begin(), step->writes.end(), tensor) != step->writes.end()) return &*step;
    }
    return nullptr;
  }

  /// Whether a packed reader would have the copy that wrote a tensor write it packed.
  bool is_taken_over(int tensor, int value) {
    const memory::Step* const step = writer_of(tensor);
    if (step == nullptr || step->kernel.type != "Raster" || step->writes.size() != 1) return false;
    return uses_[static_cast<std::size_t>(value)] == 1 || joins_packed_channels(step->kernel);
  }

  void write_packed(int tensor) {
    flow_.tensors[static_cast<std::size_t>(tensor)].shape.packed = true;
    writer_of(tensor)->kernel.outputs.front().packed = true;
  }

  bool add(std::size_t index) {
    const TraceNode& node = trace_.nodes[index];
    const PlanNode& entry = plan_.nodes[index];
    const std::vector<int> inputs = data_inputs(trace_, node);
    if (entry.found.starts_with("folded") && inputs.size() == 1 && node.outputs.size() == 1) {
      values_[static_cast<std::size_t>(node.outputs[0])] = values_[static_cast<std::size_t>(inputs[0])];
      return true;
    }
    if (const ContextRow* context = context_of(entry, rows_[index].get()); context != nullptr)
      return add_operator(node, inputs, *context);
    add_unknown(index, inputs);
    return true;
  }

  void add_unknown(std::size_t index, const std::vector<int>& inputs) {
    memory::Step step;
    for (const PlanKernel* kernel : kernels_[index]) step.kernel.weight_bytes += kernel->signature.weight_bytes;
    step.kernel.type = "unknown";
    bool packed = false;
    for (const int value : inputs) {
      const Value& v = values_[static_cast<std::size_t>(value)];
      packed = packed || v.packed >= 0;
      step.reads.push_back(in_layout(value, v.packed >= 0));
      step.kernel.inputs.push_back(flow_.tensors[static_cast<std::size_t>(step.reads.back())].shape);
    }
    for (const int value : trace_.nodes[index].outputs) {
      const bool image = trace_.values[static_cast<std::size_t>(value)].shape.size() == 4;
      const int tensor = flow_.add_tensor(shape_of(value, packed && image));
      (packed && image ? values_[static_cast<std::size_t>(value)].packed
                       : values_[static_cast<std::size_t>(value)].plain) = tensor;
      step.writes.push_back(tensor);
      step.kernel.outputs.push_back(flow_.tensors[static_cast<std::size_t>(tensor)].shape);
    }
    flow_.steps.push_back(std::move(step));
  }

  bool add_operator(const TraceNode& node, const std::vector<int>& inputs, const ContextRow& context) {
    if (context.tensors.size() != context.kernel_keys.size()) return false;
    used_.push_back(&context);
    const int in = static_cast<int>(context.inputs.size()), out = static_cast<int>(context.outputs.size());
    std::map<int, int> known;  // The session's number -> the model's.
    for (std::size_t port = 0; port < inputs.size() && port < context.inputs.size(); ++port) {
      const PortDesc& desc = context.inputs[port];
      const bool image = trace_.values[static_cast<std::size_t>(inputs[port])].shape.size() == 4;
      const bool packed = image && (context.context == "packed" || desc.layout == Layout::kNc4hw4);
      known[static_cast<int>(port)] = in_layout(inputs[port], packed);
    }
    std::map<int, int> left;  // Output port -> the tensor that its conversion reads.
    for (std::size_t k = 0; k < context.kernel_keys.size(); ++k) {
      if (context.tensors[k].empty()) return false;
      const auto numbers = FlowNumbers::parse(context.tensors[k]);
      const int port = context.ports[k];
      if (context.roles[k] == KernelRole::kInputConvert || context.roles[k] == KernelRole::kStub) {
        for (const int written : numbers.writes) known[written] = port >= 0 && known.contains(port) ? known[port] : -1;
        continue;
      }
      if (context.roles[k] == KernelRole::kOutputConvert) {
        if (!numbers.reads.empty()) left[port] = read_tensor(numbers, 0, known, {});
        continue;
      }
      if (!add_kernel(context.kernel_keys[k], numbers, known)) return false;
    }
    for (std::size_t port = 0; port < node.outputs.size(); ++port) {
      Value& value = values_[static_cast<std::size_t>(node.outputs[port])];
      const int number = static_cast<int>(port) + in;
      int tensor = -1;
      if (const auto it = left.find(static_cast<int>(port)); it != left.end()) {
        tensor = it->second;
      } else if (static_cast<int>(port) < out && known.contains(number)) {
        tensor = known[number];
      }
      if (tensor < 0 && !inputs.empty()) {  // Passed through.
        value = values_[static_cast<std::size_t>(inputs[0])];
        continue;
      }
      if (tensor < 0) return false;
      (flow_.tensors[static_cast<std::size_t>(tensor)].shape.packed ? value.packed : value.plain) = tensor;
      value.ends_operator = value.plain >= 0 && is_taken_over(value.plain, node.outputs[port]);
    }
    return true;
  }

  /// The model's tensor for a read; one that the engine copies before is copied here, and one without a source (of
  /// `shape`) begins here.
  int read_tensor(const FlowNumbers& numbers, std::size_t index, std::map<int, int>& known, const Shape& shape) {
    const int number = numbers.reads[index];
    if (number < 0) return -1;
    if (const auto it = known.find(number); it != known.end()) return it->second;
    const auto source = known.find(numbers.copied_from[index]);
    int tensor = -1;
    if (source != known.end() && source->second >= 0) {
      tensor = flow_.add_copy(source->second, flow_.tensors[static_cast<std::size_t>(source->second)].shape.packed);
    } else if (!shape.extents.empty()) {
      tensor = flow_.add_tensor(shape);
    }
    known[number] = tensor;
    return tensor;
  }

  bool add_kernel(const std::string& key, const FlowNumbers& numbers, std::map<int, int>& known) {
    const auto row = table_.find_kernel(key);
    if (row == nullptr) return false;
    memory::Step step{memory::KernelText::parse(row->type, row->attributes, row->text, row->weight_bytes), {}, {}};
    if (step.kernel.inputs.size() != numbers.reads.size() || step.kernel.outputs.size() != numbers.writes.size())
      return false;
    for (std::size_t i = 0; i < numbers.reads.size(); ++i)
      step.reads.push_back(read_tensor(numbers, i, known, step.kernel.inputs[i]));
    for (std::size_t i = 0; i < numbers.writes.size(); ++i) {
      const auto [it, fresh] = known.try_emplace(numbers.writes[i], 0);
      if (fresh) it->second = flow_.add_tensor(step.kernel.outputs[i]);
      step.writes.push_back(it->second);
    }
    flow_.steps.push_back(std::move(step));
    return true;
  }

  const Trace& trace_;
  const ModelPlan& plan_;
  LatencyTable& table_;
  std::vector<Value> values_;
  std::vector<int> uses_;
  std::vector<std::vector<const PlanKernel*>> kernels_;
  std::vector<std::shared_ptr<const OperatorRow>> rows_;
  std::vector<const ContextRow*> used_;
  Flow flow_;
};

}  // namespace

std::vector<double> weights_mib(const std::vector<std::vector<std::vector<std::vector<std::int64_t>>>>& parts,
                                std::span<const std::int32_t> rows) {
  if (parts.empty() || rows.size() % parts.size() != 0)
    throw Error(ErrorCode::kInvalidArgument, "memory: rows need " + std::to_string(parts.size()) + " columns");
  std::vector<double> result;
  result.reserve(rows.size() / parts.size());
  std::vector<memory::WeightHeap::Handle> preparing;
  for (std::size_t at = 0; at < rows.size();) {
    memory::WeightHeap heap;
    for (const auto& choices : parts) {
      const std::int32_t choice = rows[at++];
      if (choice < 0 || choice >= static_cast<std::int32_t>(choices.size()))
        throw Error(ErrorCode::kInvalidArgument, "memory: a slot has no choice " + std::to_string(choice));
      for (const std::vector<std::int64_t>& step : choices[static_cast<std::size_t>(choice)]) {
        preparing.clear();
        for (const std::int64_t bytes : step) {
          const auto piece = heap.take(std::abs(bytes));
          if (bytes < 0) preparing.push_back(piece);
        }
        for (const auto piece : preparing) heap.give_back(piece);
      }
    }
    result.push_back(mib(heap.bytes()));
  }
  return result;
}

MemoryEstimate estimate_memory(const Trace& trace, const ModelPlan& plan, LatencyTable& table) {
  return ModelFlow(trace, plan, table).estimate();
}

MemoryEstimate explain_memory(const ContextRow& context, LatencyTable& table) {
  MemoryEstimate result;
  Flow flow;
  if (!memory::session_flow(context, table, flow)) {
    result.why = "the table does not hold how these kernels pass tensors on";
    return result;
  }
  const Account account = memory::account_for(flow, memory::find_traits({&context}, table));
  result.known = true;
  result.weights_mib = mib(account.weights);
  result.activations_mib = mib(account.activations);
  result.loading_mib = mib(account.loading);
  result.holes_mib = mib(account.holes);
  result.unexplained_mib = context.memory_mib - mib(account.bytes());
  result.session_mib = mib(account.bytes());
  return result;
}

}  // namespace mmt
