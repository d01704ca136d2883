// Bindings of mmt/trace.h: traces go in and out as JSON text.
#include "mmt/trace.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

void bind_graph(nb::module_& m) {
  using Identity = std::pair<std::string, std::string>;
  m.def(
      "glue_identity",
      [](std::string_view trace, int node) {
        mmt::GlueIdentity identity = mmt::glue_identity(mmt::read_trace(trace), node);
        return Identity(std::move(identity.text), std::move(identity.fingerprint));
      },
      "trace"_a, "node"_a, "(text, fingerprint) of a function node.");
  m.def(
      "glue_identities",
      [](std::string_view text) {
        const mmt::Trace trace = mmt::read_trace(text);
        std::vector<Identity> identities;
        for (std::size_t i = 0; i < trace.nodes.size(); ++i) {
          const mmt::TraceNode& node = trace.nodes[i];
          if (node.kind == mmt::TraceNodeKind::kOperator) {
            identities.emplace_back(node.name, node.fingerprint);
          } else {
            mmt::GlueIdentity identity = mmt::glue_identity(trace, static_cast<int>(i));
            identities.emplace_back(std::move(identity.text), std::move(identity.fingerprint));
          }
        }
        return identities;
      },
      "trace"_a, "(text, fingerprint) of every node; operators give (class, fingerprint).");
  m.def(
      "extract_trace",
      [](std::string_view trace, const std::vector<int>& nodes) {
        return mmt::write_trace(mmt::extract_trace(mmt::read_trace(trace), nodes));
      },
      "trace"_a, "nodes"_a, "JSON text of the trace of some nodes alone.");
  m.def(
      "trace_costs",
      [](std::string_view trace) {
        std::vector<std::pair<std::int64_t, std::int64_t>> costs;
        for (const mmt::TraceNodeCost& cost : mmt::trace_costs(mmt::read_trace(trace))) {
          costs.emplace_back(cost.parameters, cost.flops);
        }
        return costs;
      },
      "trace"_a, "(parameters, flops) of every node.");
}
