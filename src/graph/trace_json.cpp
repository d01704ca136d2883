// Traces as JSON text.
#include <nlohmann/json.hpp>

#include "mmt/error.h"
#include "mmt/trace.h"

namespace mmt {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kParse, "trace: " + where + ": " + what);
}

const Json& field(const Json& object, const char* name, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end()) fail(where, std::string("field \"") + name + "\" is missing");
  return *found;
}

template <typename T>
T get(const Json& object, const char* name, const std::string& where) {
  try {
    return field(object, name, where).get<T>();
  } catch (const Json::exception&) {
    fail(where, std::string("field \"") + name + "\" has the wrong type");
  }
}

Json parsed(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::kParse, std::string("trace: not JSON: ") + error.what());
  }
}

TraceValue read_value(const Json& json, const std::string& where) {
  TraceValue value;
  value.shape = get<std::vector<std::int64_t>>(json, "shape", where);
  value.dtype = get<std::string>(json, "dtype", where);
  for (const std::int64_t size : value.shape) {
    if (size < 0) fail(where, "negative size in its shape");
  }
  const Json& constant = field(json, "constant", where);
  if (!constant.is_null()) {
    if (!constant.is_number_integer()) fail(where, "field \"constant\" has the wrong type");
    value.constant = constant.get<int>();
    if (value.constant < 0) fail(where, "negative index of a constant");
  }
  return value;
}

std::string arguments_text(const Json& arguments, const std::string& where) {
  if (!arguments.is_object()) fail(where, "field \"arguments\" is not an object");
  return arguments.dump();
}

TraceNode read_node(const Json& json, const std::string& where) {
  TraceNode node;
  const auto kind = get<std::string>(json, "kind", where);
  if (kind == "operator") {
    node.kind = TraceNodeKind::kOperator;
  } else if (kind != "function") {
    fail(where, "unknown kind \"" + kind + "\" (function or operator)");
  }
  node.name = get<std::string>(json, "name", where);
  node.module = get<std::string>(json, "module", where);
  node.fingerprint = get<std::string>(json, "fingerprint", where);
  node.inputs = get<std::vector<int>>(json, "inputs", where);
  node.outputs = get<std::vector<int>>(json, "outputs", where);
  node.arguments_json = arguments_text(field(json, "arguments", where), where);
  return node;
}

void check(const Trace& trace) {
  const auto count = static_cast<int>(trace.values.size());
  std::vector<char> made(trace.values.size(), 0);
  const auto in_range = [&](int value, const std::string& where) {
    if (value < 0 || value >= count) {
      fail(where, "value " + std::to_string(value) + " does not exist (there are " + std::to_string(count) + ")");
    }
  };
  for (int i = 0; i < count; ++i) made[static_cast<std::size_t>(i)] = trace.is_constant(i);
  for (const int value : trace.inputs) {
    in_range(value, "inputs");
    made[static_cast<std::size_t>(value)] = 1;
  }
  for (std::size_t n = 0; n < trace.nodes.size(); ++n) {
    const TraceNode& node = trace.nodes[n];
    const std::string where = "node " + std::to_string(n) + " (" + node.name + ")";
    for (const int value : node.inputs) {
      if (value == -1) continue;
      in_range(value, where);
      if (!made[static_cast<std::size_t>(value)])
        fail(where, "uses value " + std::to_string(value) + " before it is made");
    }
    for (const int value : node.outputs) {
      in_range(value, where);
      if (made[static_cast<std::size_t>(value)]) fail(where, "makes value " + std::to_string(value) + " a second time");
      made[static_cast<std::size_t>(value)] = 1;
    }
  }
  for (const int value : trace.outputs) {
    in_range(value, "outputs");
    if (!made[static_cast<std::size_t>(value)]) fail("outputs", "value " + std::to_string(value) + " is never made");
  }
}

}  // namespace

Trace checked_trace(Trace trace) {
  for (TraceNode& node : trace.nodes) {
    if (node.arguments_json != "{}") node.arguments_json = arguments_text(parsed(node.arguments_json), node.name);
  }
  check(trace);
  return trace;
}

Trace read_trace(std::string_view json_text) {
  const Json json = parsed(json_text);
  if (!json.is_object()) fail("text", "not a JSON object");
  Trace trace;
  const Json& values = field(json, "values", "trace");
  const Json& nodes = field(json, "nodes", "trace");
  if (!values.is_array() || !nodes.is_array()) fail("trace", "\"values\" and \"nodes\" must be lists");
  for (std::size_t i = 0; i < values.size(); ++i) {
    trace.values.push_back(read_value(values[i], "value " + std::to_string(i)));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    trace.nodes.push_back(read_node(nodes[i], "node " + std::to_string(i)));
  }
  trace.inputs = get<std::vector<int>>(json, "inputs", "trace");
  trace.outputs = get<std::vector<int>>(json, "outputs", "trace");
  check(trace);
  return trace;
}

std::string write_trace(const Trace& trace) {
  Json values = Json::array();
  for (std::size_t i = 0; i < trace.values.size(); ++i) {
    const TraceValue& value = trace.values[i];
    values.push_back({{"id", i}, {"shape", value.shape}, {"dtype", value.dtype}});
    values.back()["constant"] = value.constant < 0 ? Json() : Json(value.constant);
  }
  Json nodes = Json::array();
  for (const TraceNode& node : trace.nodes) {
    nodes.push_back({{"kind", node.kind == TraceNodeKind::kOperator ? "operator" : "function"},
                     {"name", node.name},
                     {"module", node.module},
                     {"fingerprint", node.fingerprint},
                     {"inputs", node.inputs},
                     {"arguments", Json::parse(node.arguments_json)},
                     {"outputs", node.outputs}});
  }
  return Json{{"values", values}, {"inputs", trace.inputs}, {"outputs", trace.outputs}, {"nodes", nodes}}.dump();
}

}  // namespace mmt
