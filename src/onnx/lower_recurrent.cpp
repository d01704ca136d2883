// LSTM, GRU and RNN: one ONNX node per layer, with torch's weights in ONNX's order of gates.
#include <array>

#include "onnx/lowering.h"

namespace mmt::onnx {
namespace {

/// Where ONNX's gate number i stands in torch's weights.
std::vector<int> gate_order(const std::string& name) {
  if (name == "lstm") return {0, 3, 1, 2};  // input, output, forget, cell of input, forget, cell, output
  if (name == "gru") return {1, 0, 2};      // update, reset, new of reset, update, new
  return {0};
}

/// One direction's parameter with its gates put into ONNX's order.
std::string reordered(Call& c, std::size_t input, const std::vector<int>& order) {
  if (!c.is_constant(input)) c.unsupported("its weights are computed");
  const std::string_view data = c.data(input);
  const std::size_t gate = data.size() / order.size();
  std::string result;
  result.reserve(data.size());
  for (const int position : order) result.append(data.substr(static_cast<std::size_t>(position) * gate, gate));
  return result;
}

struct Layer {
  std::string output, hidden, cell;
};

/// The state of one layer: [directions, batch, hidden] of [layers * directions, batch, hidden].
std::string layer_state(Call& c, std::size_t input, std::int64_t layer, std::int64_t directions) {
  const Shape& shape = c.shape(input);
  if (shape[0] == directions) return c.in(input);
  if (c.is_constant(input)) {
    const std::string_view data = c.data(input);
    const std::size_t size = data.size() / static_cast<std::size_t>(shape[0] / directions);
    return c.lowering().constant("state", c.dtype(input), {directions, shape[1], shape[2]},
                                 std::string(data.substr(static_cast<std::size_t>(layer) * size, size)));
  }
  return c.step("Slice", {c.in(input), c.ints({layer * directions}), c.ints({(layer + 1) * directions}), c.ints({0})});
}

Layer lower_layer(Call& c, const std::string& x, std::int64_t layer, bool last) {
  const std::string& name = c.node().name;
  const bool lstm = name == "lstm";
  const std::int64_t directions = c.flag("bidirectional") ? 2 : 1;
  const std::int64_t hidden = c.integer("hidden");
  const bool bias = c.flag("bias");
  const std::vector<int> order = gate_order(name);
  const std::size_t per_direction = bias ? 4 : 2;
  const std::size_t first = 1 + (lstm ? 2 : 1) + static_cast<std::size_t>(layer * directions) * per_direction;

  std::string w, r, b;
  for (std::int64_t d = 0; d < directions; ++d) {
    const std::size_t at = first + static_cast<std::size_t>(d) * per_direction;
    w += reordered(c, at, order);
    r += reordered(c, at + 1, order);
    if (bias) b += reordered(c, at + 2, order) + reordered(c, at + 3, order);
  }
  const std::int64_t rows = hidden * static_cast<std::int64_t>(order.size());
  std::vector<std::string> inputs{
      x,
      c.lowering().constant("w", c.dtype(first), {directions, rows, c.shape(first)[1]}, std::move(w)),
      c.lowering().constant("r", c.dtype(first), {directions, rows, hidden}, std::move(r)),
      bias ? c.lowering().constant("b", c.dtype(first), {directions, 2 * rows}, std::move(b)) : "",
      "",
      layer_state(c, 1, layer, directions)};
  if (lstm) inputs.push_back(layer_state(c, 2, layer, directions));

  std::vector<Attribute> attributes;
  if (name == "rnn") {
    const std::string activation = c.text("nonlinearity") == "relu" ? "Relu" : "Tanh";
    attributes.emplace_back("activations", std::vector<std::string>(static_cast<std::size_t>(directions), activation));
  }
  if (directions == 2) attributes.emplace_back("direction", "bidirectional");
  attributes.emplace_back("hidden_size", hidden);
  if (name == "gru") attributes.emplace_back("linear_before_reset", 1);
  const std::vector<std::string> outputs = c.steps(lstm            ? "LSTM"
                                                   : name == "gru" ? "GRU"
                                                                   : "RNN",
                                                   inputs, lstm ? 3 : 2, attributes);

  Layer result;
  result.hidden = outputs[1];
  if (lstm) result.cell = outputs[2];
  // [time, directions, batch, hidden] -> [time, batch, directions * hidden]
  const bool ends_here = last && !c.flag("batch_first");
  if (ends_here && !c.output_used(0)) return result;
  std::vector<std::string> join_inputs{outputs[0], c.ints({1})};
  std::string join = "Squeeze";
  std::vector<Attribute> join_attributes;
  if (directions == 2) {
    join_inputs = {c.step("Transpose", {outputs[0]}, {{"perm", Shape{0, 2, 1, 3}}}), c.ints({0, 0, -1})};
    join = "Reshape";
    join_attributes.emplace_back("allowzero", 0);
  }
  if (ends_here) {
    c.emit_to(0, join, join_inputs, join_attributes);
  } else if (!last || c.output_used(0)) {
    result.output = c.step(join, join_inputs, join_attributes);
  }
  return result;
}

void recurrent(Call& c) {
  const std::int64_t layers = c.integer("layers");
  const bool batch_first = c.flag("batch_first");
  const bool lstm = c.node().name == "lstm";
  std::string x = c.in(0);
  if (batch_first) x = c.step("Transpose", {x}, {{"perm", Shape{1, 0, 2}}});
  std::vector<std::string> hidden, cell;
  for (std::int64_t i = 0; i < layers; ++i) {
    const Layer layer = lower_layer(c, x, i, i + 1 == layers);
    x = layer.output;
    hidden.push_back(layer.hidden);
    if (lstm) cell.push_back(layer.cell);
  }
  if (batch_first && c.output_used(0)) c.emit_to(0, "Transpose", {x}, {{"perm", Shape{1, 0, 2}}});
  const auto join = [&](std::size_t output, const std::vector<std::string>& parts) {
    if (!c.output_used(output)) return;
    if (parts.size() == 1) {
      c.emit_to(output, "Identity", parts);
    } else {
      c.emit_to(output, "Concat", parts, {{"axis", 0}});
    }
  };
  join(1, hidden);
  if (lstm) join(2, cell);
}

}  // namespace

void add_recurrent(LowerTable& t) { t["lstm"] = t["gru"] = t["rnn"] = recurrent; }

}  // namespace mmt::onnx
