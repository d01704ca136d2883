// Access to one call's arguments, and its nodes.
#include "mmt/error.h"
#include "onnx/lowering.h"

namespace mmt::onnx {

Call::Call(Lowering& lowering, int index)
    : lowering_(lowering), node_(lowering.trace().nodes[static_cast<std::size_t>(index)]), index_(index) {
  prefix_ = node_.name + "_" + std::to_string(index_);
  arguments_ = Json::parse(node_.arguments_json, nullptr, false);
  if (!arguments_.is_object()) {
    throw Error(ErrorCode::kParse,
                "trace: node " + std::to_string(index) + " (" + node_.name + "): arguments are no JSON object");
  }
}

std::vector<std::string> Call::all_inputs() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < input_count(); ++i) names.push_back(in(i));
  return names;
}

const Json& Call::argument(const char* name) const {
  const auto found = arguments_.find(name);
  if (found == arguments_.end()) {
    throw Error(ErrorCode::kParse, "trace: node " + std::to_string(index_) + " (" + node_.name + "): argument \"" +
                                       name + "\" is missing");
  }
  return *found;
}

bool Call::given(const char* name) const {
  const auto found = arguments_.find(name);
  return found != arguments_.end() && !found->is_null();
}

namespace {
[[noreturn]] void wrong_type(int index, const std::string& function, const char* name) {
  throw Error(ErrorCode::kParse, "trace: node " + std::to_string(index) + " (" + function + "): argument \"" + name +
                                     "\" has the wrong type");
}
}  // namespace

std::int64_t Call::integer(const char* name) const {
  const Json& value = argument(name);
  if (!value.is_number_integer()) wrong_type(index_, node_.name, name);
  return value.get<std::int64_t>();
}

double Call::real(const char* name) const {
  const Json& value = argument(name);
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  wrong_type(index_, node_.name, name);
}

bool Call::flag(const char* name) const {
  const Json& value = argument(name);
  if (!value.is_boolean()) wrong_type(index_, node_.name, name);
  return value.get<bool>();
}

std::string Call::text(const char* name) const {
  const Json& value = argument(name);
  if (!value.is_string()) wrong_type(index_, node_.name, name);
  return value.get<std::string>();
}

Shape Call::list(const char* name) const {
  const Json& value = argument(name);
  if (!value.is_array()) wrong_type(index_, node_.name, name);
  for (const Json& item : value) {
    if (!item.is_number_integer()) wrong_type(index_, node_.name, name);
  }
  return value.get<Shape>();
}

void Call::emit(std::string_view op_type, const std::vector<std::string>& inputs,
                const std::vector<Attribute>& attributes) {
  std::vector<std::string> outputs;
  for (std::size_t i = 0; i < output_count(); ++i) outputs.push_back(out(i));
  lowering_.graph().node(op_type, prefix_, inputs, outputs, attributes);
}

void Call::emit_to(std::size_t output, std::string_view op_type, const std::vector<std::string>& inputs,
                   const std::vector<Attribute>& attributes) {
  const std::string name = output_count() == 1 ? prefix_ : prefix_ + "_" + std::to_string(output);
  lowering_.graph().node(op_type, name, inputs, {out(output)}, attributes);
}

std::string Call::fresh_name(std::string_view op_type) {
  return prefix_ + "/" + std::string(op_type) + "_" + std::to_string(steps_++);
}

std::string Call::step(std::string_view op_type, const std::vector<std::string>& inputs,
                       const std::vector<Attribute>& attributes) {
  const std::string name = fresh_name(op_type);
  lowering_.graph().node(op_type, name, inputs, {name}, attributes);
  return name;
}

std::vector<std::string> Call::steps(std::string_view op_type, const std::vector<std::string>& inputs,
                                     std::size_t outputs, const std::vector<Attribute>& attributes) {
  const std::string name = fresh_name(op_type);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < outputs; ++i) names.push_back(name + "_" + std::to_string(i));
  lowering_.graph().node(op_type, name, inputs, names, attributes);
  return names;
}

void Call::unsupported(const std::string& reason) const {
  const std::string place = node_.module.empty() ? "the traced module" : "module " + node_.module;
  throw Error(ErrorCode::kUnsupported, node_.name + " (" + place + ") has no ONNX form here: " + reason);
}

}  // namespace mmt::onnx
