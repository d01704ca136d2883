// A trace: what one run of a torch module called, as functions and closed operators between tensors.
//
// The Python side records it (mmt.torch_side.trace); this library turns it into ONNX (mmt/onnx.h) or into a plan.
// Everything is static: shapes, types and arguments are those of the recorded inputs. Format: docs/tracing.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mmt {

/// A tensor of a trace.
struct TraceValue {
  std::vector<std::int64_t> shape;
  std::string dtype = "float32";  ///< torch's name: "float32", "float16", "int64", "int32", "bool", …
  int constant = -1;              ///< Index into the constants kept beside the trace; -1: computed or an input.
};

enum class TraceNodeKind : std::uint8_t {
  kFunction = 0,  ///< One function call, under its canonical name.
  kOperator = 1,  ///< A module that was kept closed.
};

/// One step. Nodes are in execution order; every value has one maker at most (in-place calls make a new value).
struct TraceNode {
  TraceNodeKind kind = TraceNodeKind::kFunction;
  std::string name;         ///< Function: canonical name ("conv2d", "add"). Operator: the class of the module.
  std::string module;       ///< Path of the module that was running: "layers.0.conv"; "" for the traced module itself.
  std::string fingerprint;  ///< Of an operator; "" for functions.
  std::vector<int> inputs;  ///< Values, in the order of docs/tracing.md; -1: an optional tensor that is absent.
  std::string arguments_json = "{}";  ///< The arguments that are no tensors: a JSON object, complete and canonical.
  std::vector<int> outputs;           ///< Values.
};

struct Trace {
  std::vector<TraceValue> values;
  std::vector<TraceNode> nodes;
  std::vector<int> inputs;   ///< Values given by the caller, flattened.
  std::vector<int> outputs;  ///< Values returned, flattened. May name an input, a constant, or a value twice.

  bool is_constant(int value) const { return value >= 0 && values[static_cast<std::size_t>(value)].constant >= 0; }
};

/// Reads the JSON text of a trace and checks it: ids in range, one maker per value, makers before users.
/// Throws Error(kParse) that names the node or value.
Trace read_trace(std::string_view json_text);

/// The same for a trace that was put together elsewhere: checks it, and writes its nodes' arguments with sorted keys.
Trace checked_trace(Trace trace);

/// The JSON text of a trace; `read_trace(write_trace(t))` gives `t` again. Arguments are written with sorted keys.
std::string write_trace(const Trace& trace);

/// What a function node is, wherever it stands: name, arguments, shapes and types of its inputs.
/// Text form: `add{"alpha":1} float32[1,64,56,56] const:float32[64,1,1]`; an absent tensor is `none`.
struct GlueIdentity {
  std::string text;
  std::string fingerprint;  ///< identity_hex("glue " + text): 32 hexadecimal digits.
};

/// Identity of function node `node` (index into trace.nodes). Throws Error(kInvalidArgument) for an operator node or
/// an index out of range.
GlueIdentity glue_identity(const Trace& trace, int node);

/// Cuts nodes out as a trace of their own: values that they use and do not make become inputs (in order of first use;
/// constants stay constants, with their old indices), values that are used outside of them or returned become
/// outputs (all outputs where none is). Throws Error(kInvalidArgument) for an index out of range or an empty list.
Trace extract_trace(const Trace& trace, const std::vector<int>& nodes);

/// Parameters and work of one node.
struct TraceNodeCost {
  std::int64_t parameters = 0;  ///< Elements of its constant float inputs.
  std::int64_t flops = 0;       ///< Floating-point operations, a multiply-add counts as two; 0 for pure data movement.
};

/// Cost of every node, in order. Operator nodes count 0 (their cost is known where they are known).
std::vector<TraceNodeCost> trace_costs(const Trace& trace);

}  // namespace mmt
