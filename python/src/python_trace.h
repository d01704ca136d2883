// Traces as the Python side holds them (mmt.torch_side.trace), without a text between the two.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "mmt/trace.h"

namespace mmt_python {

/// What `Trace.to_json` would write, unchecked. Raises where an attribute is missing or of another type.
inline mmt::Trace trace_of(nanobind::handle traced) {
  namespace nb = nanobind;
  mmt::Trace trace;
  for (const nb::handle value : nb::borrow<nb::list>(traced.attr("values"))) {
    mmt::TraceValue& mine = trace.values.emplace_back();
    mine.shape = nb::cast<std::vector<std::int64_t>>(value[0]);
    mine.dtype = nb::cast<std::string>(value[1]);
    mine.constant = nb::cast<int>(value[2]);
  }
  for (const nb::handle node : nb::borrow<nb::list>(traced.attr("nodes"))) {
    mmt::TraceNode& mine = trace.nodes.emplace_back();
    if (nb::cast<std::string>(node.attr("kind")) == "operator") mine.kind = mmt::TraceNodeKind::kOperator;
    mine.name = nb::cast<std::string>(node.attr("name"));
    mine.module = nb::cast<std::string>(node.attr("module"));
    mine.fingerprint = nb::cast<std::string>(node.attr("fingerprint"));
    mine.inputs = nb::cast<std::vector<int>>(node.attr("inputs"));
    mine.outputs = nb::cast<std::vector<int>>(node.attr("outputs"));
    const nb::object arguments = node.attr("arguments");
    if (nb::len(arguments) == 0) continue;
    mine.arguments_json = nb::cast<std::string>(nb::module_::import_("json").attr("dumps")(arguments));
  }
  trace.inputs = nb::cast<std::vector<int>>(traced.attr("inputs"));
  trace.outputs = nb::cast<std::vector<int>>(traced.attr("outputs"));
  return trace;
}

}  // namespace mmt_python
