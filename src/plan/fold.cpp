// What the converter folds into the kernel before it: an activation, a scaling, or nothing at all.
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "mmt/hash.h"
#include "plan/composer.h"

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

/// An operator folds where the engine runs exactly one foldable kernel for it.
Fold fold_of_operator(const OperatorRow& row) {
  const ContextRow* context = find_context(row, "packed");
  if (context == nullptr) context = find_context(row, "plain");
  if (context == nullptr || context->inputs.size() != 1 || context->outputs.size() != 1) return Fold::kNone;
  int body = 0;
  for (const KernelRole role : context->roles) body += role == KernelRole::kBody ? 1 : 0;
  if (body != 1) return Fold::kNone;
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

bool Composer::try_fold(const TraceNode& node, int plan_node, const OperatorRow* row) {
  const Fold fold = row != nullptr                          ? fold_of_operator(*row)
                    : node.kind == TraceNodeKind::kFunction ? fold_of_function(node)
                                                            : Fold::kNone;
  const std::vector<int> inputs = data_inputs(node);
  if (fold == Fold::kNone || inputs.size() != 1 || node.outputs.size() != 1) return false;
  ValueState& source = values_[static_cast<std::size_t>(inputs.front())];
  const bool into_convolution =
      (source.edge_kind == "convolution" || source.edge_kind == "joined_groups") && !source.has_activation;
  const bool into_binary = source.edge_kind == "binary" && !source.has_activation && fold == Fold::kRelu;
  if (source.uses != 1 || source.maker < 0 || !(into_convolution || into_binary)) return false;
  for (const int kernel : source.maker_kernels) {
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
