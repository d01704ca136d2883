#include "plan/composer.h"

#include <algorithm>

#include "mmt/error.h"
#include "mmt/hash.h"
#include "plan/flow_numbers.h"
#include "plan/merge.h"
#include "plan/reads.h"

namespace mmt {
namespace {

bool is_float_image(const TraceValue& value) { return value.shape.size() == 4 && value.dtype == "float32"; }

}  // namespace

std::string find_role(const ContextRow& context, KernelRole role, int port) {
  for (std::size_t i = 0; i < context.roles.size(); ++i) {
    if (context.roles[i] == role && context.ports[i] == port) return context.kernel_keys[i];
  }
  return "";
}

const ContextRow* find_context(const OperatorRow& row, const std::string& name) {
  for (const ContextRow& context : row.contexts) {
    if (context.context == name) return &context;
  }
  return nullptr;
}

Composer::Composer(const Trace& trace, LatencyTable& table)
    : trace_(trace), table_(table), whole_runs_(!table.config().run.facts.per_kernel), values_(trace.values.size()) {
  const std::vector<int> uses = count_uses(trace);
  for (std::size_t i = 0; i < uses.size(); ++i) values_[i].uses = uses[i];
}

ModelPlan Composer::run() {
  plan_.nodes.reserve(trace_.nodes.size());
  for (std::size_t i = 0; i < trace_.nodes.size(); ++i) add_node(static_cast<int>(i));
  finish_outputs();
  keep_kernels();
  return std::move(plan_);
}

void Composer::keep_kernels() {
  std::vector<PlanKernel> kept;
  kept.reserve(plan_.kernels.size());
  std::vector<std::vector<int>> places(plan_.kernels.size());  // Of a dropped kernel: of all that it reads.
  for (std::size_t i = 0; i < plan_.kernels.size(); ++i) {
    PlanKernel& kernel = plan_.kernels[i];
    std::vector<int> reads;
    for (const int read : kernel.reads) {
      for (const int written : places[static_cast<std::size_t>(read)]) {
        if (std::find(reads.begin(), reads.end(), written) == reads.end()) reads.push_back(written);
      }
    }
    if (dropped_[i]) {
      places[i] = std::move(reads);
    } else {
      kernel.reads = std::move(reads);
      places[i] = {static_cast<int>(kept.size())};
      kept.push_back(std::move(kernel));
    }
  }
  plan_.kernels = std::move(kept);
}

void Composer::add_node(int index) {
  const TraceNode& node = trace_.nodes[static_cast<std::size_t>(index)];
  PlanNode entry;
  entry.module = node.module;
  entry.name = node.name;
  entry.arguments_json = node.arguments_json;
  entry.fingerprint =
      node.kind == TraceNodeKind::kOperator ? node.fingerprint : glue_identity(trace_, index).fingerprint;
  for (const int value : data_inputs(trace_, node))
    entry.input_shapes.push_back(trace_.values[static_cast<std::size_t>(value)].shape);
  for (const int value : node.outputs)
    entry.output_shapes.push_back(trace_.values[static_cast<std::size_t>(value)].shape);
  const auto row = table_.find_operator(entry.fingerprint);
  const int plan_node = static_cast<int>(plan_.nodes.size());
  plan_.nodes.push_back(std::move(entry));
  const bool measured = row != nullptr && row->status == "ok" && !row->contexts.empty();
  if (try_fold(node, plan_node, measured ? row.get() : nullptr)) return;
  if (measured && try_move(node, plan_node, *row)) return;
  if (measured) {
    add_operator(node, plan_node, row);
  } else {
    const std::vector<TraceNodeCost> costs = node.kind == TraceNodeKind::kFunction
                                                 ? trace_costs(extract_trace(trace_, {index}))
                                                 : std::vector<TraceNodeCost>{};
    add_unknown(node, plan_node, costs.empty() ? 0 : static_cast<double>(costs.front().flops) * 1e-6);
  }
}

int Composer::add_kernel(const std::string& key, int plan_node) {
  PlanKernel kernel;
  kernel.signature.key = key;
  kernel.node = plan_node;
  if (const auto row = table_.find_kernel(key)) {
    kernel.signature.type = row->type;
    kernel.signature.attributes = row->attributes;
    kernel.signature.text = row->text;
    kernel.signature.weight_bytes = row->weight_bytes;
    kernel.signature.input_bytes = row->input_bytes;
    kernel.signature.output_bytes = row->output_bytes;
  }
  plan_.kernels.push_back(std::move(kernel));
  dropped_.push_back(false);
  return static_cast<int>(plan_.kernels.size()) - 1;
}

void Composer::add_conversion(ValueState& state, const std::string& key, int plan_node) {
  state.converted = true;
  state.converter = state.writer;
  if (key.empty()) return;
  state.converter = add_kernel(key, plan_node);
  if (state.writer >= 0) plan_.kernels.back().reads.push_back(state.writer);
}

void Composer::drop_kernel(int index) {
  if (index >= 0) dropped_[static_cast<std::size_t>(index)] = true;
}

const ContextRow* Composer::choose_context(const TraceNode& node, const OperatorRow& row, bool* mixed) const {
  const ContextRow* const in_plain = find_context(row, "plain");
  const std::vector<int> inputs = data_inputs(trace_, node);
  int packed = 0, plain = 0;
  for (std::size_t port = 0; port < inputs.size(); ++port) {
    if (!is_float_image(trace_.values[static_cast<std::size_t>(inputs[port])])) continue;
    const ValueState& state = values_[static_cast<std::size_t>(inputs[port])];
    // A copy that begins with another copy's result takes that over, whatever its layout.
    const bool copies = in_plain != nullptr && port < in_plain->inputs.size() &&
                        in_plain->inputs[port].edge_kind == "raster" && state.pending_copy >= 0;
    (state.layout == Layout::kNc4hw4 || (state.born_packed && !copies) ? packed : plain) += 1;
  }
  *mixed = packed > 0 && plain > 0;
  // The engine's own rule: the packed layout where more tensors have it, the model's own layout on a tie.
  const ContextRow* context = find_context(row, packed > plain && !whole_runs_ ? "packed" : "plain");
  return context != nullptr ? context : &row.contexts.front();
}

void Composer::convert_to_packed(int value, const OperatorRow& row, int port, int plan_node) {
  if (whole_runs_) return;
  ValueState& state = values_[static_cast<std::size_t>(value)];
  if (state.layout == Layout::kNc4hw4 || state.converted) return;
  std::string key;
  if (const ContextRow* plain = find_context(row, "plain")) key = find_role(*plain, KernelRole::kInputConvert, port);
  if (key.empty()) {
    if (const ContextRow* packed = find_context(row, "packed")) key = find_role(*packed, KernelRole::kStub, port);
  }
  // The conversion reads what a copy before it would have written: both become one.
  const auto copy = row_of(state.pending_copy), conversion = table_.find_kernel(key);
  if (copy != nullptr && conversion != nullptr) key = known_key(merged_copies(*copy, *conversion), key);
  drop_kernel(state.pending_copy);
  state.pending_copy = -1;
  add_conversion(state, key, plan_node);
}

void Composer::convert_to_plain(int value, int plan_node) {
  if (whole_runs_) return;
  ValueState& state = values_[static_cast<std::size_t>(value)];
  if (state.layout != Layout::kNc4hw4 || state.converted) return;
  add_conversion(state, state.convert_key, plan_node);
  if (state.convert_key.empty()) {
    plan_.doubts.push_back(
        "the conversion of the output of " +
        std::string(state.maker < 0 ? "an input" : plan_.nodes[static_cast<std::size_t>(state.maker)].name) +
        " to the model's layout is not in the table");
  }
}

void Composer::doubt_packed(int plan_node) {
  plan_.doubts.push_back("what " + plan_.nodes[static_cast<std::size_t>(plan_node)].name +
                         " reads may be packed although it has fewer than four dimensions");
}

std::string Composer::known_key(const std::vector<std::string>& texts, const std::string& otherwise) const {
  for (const std::string& text : texts) {
    std::string key = identity_hex(text);
    if (table_.find_kernel(key) != nullptr) return key;
  }
  return otherwise;
}

std::shared_ptr<const KernelRow> Composer::row_of(int kernel) const {
  return kernel < 0 ? nullptr : table_.find_kernel(plan_.kernels[static_cast<std::size_t>(kernel)].signature.key);
}

std::string Composer::merged_key(const ContextRow& context, std::size_t index, const std::vector<int>& copies) const {
  const std::string& own = context.kernel_keys[index];
  if (index >= context.tensors.size()) return own;
  const std::vector<int> reads = FlowNumbers::parse(context.tensors[index]).reads;
  if (reads.size() != 1 || reads.front() < 0 || static_cast<std::size_t>(reads.front()) >= copies.size()) return own;
  const auto copy = row_of(copies[static_cast<std::size_t>(reads.front())]), row = table_.find_kernel(own);
  return copy == nullptr || row == nullptr ? own : known_key(merged_copies(*copy, *row), own);
}

Composer::Arrivals Composer::arrive(const TraceNode& node, int plan_node, const OperatorRow& row,
                                    const ContextRow& context) {
  const std::vector<int> inputs = data_inputs(trace_, node);
  Arrivals arrivals;
  for (std::size_t port = 0; port < inputs.size(); ++port) {
    const int value = inputs[port];
    ValueState& state = values_[static_cast<std::size_t>(value)];
    const PortDesc* desc = port < context.inputs.size() ? &context.inputs[port] : nullptr;
    bool in_other_layout = false;
    if (is_float_image(trace_.values[static_cast<std::size_t>(value)])) {
      const bool wants_packed = context.context == "packed" || (desc != nullptr && desc->layout == Layout::kNc4hw4);
      if (wants_packed) {
        if (state.edge_kind == "joined_groups" && !whole_runs_) {
          plan_.doubts.push_back("what joins the groups of " + plan_.nodes[static_cast<std::size_t>(state.maker)].name +
                                 " writes another layout than where it runs alone");
        }
        convert_to_packed(value, row, static_cast<int>(port), plan_node);
      } else {
        convert_to_plain(value, plan_node);
      }
      in_other_layout = state.converted && wants_packed != (state.layout == Layout::kNc4hw4);
    } else if (state.layout == Layout::kNc4hw4 && (desc == nullptr || desc->edge_kind != "raster")) {
      doubt_packed(plan_node);
    }
    arrivals.writers.push_back(in_other_layout ? state.converter : state.writer);
    arrivals.copies.push_back(-1);
    if (state.pending_copy >= 0) {
      // A copy that is followed by another copy costs nothing of its own: the engine merges the two.
      if (desc != nullptr && desc->edge_kind == "raster") {
        drop_kernel(state.pending_copy);
        arrivals.copies.back() = state.pending_copy;
      } else if (const auto copy = row_of(state.pending_copy); copy != nullptr && drops_trailing_ones(*copy)) {
        doubt_packed(plan_node);
      }
      if (state.uses > 1)
        plan_.doubts.push_back("a reshaped tensor is read more than once (" +
                               plan_.nodes[static_cast<std::size_t>(plan_node)].module + ")");
      state.pending_copy = -1;
    }
  }
  return arrivals;
}

std::vector<int> Composer::group_kernels(int plan_node) const {
  std::vector<int> kernels;
  for (std::size_t i = plan_.kernels.size(); i-- > 0 && plan_.kernels[i].node == plan_node;) {
    const KernelSignature& signature = plan_.kernels[i].signature;
    if (signature.type != "Deconvolution") continue;
    if (!kernels.empty() && signature.key != plan_.kernels[static_cast<std::size_t>(kernels.front())].signature.key)
      break;
    kernels.push_back(static_cast<int>(i));
  }
  return kernels;
}

void Composer::leave_copy(const TraceNode& node, const ContextRow& context, ValueState& state, int last_kernel) {
  if (node.outputs.size() > 1) {
    // Each part of a tensor is a copy of its own. One that several read stays: each would take it over.
    const auto copy = row_of(state.writer);
    const bool is_copy = state.edge_kind == "raster" && copy != nullptr && copy->type == "Raster";
    if (is_copy && state.uses == 1 && !whole_runs_) state.pending_copy = state.writer;
    return;
  }
  state.pending_copy = last_kernel;
  const std::vector<int> inputs = data_inputs(trace_, node);
  const auto bodies = std::count(context.roles.begin(), context.roles.end(), KernelRole::kBody);
  state.copied_value = bodies == 1 && inputs.size() == 1 ? inputs.front() : -1;
  const auto copy = row_of(last_kernel);
  const bool is_plain = state.edge_kind == "raster" && state.layout == Layout::kNchw;
  state.born_packed =
      is_plain && !whole_runs_ && copy != nullptr &&
      joins_packed_channels(memory::KernelText::parse(copy->type, copy->attributes, copy->text, copy->weight_bytes));
}

void Composer::leave(const TraceNode& node, int plan_node, const ContextRow& context, int last_kernel,
                     const Writers& writers) {
  for (std::size_t port = 0; port < node.outputs.size(); ++port) {
    ValueState& state = values_[static_cast<std::size_t>(node.outputs[port])];
    state.maker = plan_node;
    state.writer = state.converter = writers.of_output(port);
    if (port >= context.outputs.size()) continue;
    const PortDesc& desc = context.outputs[port];
    state.layout = desc.layout;
    state.edge_kind = desc.edge_kind;
    state.has_activation = desc.has_activation;
    state.maker_kernels.clear();
    if (last_kernel >= 0) state.maker_kernels.push_back(last_kernel);
    state.convert_key = find_role(context, KernelRole::kOutputConvert, static_cast<int>(port));
    const bool joined = desc.edge_kind == "joined_groups", copied = desc.edge_kind == "raster";
    if (copied || joined) leave_copy(node, context, state, last_kernel);
    if (!joined || whole_runs_) continue;
    // Groups of a transposed convolution: what joins them writes whatever layout is read.
    state.layout = Layout::kNc4hw4;
    state.converted = true;
    state.maker_kernels = group_kernels(plan_node);
  }
}

void Composer::add_operator(const TraceNode& node, int plan_node, const std::shared_ptr<const OperatorRow>& row) {
  bool mixed = false;
  const ContextRow& context = *choose_context(node, *row, &mixed);
  PlanNode& entry = plan_.nodes[static_cast<std::size_t>(plan_node)];
  entry.found = context.context == "packed" ? "table, packed" : "table";
  if (mixed && !whole_runs_) plan_.doubts.push_back("inputs of " + entry.name + " arrive in different layouts");
  const Arrivals arrivals = arrive(node, plan_node, *row, context);
  Writers writers(context, arrivals.writers);
  int last = -1;
  for (std::size_t i = 0; i < context.roles.size(); ++i) {
    if (context.roles[i] != KernelRole::kBody) {
      writers.pass_by(i);
      continue;
    }
    last = add_kernel(merged_key(context, i, arrivals.copies), plan_node);
    plan_.kernels.back().reads = writers.add(i, last);
  }
  leave(node, plan_node, context, last, writers);
  plan_.weight_bytes += context.weight_bytes;
  plan_.file_bytes += context.file_bytes;
  plan_.mflops += context.mflops;
}

void Composer::add_unknown(const TraceNode& node, int plan_node, double mflops) {
  PlanNode& entry = plan_.nodes[static_cast<std::size_t>(plan_node)];
  entry.found = "estimated: not in the table";
  PlanKernel kernel;
  kernel.node = plan_node;
  kernel.mflops = mflops;
  kernel.signature.text = node.name + entry.arguments_json;
  kernel.signature.type = node.name;
  for (const int value : node.inputs) {
    if (value < 0) continue;
    std::int64_t bytes = 4;
    for (const std::int64_t extent : trace_.values[static_cast<std::size_t>(value)].shape) bytes *= extent;
    (trace_.is_constant(value) ? kernel.signature.weight_bytes : kernel.signature.input_bytes) += bytes;
    if (const int writer = values_[static_cast<std::size_t>(value)].writer; writer >= 0) kernel.reads.push_back(writer);
  }
  const int number = static_cast<int>(plan_.kernels.size());
  for (const int value : node.outputs) {
    std::int64_t bytes = 4;
    for (const std::int64_t extent : trace_.values[static_cast<std::size_t>(value)].shape) bytes *= extent;
    kernel.signature.output_bytes += bytes;
    ValueState& state = values_[static_cast<std::size_t>(value)];
    state.maker = plan_node;
    state.writer = state.converter = number;
    // Unknown glue keeps the layout that it is given; what is told by its name alone (a convolution) packs.
    const std::vector<int> inputs = data_inputs(trace_, node);
    const bool packs = node.name.starts_with("conv") || node.name.find("pool") != std::string::npos;
    if (packs || (!inputs.empty() && values_[static_cast<std::size_t>(inputs.front())].layout == Layout::kNc4hw4)) {
      state.layout = trace_.values[static_cast<std::size_t>(value)].shape.size() == 4 ? Layout::kNc4hw4 : Layout::kNchw;
    }
    state.edge_kind = node.name.starts_with("conv") ? "convolution" : "other";
  }
  plan_.kernels.push_back(std::move(kernel));
  dropped_.push_back(false);
  MissingRow missing;
  missing.what = node.name;
  missing.detail = entry.arguments_json;
  missing.node = plan_node;
  plan_.missing.push_back(std::move(missing));
  plan_.weight_bytes += plan_.kernels.back().signature.weight_bytes;
}

void Composer::finish_outputs() {
  for (const int value : trace_.outputs) {
    if (value < 0 || trace_.is_constant(value)) continue;
    const ValueState& state = values_[static_cast<std::size_t>(value)];
    if (is_float_image(trace_.values[static_cast<std::size_t>(value)])) convert_to_plain(value, state.maker);
  }
}

ModelPlan compose(const Trace& trace, LatencyTable& table) { return Composer(trace, table).run(); }

}  // namespace mmt
