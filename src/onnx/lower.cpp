// The driver of the lowering: names, constants, stubs and the walk over the nodes.
#include <cmath>
#include <cstring>
#include <limits>

#include "mmt/error.h"
#include "mmt/onnx.h"
#include "onnx/lowering.h"

namespace mmt {
namespace onnx {

const LowerTable& lower_table() {
  static const LowerTable table = [] {
    LowerTable t;
    add_layers(t);
    add_activations(t);
    add_math(t);
    add_reductions(t);
    add_shapes(t);
    add_recurrent(t);
    return t;
  }();
  return table;
}

namespace {

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

template <typename T>
std::string bytes_of(const T* values, std::size_t count) {
  return std::string(reinterpret_cast<const char*>(values), count * sizeof(T));
}

bool is_float(const std::string& dtype) { return dtype == "float32" || dtype == "float16" || dtype == "bfloat16"; }

/// The bits of an IEEE half closest to `value` (ties to even).
std::uint16_t half_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (rest >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (rest < 0x38800000u) {
    const float magnitude = std::fabs(value) * 16777216.0f;  // 2^24: subnormal halves in units of one
    return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(std::nearbyint(magnitude)));
  }
  const std::uint32_t rounded = rest + 0xfffu + ((rest >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

}  // namespace

std::string Lowering::run(const LowerOptions& options) {
  for (const TraceNode& node : trace_.nodes) {
    for (const int value : node.inputs) {
      if (value >= 0) ++uses_[static_cast<std::size_t>(value)];
    }
  }
  for (const int value : trace_.outputs) ++uses_[static_cast<std::size_t>(value)];

  fold_batch_norms();
  declare_inputs(options.context);
  for (std::size_t i = 0; i < trace_.outputs.size(); ++i) {
    std::string& name = names_[static_cast<std::size_t>(trace_.outputs[i])];
    if (name.empty() && !trace_.is_constant(trace_.outputs[i])) name = "output_" + std::to_string(i);
  }
  for (std::size_t n = 0; n < trace_.nodes.size(); ++n) {
    const TraceNode& node = trace_.nodes[n];
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      std::string& name = names_[static_cast<std::size_t>(node.outputs[i])];
      if (!name.empty()) continue;
      name = node.name + "_" + std::to_string(n);
      if (node.outputs.size() > 1) name += "_" + std::to_string(i);
    }
  }
  for (std::size_t n = 0; n < trace_.nodes.size(); ++n) {
    if (const TraceNode* norm = folded_into(static_cast<int>(n))) {
      names_[static_cast<std::size_t>(trace_.nodes[n].outputs[0])] = name_of(norm->outputs[0]);
    }
  }
  for (std::size_t n = 0; n < trace_.nodes.size(); ++n) {
    if (folded_away_[n] == 0) lower_node(static_cast<int>(n));
  }
  declare_outputs();
  return graph_.finish(options.opset, "mmt");
}

void Lowering::declare_inputs(LowerContext context) {
  for (std::size_t i = 0; i < trace_.inputs.size(); ++i) {
    const int id = trace_.inputs[i];
    const TraceValue& value = trace_.values[static_cast<std::size_t>(id)];
    std::string name = "input_" + std::to_string(i);
    if (element_type(value.dtype) == 0) {
      throw Error(ErrorCode::kUnsupported,
                  "input " + std::to_string(i) + ": type " + value.dtype + " has no ONNX form");
    }
    graph_.input(name, value.dtype, value.shape);
    if (context == LowerContext::kPacked && value.shape.size() == 4 && is_float(value.dtype) && is_used(id)) {
      const std::string stub = "mmt_stub_" + std::to_string(i);
      graph_.node("MaxPool", stub, {name}, {stub},
                  {{"ceil_mode", 0},
                   {"dilations", Shape{1, 1}},
                   {"kernel_shape", Shape{1, 1}},
                   {"pads", Shape{0, 0, 0, 0}},
                   {"strides", Shape{1, 1}}});
      name = stub;
    }
    names_[static_cast<std::size_t>(id)] = name;
  }
}

void Lowering::declare_outputs() {
  for (std::size_t i = 0; i < trace_.outputs.size(); ++i) {
    const int id = trace_.outputs[i];
    const TraceValue& value = trace_.values[static_cast<std::size_t>(id)];
    const std::string name = "output_" + std::to_string(i);
    const std::string made = name_of(id);
    if (made != name) graph_.node("Identity", "identity_" + std::to_string(i), {made}, {name}, {});
    graph_.output(name, value.dtype, value.shape);
  }
}

/// As PyTorch's exporter does: a batch norm that alone reads a convolution's result becomes part of its weights.
/// (Converters do the same, but not for every kind of convolution.)
void Lowering::fold_batch_norms() {
  std::vector<int> maker(trace_.values.size(), -1);
  for (std::size_t n = 0; n < trace_.nodes.size(); ++n) {
    const TraceNode& node = trace_.nodes[n];
    for (const int value : node.outputs) maker[static_cast<std::size_t>(value)] = static_cast<int>(n);
    if (node.name != "batch_norm" || node.kind != TraceNodeKind::kFunction || node.inputs.size() != 5) continue;
    const int source = maker[static_cast<std::size_t>(node.inputs[0])];
    if (source < 0 || uses_[static_cast<std::size_t>(node.inputs[0])] != 1) continue;
    const TraceNode& conv = trace_.nodes[static_cast<std::size_t>(source)];
    if (conv.name != "conv1d" && conv.name != "conv2d" && conv.name != "conv3d") continue;
    const auto foldable = [&](const std::vector<int>& inputs) {
      for (std::size_t i = 1; i < inputs.size(); ++i) {
        if (inputs[i] < 0) continue;
        if (!trace_.is_constant(inputs[i]) || trace_.values[static_cast<std::size_t>(inputs[i])].dtype != "float32")
          return false;
      }
      return true;
    };
    if (!foldable(conv.inputs) || !foldable(node.inputs)) continue;
    folded_into_[static_cast<std::size_t>(source)] = static_cast<int>(n);
    folded_away_[n] = 1;
  }
}

void Lowering::lower_node(int index) {
  const TraceNode& node = trace_.nodes[static_cast<std::size_t>(index)];
  Call call(*this, index);
  if (node.kind == TraceNodeKind::kOperator) call.unsupported("it is a closed operator; trace the module opened");
  const auto found = lower_table().find(node.name);
  if (found == lower_table().end()) call.unsupported("the function is not known");
  found->second(call);
}

std::string Lowering::name_of(int value) {
  if (value < 0) return {};
  std::string& name = names_[static_cast<std::size_t>(value)];
  if (name.empty()) {
    const TraceValue& v = trace_.values[static_cast<std::size_t>(value)];
    const std::string_view bytes = constant_data(value);
    name = "constant_" + std::to_string(v.constant);
    graph_.initializer(name, v.dtype, v.shape, bytes);
  }
  return name;
}

std::string_view Lowering::constant_data(int value) const {
  const TraceValue& v = trace_.values[static_cast<std::size_t>(value)];
  if (v.constant < 0 || v.constant >= static_cast<int>(constants_.size())) {
    throw Error(ErrorCode::kInvalidArgument, "value " + std::to_string(value) + " has no constant data (constant " +
                                                 std::to_string(v.constant) + " of " +
                                                 std::to_string(constants_.size()) + ")");
  }
  const ConstantBuffer& buffer = constants_[static_cast<std::size_t>(v.constant)];
  const std::size_t expected = static_cast<std::size_t>(element_count(v.shape)) * element_size(v.dtype);
  if (element_type(v.dtype) == 0) {
    throw Error(ErrorCode::kUnsupported,
                "constant " + std::to_string(v.constant) + ": type " + v.dtype + " has no ONNX form");
  }
  if (buffer.size_bytes != expected || (buffer.data == nullptr && expected != 0)) {
    throw Error(ErrorCode::kInvalidArgument, "constant " + std::to_string(v.constant) + " has " +
                                                 std::to_string(buffer.size_bytes) + " bytes, its shape needs " +
                                                 std::to_string(expected));
  }
  return {static_cast<const char*>(buffer.data), buffer.size_bytes};
}

std::string Lowering::fresh_constant_name(std::string_view hint) {
  return std::string(hint) + "_c" + std::to_string(next_constant_++);
}

std::string Lowering::constant(std::string_view hint, std::string_view dtype, const Shape& shape, std::string data) {
  const std::string name = fresh_constant_name(hint);
  graph_.owned_initializer(name, dtype, shape, std::move(data));
  return name;
}

std::string Lowering::ints(const Shape& values) {
  std::string key = "ints";
  for (const std::int64_t value : values) key += " " + std::to_string(value);
  std::string& name = small_[key];
  if (name.empty()) {
    name =
        constant("ints", "int64", {static_cast<std::int64_t>(values.size())}, bytes_of(values.data(), values.size()));
  }
  return name;
}

std::string Lowering::int_scalar(std::int64_t value) {
  std::string& name = small_["int " + std::to_string(value)];
  if (name.empty()) name = constant("int", "int64", {}, bytes_of(&value, 1));
  return name;
}

std::string Lowering::scalar(double value, std::string_view dtype) {
  const auto key_value = bytes_of(&value, 1);
  std::string& name = small_["scalar " + std::string(dtype) + key_value];
  if (!name.empty()) return name;
  std::string data;
  if (dtype == "float32") {
    const auto v = static_cast<float>(value);
    data = bytes_of(&v, 1);
  } else if (dtype == "float64") {
    data = bytes_of(&value, 1);
  } else if (dtype == "float16") {
    const std::uint16_t v = half_bits(static_cast<float>(value));
    data = bytes_of(&v, 1);
  } else if (dtype == "int64") {
    const auto v = static_cast<std::int64_t>(value);
    data = bytes_of(&v, 1);
  } else if (dtype == "int32") {
    const auto v = static_cast<std::int32_t>(value);
    data = bytes_of(&v, 1);
  } else if (dtype == "bool") {
    data = value != 0 ? std::string(1, '\1') : std::string(1, '\0');
  } else {
    throw Error(ErrorCode::kUnsupported, "a number of type " + std::string(dtype) + " has no ONNX form here");
  }
  name = constant("scalar", dtype, {}, std::move(data));
  return name;
}

std::string Lowering::filled(std::int64_t count, float value) {
  std::string& name = small_["filled " + std::to_string(count) + " " + std::to_string(value)];
  if (name.empty()) {
    const std::vector<float> values(static_cast<std::size_t>(count), value);
    name = constant("filled", "float32", {count}, bytes_of(values.data(), values.size()));
  }
  return name;
}

}  // namespace onnx

std::string lower_to_onnx(const Trace& trace, const std::vector<ConstantBuffer>& constants,
                          const LowerOptions& options) {
  if (options.opset != 17) {
    throw Error(ErrorCode::kUnsupported, "ONNX opset " + std::to_string(options.opset) + " is not written (only 17)");
  }
  return onnx::Lowering(trace, constants).run(options);
}

std::vector<std::string> lowered_functions() {
  std::vector<std::string> names;
  for (const auto& entry : onnx::lower_table()) names.emplace_back(entry.first);
  return names;
}

}  // namespace mmt
