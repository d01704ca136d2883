// What the lowering of one function sees: its node, its arguments, and a graph to write into.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mmt/onnx.h"
#include "mmt/trace.h"
#include "onnx/graph_writer.h"

namespace mmt::onnx {

using Json = nlohmann::json;

/// The ONNX graph under construction and the names of the trace's values in it.
class Lowering {
 public:
  Lowering(const Trace& trace, const std::vector<ConstantBuffer>& constants) : trace_(trace), constants_(constants) {
    names_.resize(trace.values.size());
    uses_.resize(trace.values.size());
    folded_into_.assign(trace.nodes.size(), -1);
    folded_away_.resize(trace.nodes.size());
  }

  /// Lowers everything and gives the bytes of the model.
  std::string run(const LowerOptions& options);

  const Trace& trace() const { return trace_; }
  GraphWriter& graph() { return graph_; }

  /// The name of a value; a constant is written as initializer where it is first named. "" for -1.
  std::string name_of(int value);
  bool is_used(int value) const { return uses_[static_cast<std::size_t>(value)] > 0; }
  /// The batch norm that goes into the weights of convolution `node`; null where there is none.
  const TraceNode* folded_into(int node) const {
    const int found = folded_into_[static_cast<std::size_t>(node)];
    return found < 0 ? nullptr : &trace_.nodes[static_cast<std::size_t>(found)];
  }

  /// The bytes of a constant value. Throws where the value is none, or its buffer has the wrong size.
  std::string_view constant_data(int value) const;

  /// Small constants that nodes need; equal ones are written once.
  std::string ints(const Shape& values);
  std::string int_scalar(std::int64_t value);
  /// A number of rank 0 (or of shape [1]) in a dtype.
  std::string scalar(double value, std::string_view dtype);
  /// `count` equal numbers, float32.
  std::string filled(std::int64_t count, float value);
  /// Any constant; `hint` becomes part of its name.
  std::string constant(std::string_view hint, std::string_view dtype, const Shape& shape, std::string data);

 private:
  friend class Call;
  void declare_inputs(LowerContext context);
  void declare_outputs();
  void fold_batch_norms();
  void lower_node(int index);
  std::string fresh_constant_name(std::string_view hint);

  const Trace& trace_;
  const std::vector<ConstantBuffer>& constants_;
  GraphWriter graph_;
  std::vector<std::string> names_;
  std::vector<int> uses_;                     // per value, returning it counted
  std::vector<int> folded_into_;              // per node: the batch norm that it takes in, -1
  std::vector<char> folded_away_;             // per node: it is part of a convolution
  std::map<std::string, std::string> small_;  // content -> name
  int next_constant_ = 0;
};

/// One function call being lowered.
class Call {
 public:
  Call(Lowering& lowering, int index);

  Lowering& lowering() { return lowering_; }
  const TraceNode& node() const { return node_; }
  int index() const { return index_; }

  std::size_t input_count() const { return node_.inputs.size(); }
  bool has(std::size_t i) const { return i < node_.inputs.size() && node_.inputs[i] >= 0; }
  std::string in(std::size_t i) { return has(i) ? lowering_.name_of(node_.inputs[i]) : std::string(); }
  std::vector<std::string> all_inputs();
  const Shape& shape(std::size_t i = 0) const { return value(node_.inputs.at(i)).shape; }
  const std::string& dtype(std::size_t i = 0) const { return value(node_.inputs.at(i)).dtype; }
  std::int64_t rank(std::size_t i = 0) const { return static_cast<std::int64_t>(shape(i).size()); }
  bool is_constant(std::size_t i) const { return has(i) && lowering_.trace().is_constant(node_.inputs[i]); }
  std::string_view data(std::size_t i) const { return lowering_.constant_data(node_.inputs[i]); }

  const Shape& out_shape(std::size_t i = 0) const { return value(node_.outputs.at(i)).shape; }
  const std::string& out_dtype(std::size_t i = 0) const { return value(node_.outputs.at(i)).dtype; }
  std::size_t output_count() const { return node_.outputs.size(); }
  bool output_used(std::size_t i) const { return lowering_.is_used(node_.outputs.at(i)); }
  std::string out(std::size_t i = 0) { return lowering_.name_of(node_.outputs.at(i)); }

  // Arguments; a missing or ill-typed one is Error(kParse).
  std::int64_t integer(const char* name) const;
  double real(const char* name) const;
  bool flag(const char* name) const;
  std::string text(const char* name) const;
  Shape list(const char* name) const;
  bool given(const char* name) const;  ///< Present and not null.
  const Json& argument(const char* name) const;

  /// Writes a node for the call's output(s): named after the call.
  void emit(std::string_view op_type, const std::vector<std::string>& inputs,
            const std::vector<Attribute>& attributes = {});
  void emit_to(std::size_t output, std::string_view op_type, const std::vector<std::string>& inputs,
               const std::vector<Attribute>& attributes = {});
  /// Writes an inner node and gives the name of its output.
  std::string step(std::string_view op_type, const std::vector<std::string>& inputs,
                   const std::vector<Attribute>& attributes = {});
  std::vector<std::string> steps(std::string_view op_type, const std::vector<std::string>& inputs, std::size_t outputs,
                                 const std::vector<Attribute>& attributes = {});
  std::string fresh_name(std::string_view op_type);

  std::string ints(const Shape& values) { return lowering_.ints(values); }
  /// A number of rank 0 in the dtype of the call's (first) input.
  std::string scalar(double value) { return lowering_.scalar(value, dtype()); }

  /// Throws Error(kUnsupported) naming function, module and `reason`.
  [[noreturn]] void unsupported(const std::string& reason) const;

 private:
  const TraceValue& value(int id) const { return lowering_.trace().values[static_cast<std::size_t>(id)]; }

  Lowering& lowering_;
  const TraceNode& node_;
  int index_;
  std::string prefix_;
  int steps_ = 0;
  Json arguments_;
};

using LowerFunction = void (*)(Call&);
using LowerTable = std::map<std::string_view, LowerFunction>;

void add_layers(LowerTable& table);
void add_activations(LowerTable& table);
void add_math(LowerTable& table);
void add_reductions(LowerTable& table);
void add_shapes(LowerTable& table);
void add_recurrent(LowerTable& table);
const LowerTable& lower_table();

}  // namespace mmt::onnx
