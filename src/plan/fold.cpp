// What the converter folds into the kernel before it: an activation, a scaling, or nothing at all.
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "mmt/hash.h"
#include "plan/composer.h"
#include "plan/merge.h"
#include "plan/reads.h"

namespace mmt {
namespace {

enum class Fold { kNone, kRelu, kRelu6, kScaling };

Fold fold_of_function(const TraceNode& node) {
  if (node.name == "relu") return Fold::kRelu;
  if (node.name == "relu6") return Fold::kRelu6;
  if (node.name == "batch_norm") return Fold::kScaling;
  if (node.name == "clamp" || node.name == "hardtanh") {
    const auto arguments = nlohmann::json::parse(node.arguments_json, nullptr, false);
    if (arguments.is_object() && arguments.contains("min") && arguments.contains("max") &&
        arguments["min"].is_number() && arguments["max"].is_number() && arguments["min"] == 0 &&
        arguments["max"] == 6) {
      return Fold::kRelu6;
    }
  }
  return Fold::kNone;
}

bool is_copy(const std::string& key, LatencyTable& table) {
  const auto row = table.find_kernel(key);
  return row != nullptr && row->type == kCopyType;
}

/// An operator folds where the engine runs exactly one foldable kernel for it, and copies of what that reads or writes.
Fold fold_of_operator(const OperatorRow& row, LatencyTable& table) {
  const ContextRow* context = find_context(row, "packed");
  if (context == nullptr) context = find_context(row, "plain");
  if (context == nullptr || context->inputs.size() != 1 || context->outputs.size() != 1) return Fold::kNone;
  std::size_t bodies = 0, copies = 0;
  for (const KernelRole role : context->roles) bodies += role == KernelRole::kBody ? 1 : 0;
  if (bodies == 0 || bodies > 3) return Fold::kNone;
  for (std::size_t i = 0; bodies > 1 && i < context->roles.size(); ++i)
    copies += context->roles[i] == KernelRole::kBody && is_copy(context->kernel_keys[i], table) ? 1 : 0;
  if (bodies - copies != 1) return Fold::kNone;
  const std::string& kind = context->inputs.front().edge_kind;
  if (kind == "relu") return Fold::kRelu;
  if (kind == "relu6") return Fold::kRelu6;
  if (kind == "batch_norm") return Fold::kScaling;
  return Fold::kNone;
}

}  // namespace

std::string with_attribute(const KernelRow& row, const std::string& attribute) {
  // Attributes stand in the order of the file's fields; the activations of a convolution come before its pad lists.
  std::string attributes = row.attributes;
  std::size_t at = attributes.size();
  for (const std::string_view after : {"pads=", "out_pads=", "quant_"}) {
    const std::size_t found = attributes.find(after);
    if (found != std::string::npos && (found == 0 || attributes[found - 1] == ',')) at = std::min(at, found);
  }
  if (at == attributes.size()) {
    attributes += (attributes.empty() ? "" : ",") + attribute;
  } else {
    attributes.insert(at, attribute + ",");
  }
  const std::size_t shapes =
      row.text.find(" [", row.type.size() + (row.attributes.empty() ? 0 : row.attributes.size() + 2));
  return row.type + "{" + attributes + "}" + (shapes == std::string::npos ? "" : row.text.substr(shapes));
}

void Composer::fold_activation(int kernel, const std::string& attribute) {
  PlanKernel& target = plan_.kernels[static_cast<std::size_t>(kernel)];
  target.folded = true;
  const auto row = table_.find_kernel(target.signature.key);
  if (row == nullptr) return;
  // The kernel with the activation has its own row where an operator contained it; else its time is that without,
  // which differs by the clamping of registers only.
  const std::string key = identity_hex(with_attribute(*row, attribute));
  if (const auto folded = table_.find_kernel(key)) {
    target.signature.key = key;
    target.signature.attributes = folded->attributes;
    target.signature.text = folded->text;
  }
}

std::optional<FoldTarget> Composer::fold_target(const ValueState& source) const {
  const auto copy = row_of(source.pending_copy);
  if (copy == nullptr || !copies_whole(*copy))
    return FoldTarget{source.edge_kind, source.has_activation, source.maker_kernels};
  if (source.copied_value >= 0) {
    const ValueState& copied = values_[static_cast<std::size_t>(source.copied_value)];
    if (copied.uses != 1) return std::nullopt;
    return FoldTarget{copied.edge_kind, copied.has_activation, copied.maker_kernels};
  }
  // A reshape at the end of an operator (Linear): whatever the operator computed before it.
  const std::vector<int>& reads = plan_.kernels[static_cast<std::size_t>(source.pending_copy)].reads;
  const KernelSignature* made =
      reads.size() == 1 ? &plan_.kernels[static_cast<std::size_t>(reads.front())].signature : nullptr;
  if (made == nullptr || !made->type.starts_with("Convolution")) return std::nullopt;
  return FoldTarget{"convolution", made->attributes.find("relu") != std::string::npos, reads};
}

bool Composer::try_move(const TraceNode& node, int plan_node, const OperatorRow& row) {
  const ContextRow* plain = find_context(row, "plain");
  const std::vector<int> inputs = data_inputs(trace_, node);
  if (whole_runs_ || plain == nullptr || plain->kernel_keys.size() != 1 || inputs.size() != 1 ||
      node.outputs.size() != 1)
    return false;
  const ValueState source = values_[static_cast<std::size_t>(inputs.front())];
  const auto copy = row_of(source.pending_copy), activation = table_.find_kernel(plain->kernel_keys.front());
  if (source.uses != 1 || copy == nullptr || activation == nullptr || !copies_whole(*copy) ||
      !moves_before_copies(*activation))
    return false;
  const std::string key = known_key({before_copy(*activation, *copy)}, "");
  if (key.empty()) return false;
  const PlanKernel moved = plan_.kernels[static_cast<std::size_t>(source.pending_copy)];
  drop_kernel(source.pending_copy);
  const int computed = add_kernel(key, plan_node);
  plan_.kernels.back().reads = moved.reads;
  const int copied = add_kernel(moved.signature.key, moved.node);
  plan_.kernels.back().reads = {computed};
  ValueState& result = values_[static_cast<std::size_t>(node.outputs.front())];
  const int uses = result.uses;
  result = source;
  result.uses = uses;
  result.edge_kind = "raster";
  result.has_activation = true;
  result.writer = result.converter = result.pending_copy = copied;
  result.copied_value = -1;
  result.maker_kernels = {computed};
  plan_.nodes[static_cast<std::size_t>(plan_node)].found = "table";
  plan_.weight_bytes += plain->weight_bytes;
  plan_.file_bytes += plain->file_bytes;
  plan_.mflops += plain->mflops;
  return true;
}

bool Composer::try_fold(const TraceNode& node, int plan_node, const OperatorRow* row) {
  const Fold fold = row != nullptr                          ? fold_of_operator(*row, table_)
                    : node.kind == TraceNodeKind::kFunction ? fold_of_function(node)
                                                            : Fold::kNone;
  const std::vector<int> inputs = data_inputs(trace_, node);
  if (fold == Fold::kNone || inputs.size() != 1 || node.outputs.size() != 1) return false;
  ValueState& source = values_[static_cast<std::size_t>(inputs.front())];
  // Scalings do not move before reshapes, activations do.
  const std::optional<FoldTarget> target =
      fold == Fold::kScaling ? FoldTarget{source.edge_kind, source.has_activation, source.maker_kernels}
                             : fold_target(source);
  if (source.uses != 1 || source.maker < 0 || !target || target->has_activation) return false;
  const bool into_convolution = target->edge_kind == "convolution" || target->edge_kind == "joined_groups";
  const bool into_binary = target->edge_kind == "binary" && fold == Fold::kRelu;
  if (!into_convolution && !into_binary) return false;
  for (const int kernel : target->kernels) {
    if (fold == Fold::kRelu) fold_activation(kernel, into_binary ? "activation=1" : "relu=1");
    if (fold == Fold::kRelu6) fold_activation(kernel, "relu6=1");
  }
  ValueState& result = values_[static_cast<std::size_t>(node.outputs.front())];
  const int uses = result.uses;
  result = source;
  result.uses = uses;
  result.has_activation = fold != Fold::kScaling;
  const PlanNode& maker = plan_.nodes[static_cast<std::size_t>(source.maker)];
  plan_.nodes[static_cast<std::size_t>(plan_node)].found =
      "folded into " + (maker.module.empty() ? maker.name : maker.module);
  if (row != nullptr) {
    // Its parameters stay in the file, folded into the producer's.
    if (const ContextRow* context = find_context(*row, "plain"))
      plan_.weight_bytes += fold == Fold::kScaling ? 0 : context->weight_bytes;
  }
  return true;
}

}  // namespace mmt
