// Activations: as PyTorch's exporter writes them, so that converters recognize them.
#include "onnx/lowering.h"

namespace mmt::onnx {
namespace {

template <const char* const& kOp>
void same(Call& c) {
  c.emit(kOp, {c.in(0)});
}
const char* const kRelu = "Relu";
const char* const kHardSwish = "HardSwish";
const char* const kSigmoid = "Sigmoid";
const char* const kTanh = "Tanh";
const char* const kSelu = "Selu";

void relu6(Call& c) { c.emit("Clip", {c.in(0), c.scalar(0.0), c.scalar(6.0)}); }

void clamp(Call& c) {
  const std::string low = c.given("min") ? c.scalar(c.real("min")) : "";
  const std::string high = c.given("max") ? c.scalar(c.real("max")) : "";
  c.emit("Clip", {c.in(0), low, high});
}

void hardsigmoid(Call& c) { c.emit("HardSigmoid", {c.in(0)}, {{"alpha", 1.0 / 6.0}}); }

void silu(Call& c) {
  const std::string gate = c.step("Sigmoid", {c.in(0)});
  c.emit("Mul", {c.in(0), gate});
}

void mish(Call& c) {
  const std::string soft = c.step("Softplus", {c.in(0)});
  const std::string gate = c.step("Tanh", {soft});
  c.emit("Mul", {c.in(0), gate});
}

void softsign(Call& c) {
  const std::string size = c.step("Abs", {c.in(0)});
  const std::string divisor = c.step("Add", {size, c.scalar(1.0)});
  c.emit("Div", {c.in(0), divisor});
}

void logsigmoid(Call& c) {
  const std::string gate = c.step("Sigmoid", {c.in(0)});
  c.emit("Log", {gate});
}

void tanhshrink(Call& c) {
  const std::string part = c.step("Tanh", {c.in(0)});
  c.emit("Sub", {c.in(0), part});
}

void gelu_tanh(Call& c) {
  const std::string x = c.in(0);
  const std::string squared = c.step("Mul", {x, x});
  const std::string cubed = c.step("Mul", {x, squared});
  const std::string small = c.step("Mul", {c.scalar(0.044715), cubed});
  const std::string sum = c.step("Add", {x, small});
  const std::string scaled = c.step("Mul", {c.scalar(0.7978845608028654), sum});
  const std::string gate = c.step("Tanh", {scaled});
  const std::string shifted = c.step("Add", {c.scalar(1.0), gate});
  const std::string doubled = c.step("Mul", {x, shifted});
  c.emit("Mul", {c.scalar(0.5), doubled});
}

void gelu(Call& c) {
  if (c.text("approximate") == "tanh") {
    gelu_tanh(c);
    return;
  }
  const std::string scaled = c.step("Div", {c.in(0), c.scalar(1.4142135381698608)});
  const std::string error = c.step("Erf", {scaled});
  const std::string shifted = c.step("Add", {error, c.scalar(1.0)});
  const std::string doubled = c.step("Mul", {c.in(0), shifted});
  c.emit("Mul", {doubled, c.scalar(0.5)});
}

void leaky_relu(Call& c) { c.emit("LeakyRelu", {c.in(0)}, {{"alpha", c.real("slope")}}); }
void elu(Call& c) { c.emit("Elu", {c.in(0)}, {{"alpha", c.real("alpha")}}); }
void celu(Call& c) { c.emit("Celu", {c.in(0)}, {{"alpha", c.real("alpha")}}); }

void softplus(Call& c) {
  const double beta = c.real("beta");
  if (beta == 1.0) {
    c.emit("Softplus", {c.in(0)});
    return;
  }
  const std::string scaled = c.step("Mul", {c.in(0), c.scalar(beta)});
  const std::string soft = c.step("Softplus", {scaled});
  c.emit("Div", {soft, c.scalar(beta)});
}

void hardshrink(Call& c) {
  const double lambda = c.real("lambda");
  const std::string above = c.step("Greater", {c.in(0), c.scalar(lambda)});
  const std::string below = c.step("Less", {c.in(0), c.scalar(-lambda)});
  const std::string kept = c.step("Or", {above, below});
  c.emit("Where", {kept, c.in(0), c.scalar(0.0)});
}

void softshrink(Call& c) {
  const double lambda = c.real("lambda");
  const std::string above = c.step("Greater", {c.in(0), c.scalar(lambda)});
  const std::string lowered = c.step("Sub", {c.in(0), c.scalar(lambda)});
  const std::string upper = c.step("Where", {above, lowered, c.scalar(0.0)});
  const std::string below = c.step("Less", {c.in(0), c.scalar(-lambda)});
  const std::string raised = c.step("Add", {c.in(0), c.scalar(lambda)});
  const std::string lower = c.step("Where", {below, raised, c.scalar(0.0)});
  c.emit("Add", {upper, lower});
}

void prelu(Call& c) {
  if (!c.is_constant(1)) c.unsupported("its slopes are computed");
  Shape shape{c.shape(1).empty() ? 1 : c.shape(1)[0]};
  for (std::int64_t i = 2; i < c.rank(); ++i) shape.push_back(1);
  const std::string slopes = c.lowering().constant("slopes", c.dtype(1), shape, std::string(c.data(1)));
  c.emit("PRelu", {c.in(0), slopes});
}

void glu(Call& c) {
  const std::vector<std::string> halves = c.steps("Split", {c.in(0)}, 2, {{"axis", c.integer("axis")}});
  const std::string gate = c.step("Sigmoid", {halves[1]});
  c.emit("Mul", {halves[0], gate});
}

/// Softmax over the last axis is written with axis -1, as nearly every model does.
std::int64_t axis_from_end(Call& c) {
  const std::int64_t axis = c.integer("axis");
  return axis == c.rank() - 1 ? -1 : axis;
}

void softmax(Call& c) { c.emit("Softmax", {c.in(0)}, {{"axis", axis_from_end(c)}}); }
void log_softmax(Call& c) { c.emit("LogSoftmax", {c.in(0)}, {{"axis", axis_from_end(c)}}); }

}  // namespace

void add_activations(LowerTable& t) {
  t["relu"] = same<kRelu>;
  t["hardswish"] = same<kHardSwish>;
  t["sigmoid"] = same<kSigmoid>;
  t["tanh"] = same<kTanh>;
  t["selu"] = same<kSelu>;
  t["relu6"] = relu6;
  t["clamp"] = clamp;
  t["hardsigmoid"] = hardsigmoid;
  t["silu"] = silu;
  t["mish"] = mish;
  t["softsign"] = softsign;
  t["logsigmoid"] = logsigmoid;
  t["tanhshrink"] = tanhshrink;
  t["gelu"] = gelu;
  t["leaky_relu"] = leaky_relu;
  t["elu"] = elu;
  t["celu"] = celu;
  t["softplus"] = softplus;
  t["hardshrink"] = hardshrink;
  t["softshrink"] = softshrink;
  t["prelu"] = prelu;
  t["glu"] = glu;
  t["softmax"] = softmax;
  t["log_softmax"] = log_softmax;
}

}  // namespace mmt::onnx
