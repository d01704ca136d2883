// Identity of glue operators, and cutting them out.
#include <algorithm>
#include <set>

#include "mmt/error.h"
#include "mmt/hash.h"
#include "mmt/trace.h"

namespace mmt {
namespace {

const TraceNode& node_at(const Trace& trace, int node) {
  if (node < 0 || node >= static_cast<int>(trace.nodes.size())) {
    throw Error(ErrorCode::kInvalidArgument, "trace: node " + std::to_string(node) + " does not exist (there are " +
                                                 std::to_string(trace.nodes.size()) + ")");
  }
  return trace.nodes[static_cast<std::size_t>(node)];
}

void append_value(std::string& text, const Trace& trace, int value) {
  text += ' ';
  if (value < 0) {
    text += "none";
    return;
  }
  const TraceValue& v = trace.values[static_cast<std::size_t>(value)];
  if (v.constant >= 0) text += "const:";
  text += v.dtype;
  text += '[';
  for (std::size_t i = 0; i < v.shape.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(v.shape[i]);
  }
  text += ']';
}

}  // namespace

GlueIdentity glue_identity(const Trace& trace, int node_index) {
  const TraceNode& node = node_at(trace, node_index);
  if (node.kind != TraceNodeKind::kFunction) {
    throw Error(ErrorCode::kInvalidArgument, "trace: node " + std::to_string(node_index) + " (" + node.name +
                                                 ") is an operator, which has a fingerprint of its own");
  }
  GlueIdentity identity;
  identity.text = node.name + node.arguments_json;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    append_value(identity.text, trace, node.inputs[i]);
    // The same tensor given twice is another operator than two tensors.
    const auto first =
        std::find(node.inputs.begin(), node.inputs.begin() + static_cast<std::ptrdiff_t>(i), node.inputs[i]);
    const auto position = first - node.inputs.begin();
    if (node.inputs[i] >= 0 && position < static_cast<std::ptrdiff_t>(i))
      identity.text += "=" + std::to_string(position);
  }
  identity.fingerprint = identity_hex("glue " + identity.text);
  return identity;
}

Trace extract_trace(const Trace& trace, const std::vector<int>& nodes) {
  if (nodes.empty()) throw Error(ErrorCode::kInvalidArgument, "trace: no nodes to extract");
  const std::set<int> chosen(nodes.begin(), nodes.end());
  std::set<int> used, made;
  for (const int n : chosen) {
    const TraceNode& node = node_at(trace, n);
    for (const int value : node.inputs) {
      if (value >= 0) used.insert(value);
    }
    made.insert(node.outputs.begin(), node.outputs.end());
  }
  std::set<int> wanted(trace.outputs.begin(), trace.outputs.end());  // made inside and needed outside
  for (int n = 0; n < static_cast<int>(trace.nodes.size()); ++n) {
    if (chosen.count(n) != 0) continue;
    const auto& inputs = trace.nodes[static_cast<std::size_t>(n)].inputs;
    wanted.insert(inputs.begin(), inputs.end());
  }

  Trace part;
  std::vector<int> renamed(trace.values.size(), -1);
  std::set<int> all = used;
  all.insert(made.begin(), made.end());
  for (const int value : all) {  // ascending: new ids keep the order of the old ones
    renamed[static_cast<std::size_t>(value)] = static_cast<int>(part.values.size());
    part.values.push_back(trace.values[static_cast<std::size_t>(value)]);
  }
  const auto rename = [&](int value) { return value < 0 ? -1 : renamed[static_cast<std::size_t>(value)]; };
  for (const int n : chosen) {
    TraceNode node = trace.nodes[static_cast<std::size_t>(n)];
    for (int& value : node.inputs) {
      const int old = value;
      value = rename(old);
      const bool from_outside = old >= 0 && !trace.is_constant(old) && made.count(old) == 0;
      if (from_outside && std::find(part.inputs.begin(), part.inputs.end(), value) == part.inputs.end()) {
        part.inputs.push_back(value);
      }
    }
    for (int& value : node.outputs) {
      if (wanted.count(value) != 0) part.outputs.push_back(rename(value));
      value = rename(value);
    }
    part.nodes.push_back(std::move(node));
  }
  if (part.outputs.empty()) {
    for (const TraceNode& node : part.nodes)
      part.outputs.insert(part.outputs.end(), node.outputs.begin(), node.outputs.end());
  }
  return part;
}

}  // namespace mmt
