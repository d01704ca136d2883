// Arithmetic, comparison, selection, types and matrix products.
#include "onnx/lowering.h"

namespace mmt::onnx {
namespace {

bool is_float(const std::string& dtype) { return dtype.rfind("float", 0) == 0 || dtype == "bfloat16"; }

std::string as_type(Call& c, const std::string& name, const std::string& from, const std::string& to) {
  if (from == to) return name;
  if (element_type(to) == 0) c.unsupported("type " + to);
  return c.step("Cast", {name}, {{"to", element_type(to)}});
}

/// The two sides of a binary function in a common type; scalars become constants.
std::pair<std::string, std::string> operands(Call& c, const std::string& dtype) {
  if (c.given("other")) return {as_type(c, c.in(0), c.dtype(0), dtype), c.lowering().scalar(c.real("other"), dtype)};
  if (c.given("self")) return {c.lowering().scalar(c.real("self"), dtype), as_type(c, c.in(0), c.dtype(0), dtype)};
  return {as_type(c, c.in(0), c.dtype(0), dtype), as_type(c, c.in(1), c.dtype(1), dtype)};
}

void add_or_sub(Call& c) {
  auto [left, right] = operands(c, c.out_dtype());
  if (c.given("alpha")) {
    const double alpha = c.real("alpha");
    right = c.given("other") ? c.lowering().scalar(alpha * c.real("other"), c.out_dtype())
                             : c.step("Mul", {right, c.lowering().scalar(alpha, c.out_dtype())});
  }
  c.emit(c.node().name == "add" ? "Add" : "Sub", {left, right});
}

void mul(Call& c) {
  const auto [left, right] = operands(c, c.out_dtype());
  if (c.out_dtype() == "bool") {
    c.emit("And", {left, right});
    return;
  }
  if (c.given("self")) {
    c.emit("Mul", {right, left});
    return;
  }
  c.emit("Mul", {left, right});
}

void div(Call& c) {
  if (c.given("self")) {  // torch divides a number by a tensor as reciprocal times number
    const std::string inverse = c.step("Reciprocal", {as_type(c, c.in(0), c.dtype(0), c.out_dtype())});
    c.emit("Mul", {inverse, c.lowering().scalar(c.real("self"), c.out_dtype())});
    return;
  }
  const auto [left, right] = operands(c, c.out_dtype());
  c.emit("Div", {left, right});
}

void pow(Call& c) {
  const auto [left, right] = operands(c, c.out_dtype());
  c.emit("Pow", {left, right});
}

void maximum(Call& c) {
  const auto [left, right] = operands(c, c.out_dtype());
  c.emit(c.node().name == "maximum" ? "Max" : "Min", {left, right});
}

void floor_divide(Call& c) {
  const auto [left, right] = operands(c, c.out_dtype());
  if (!is_float(c.out_dtype())) {
    c.emit("Div", {left, right});
    return;
  }
  const std::string quotient = c.step("Div", {left, right});
  c.emit("Floor", {quotient});
}

void remainder(Call& c) {
  const auto [left, right] = operands(c, c.out_dtype());
  if (!is_float(c.out_dtype())) {
    c.emit("Mod", {left, right}, {{"fmod", 0}});
    return;
  }
  const std::string quotient = c.step("Div", {left, right});
  const std::string whole = c.step("Floor", {quotient});
  const std::string taken = c.step("Mul", {whole, right});
  c.emit("Sub", {left, taken});
}

/// The type in which two operands are compared.
std::string common_type(Call& c) {
  if (c.given("other") || c.given("self")) {
    const Json& value = c.argument(c.given("other") ? "other" : "self");
    const bool whole = value.is_number_integer() || value.is_boolean();
    return is_float(c.dtype()) || (whole && c.dtype() != "bool") ? c.dtype() : value.is_boolean() ? "bool" : "float32";
  }
  if (c.dtype(0) == c.dtype(1)) return c.dtype(0);
  if (is_float(c.dtype(0))) return c.dtype(0);
  if (is_float(c.dtype(1))) return c.dtype(1);
  return "int64";
}

void compare(Call& c) {
  static const std::map<std::string_view, const char*> kOps = {
      {"eq", "Equal"}, {"gt", "Greater"}, {"ge", "GreaterOrEqual"}, {"lt", "Less"}, {"le", "LessOrEqual"}};
  const auto [left, right] = operands(c, common_type(c));
  if (c.node().name == "ne") {
    const std::string equal = c.step("Equal", {left, right});
    c.emit("Not", {equal});
    return;
  }
  c.emit(kOps.at(c.node().name), {left, right});
}

void logic(Call& c) {
  static const std::map<std::string_view, const char*> kOps = {
      {"logical_and", "And"}, {"logical_or", "Or"}, {"logical_xor", "Xor"}};
  const auto [left, right] = operands(c, "bool");
  c.emit(kOps.at(c.node().name), {left, right});
}

void unary(Call& c) {
  static const std::map<std::string_view, const char*> kOps = {{"neg", "Neg"},        {"abs", "Abs"},
                                                               {"exp", "Exp"},        {"log", "Log"},
                                                               {"sqrt", "Sqrt"},      {"erf", "Erf"},
                                                               {"sin", "Sin"},        {"cos", "Cos"},
                                                               {"tan", "Tan"},        {"asin", "Asin"},
                                                               {"acos", "Acos"},      {"atan", "Atan"},
                                                               {"sinh", "Sinh"},      {"cosh", "Cosh"},
                                                               {"asinh", "Asinh"},    {"acosh", "Acosh"},
                                                               {"atanh", "Atanh"},    {"floor", "Floor"},
                                                               {"ceil", "Ceil"},      {"round", "Round"},
                                                               {"sign", "Sign"},      {"reciprocal", "Reciprocal"},
                                                               {"logical_not", "Not"}};
  c.emit(kOps.at(c.node().name), {as_type(c, c.in(0), c.dtype(), c.out_dtype() == "bool" ? c.dtype() : c.out_dtype())});
}

/// As torch's exporter writes it: the angle by the quotient, put into the right quadrant.
void atan2(Call& c) {
  const auto [y, x] = operands(c, c.out_dtype());
  const std::string pi = c.lowering().scalar(3.141592653589793, c.out_dtype());
  const std::string zero = c.lowering().scalar(0.0, c.out_dtype());
  const std::string angle = c.step("Atan", {c.step("Div", {y, x})});
  const std::string above = c.step("Greater", {y, zero});
  const std::string up = c.step("Add", {angle, pi});
  const std::string down = c.step("Sub", {angle, pi});
  const std::string turned = c.step("Where", {above, up, down});
  const std::string left = c.step("Less", {x, zero});
  c.emit("Where", {left, turned, angle});
}

void square(Call& c) { c.emit("Mul", {c.in(0), c.in(0)}); }

void rsqrt(Call& c) {
  const std::string root = c.step("Sqrt", {c.in(0)});
  c.emit("Div", {c.scalar(1.0), root});
}

void log1p(Call& c) {
  const std::string shifted = c.step("Add", {c.scalar(1.0), c.in(0)});
  c.emit("Log", {shifted});
}

void expm1(Call& c) {
  const std::string power = c.step("Exp", {c.in(0)});
  c.emit("Sub", {power, c.scalar(1.0)});
}

void erfc(Call& c) {
  const std::string error = c.step("Erf", {c.in(0)});
  c.emit("Sub", {c.scalar(1.0), error});
}

void log_of_base(Call& c) {
  const std::string natural = c.step("Log", {c.in(0)});
  c.emit("Div", {natural, c.scalar(c.node().name == "log2" ? 0.693147180559945 : 2.302585092994046)});
}

void trunc(Call& c) {
  const std::string whole = c.step("Cast", {c.in(0)}, {{"to", element_type("int64")}});
  c.emit("Cast", {whole}, {{"to", element_type(c.dtype())}});
}

void cast(Call& c) {
  const int type = element_type(c.text("dtype"));
  if (type == 0) c.unsupported("type " + c.text("dtype"));
  c.emit("Cast", {c.in(0)}, {{"to", type}});
}

void where(Call& c) {
  const auto side = [&](std::size_t input, const char* name) {
    return c.has(input) ? as_type(c, c.in(input), c.dtype(input), c.out_dtype())
                        : c.lowering().scalar(c.real(name), c.out_dtype());
  };
  const std::string chosen = side(1, "self");
  c.emit("Where", {c.in(0), chosen, side(2, "other")});
}

void masked_fill(Call& c) {
  if (c.dtype(1) != "bool") c.unsupported("the mask is not bool");
  const std::string mask = c.step("Cast", {c.in(1)}, {{"to", element_type("bool")}});
  c.emit("Where", {mask, c.scalar(c.real("value")), c.in(0)});
}

void triangle(Call& c) {
  c.emit("Trilu", {c.in(0), c.lowering().int_scalar(c.integer("diagonal"))}, {{"upper", c.node().name == "triu"}});
}

void matmul(Call& c) { c.emit("MatMul", {c.in(0), c.in(1)}); }

void addmm(Call& c) {
  c.emit("Gemm", {c.in(1), c.in(2), c.in(0)}, {{"alpha", c.real("alpha")}, {"beta", c.real("beta")}});
}

void baddbmm(Call& c) {
  const std::string product = c.step("MatMul", {c.in(1), c.in(2)});
  const std::string scaled = c.step("Mul", {product, c.scalar(c.real("alpha"))});
  const double beta = c.real("beta");
  const std::string added = beta == 1.0 ? c.in(0) : c.step("Mul", {c.in(0), c.scalar(beta)});
  c.emit("Add", {scaled, added});
}

void einsum(Call& c) { c.emit("Einsum", c.all_inputs(), {{"equation", c.text("equation")}}); }

}  // namespace

void add_math(LowerTable& t) {
  t["add"] = t["sub"] = add_or_sub;
  t["mul"] = mul;
  t["div"] = div;
  t["pow"] = pow;
  t["maximum"] = t["minimum"] = maximum;
  t["floor_divide"] = floor_divide;
  t["remainder"] = remainder;
  for (const char* name : {"eq", "ne", "gt", "ge", "lt", "le"}) t[name] = compare;
  for (const char* name : {"logical_and", "logical_or", "logical_xor"}) t[name] = logic;
  for (const char* name :
       {"neg",  "abs",  "exp",   "log",   "sqrt",  "erf",   "sin",  "cos",   "tan",  "asin",       "acos",       "atan",
        "sinh", "cosh", "asinh", "acosh", "atanh", "floor", "ceil", "round", "sign", "reciprocal", "logical_not"}) {
    t[name] = unary;
  }
  t["atan2"] = atan2;
  t["square"] = square;
  t["rsqrt"] = rsqrt;
  t["log1p"] = log1p;
  t["expm1"] = expm1;
  t["erfc"] = erfc;
  t["log2"] = t["log10"] = log_of_base;
  t["trunc"] = trunc;
  t["cast"] = cast;
  t["where"] = where;
  t["masked_fill"] = masked_fill;
  t["tril"] = t["triu"] = triangle;
  t["matmul"] = matmul;
  t["addmm"] = addmm;
  t["baddbmm"] = baddbmm;
  t["einsum"] = einsum;
}

}  // namespace mmt::onnx
