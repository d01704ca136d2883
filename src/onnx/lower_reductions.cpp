// Reductions, and what picks elements by value.
#include "onnx/lowering.h"

namespace mmt::onnx {
namespace {

std::vector<Attribute> reduce_attributes(Call& c) {
  std::vector<Attribute> attributes;
  const Shape axes = c.list("axes");
  if (static_cast<std::int64_t>(axes.size()) < c.rank()) attributes.emplace_back("axes", axes);
  attributes.emplace_back("keepdims", c.flag("keepdim"));
  return attributes;
}

void reduce(Call& c) {
  static const std::map<std::string_view, const char*> kOps = {{"mean", "ReduceMean"},
                                                               {"prod", "ReduceProd"},
                                                               {"amax", "ReduceMax"},
                                                               {"amin", "ReduceMin"},
                                                               {"logsumexp", "ReduceLogSumExp"}};
  c.emit(kOps.at(c.node().name), {c.in(0)}, reduce_attributes(c));
}

/// The one reduction whose axes are an input.
void sum(Call& c) {
  const Shape axes = c.list("axes");
  std::vector<std::string> inputs{c.in(0)};
  if (c.dtype() != c.out_dtype()) inputs[0] = c.step("Cast", inputs, {{"to", element_type(c.out_dtype())}});
  if (static_cast<std::int64_t>(axes.size()) < c.rank()) inputs.push_back(c.ints(axes));
  c.emit("ReduceSum", inputs, {{"keepdims", c.flag("keepdim")}});
}

void norm(Call& c) { c.emit(c.integer("p") == 1 ? "ReduceL1" : "ReduceL2", {c.in(0)}, reduce_attributes(c)); }

void variance(Call& c) {
  const Shape axes = c.list("axes");
  const auto correction = c.integer("correction");
  double count = 1;
  for (const std::int64_t axis : axes) count *= static_cast<double>(c.shape()[static_cast<std::size_t>(axis)]);
  const std::string mean = c.step("ReduceMean", {c.in(0)}, {{"axes", axes}, {"keepdims", 1}});
  const std::string centred = c.step("Sub", {c.in(0), mean});
  const std::string squared = c.step("Mul", {centred, centred});
  const bool root = c.node().name == "std";
  const std::vector<Attribute> attributes{{"axes", axes}, {"keepdims", c.flag("keepdim")}};
  if (correction == 0 && !root) {
    c.emit("ReduceMean", {squared}, attributes);
    return;
  }
  std::string result = c.step("ReduceMean", {squared}, attributes);
  if (correction != 0) {
    const std::string scaled = c.step("Mul", {result, c.scalar(count)});
    const std::string divisor = c.scalar(count - static_cast<double>(correction));
    if (!root) {
      c.emit("Div", {scaled, divisor});
      return;
    }
    result = c.step("Div", {scaled, divisor});
  }
  c.emit("Sqrt", {result});
}

/// all and any of bools, by the least and the greatest of 0 and 1.
void truth(Call& c) {
  const std::string number = c.step("Cast", {c.in(0)}, {{"to", element_type("int32")}});
  const std::string found = c.step(c.node().name == "all" ? "ReduceMin" : "ReduceMax", {number}, reduce_attributes(c));
  c.emit("Cast", {found}, {{"to", element_type("bool")}});
}

void arg_extreme(Call& c) {
  const char* op = c.node().name == "argmax" ? "ArgMax" : "ArgMin";
  if (!c.given("axis")) {
    const std::string flat = c.step("Reshape", {c.in(0), c.ints({-1})}, {{"allowzero", 0}});
    c.emit(op, {flat}, {{"axis", 0}, {"keepdims", 0}, {"select_last_index", 0}});
    return;
  }
  c.emit(op, {c.in(0)}, {{"axis", c.integer("axis")}, {"keepdims", c.flag("keepdim")}, {"select_last_index", 0}});
}

void extreme_with_indices(Call& c) {
  const bool greatest = c.node().name == "max_with_indices";
  const std::int64_t axis = c.integer("axis");
  if (c.output_used(0)) {
    c.emit_to(0, greatest ? "ReduceMax" : "ReduceMin", {c.in(0)},
              {{"axes", Shape{axis}}, {"keepdims", c.flag("keepdim")}});
  }
  if (c.output_used(1)) {
    c.emit_to(1, greatest ? "ArgMax" : "ArgMin", {c.in(0)}, {{"axis", axis}, {"keepdims", c.flag("keepdim")}});
  }
}

void top(Call& c) {
  const std::int64_t axis = c.integer("axis");
  const std::int64_t count = c.node().name == "sort" ? c.shape()[static_cast<std::size_t>(axis)] : c.integer("k");
  c.emit("TopK", {c.in(0), c.ints({count})}, {{"axis", axis}, {"largest", c.flag("largest")}, {"sorted", 1}});
}

void cumsum(Call& c) {
  const auto axis = static_cast<std::int32_t>(c.integer("axis"));
  const std::string where =
      c.lowering().constant("axis", "int32", {}, std::string(reinterpret_cast<const char*>(&axis), sizeof(axis)));
  c.emit("CumSum", {c.in(0), where});
}

}  // namespace

void add_reductions(LowerTable& t) {
  for (const char* name : {"mean", "prod", "amax", "amin", "logsumexp"}) t[name] = reduce;
  t["sum"] = sum;
  t["norm"] = norm;
  t["var"] = t["std"] = variance;
  t["all"] = t["any"] = truth;
  t["argmax"] = t["argmin"] = arg_extreme;
  t["max_with_indices"] = t["min_with_indices"] = extreme_with_indices;
  t["topk"] = t["sort"] = top;
  t["cumsum"] = cumsum;
}

}  // namespace mmt::onnx
