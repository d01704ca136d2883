// Predictions for Python: plans and the sums over them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <map>
#include <memory>

#include "array_input.h"
#include "mmt/exact.h"
#include "mmt/memory.h"
#include "mmt/overlay.h"
#include "python_trace.h"
#include "result.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using mmt_python::Result;

Result predict_plan(mmt::ModelPlan plan, mmt::LatencyTable& table) {
  Result result{std::move(plan), {}, {}};
  result.prediction = mmt::predict(result.plan, table);
  return result;
}

nb::list node_rows(const Result& result) {
  nb::list rows;
  for (std::size_t i = 0; i < result.plan.nodes.size(); ++i) {
    const mmt::PlanNode& node = result.plan.nodes[i];
    nb::dict row;
    row["module"] = node.module;
    row["name"] = node.name;
    row["fingerprint"] = node.fingerprint;
    row["arguments"] = node.arguments_json;
    row["input_shapes"] = node.input_shapes;
    row["output_shapes"] = node.output_shapes;
    row["latency_us"] = result.prediction.node_us[i];
    row["found"] = node.found;
    rows.append(row);
  }
  return rows;
}

nb::list kernel_rows(const Result& result) {
  nb::list rows;
  for (std::size_t i = 0; i < result.plan.kernels.size(); ++i) {
    const mmt::PlanKernel& kernel = result.plan.kernels[i];
    const mmt::KernelCost& cost = result.prediction.kernels[i];
    nb::dict row;
    row["type"] = kernel.signature.type;
    row["text"] = kernel.signature.text;
    row["key"] = kernel.signature.key;
    row["node"] = kernel.node;
    row["latency_us"] = cost.us;
    row["hot_us"] = cost.hot_us;
    row["cold_us"] = cost.cold_us;
    row["se_us"] = cost.se_us;
    row["return_us"] = cost.return_us;
    row["reads"] = kernel.reads;
    row["estimated"] = cost.estimated;
    row["weight_bytes"] = kernel.signature.weight_bytes;
    row["input_bytes"] = kernel.signature.input_bytes;
    row["output_bytes"] = kernel.signature.output_bytes;
    rows.append(row);
  }
  return rows;
}

nb::dict memory_row(const Result& result, mmt::LatencyTable& table) {
  mmt::MemoryEstimate estimate;
  if (result.composed()) {
    const nb::gil_scoped_release release;
    estimate = mmt::estimate_memory(result.trace, result.plan, table);
  } else {
    estimate.known = result.plan.memory_mib > 0;
    estimate.why = estimate.known ? "" : "the engine gave no figure";
    estimate.session_mib = result.plan.memory_mib;
  }
  nb::dict row;
  row["known"] = estimate.known;
  row["why"] = estimate.why;
  row["session_mib"] = estimate.session_mib;
  row["weights_mib"] = estimate.weights_mib;
  row["activations_mib"] = estimate.activations_mib;
  row["loading_mib"] = estimate.loading_mib;
  row["holes_mib"] = estimate.holes_mib;
  row["unexplained_mib"] = estimate.unexplained_mib;
  return row;
}

nb::dict size_row(const Result& result, mmt::LatencyTable& table) {
  mmt::SizeEstimate estimate;
  if (result.composed()) {
    estimate = mmt::estimate_size(result.trace, result.plan, table);
  } else {
    estimate.file_bytes = result.plan.file_bytes;
    // A model file tells its constant data, and the engine counts a multiply-add as one operation.
    const mmt::ModelPlan& plan = result.plan;
    estimate.parameters =
        plan.parameters >= 0 ? plan.parameters : plan.weight_bytes / static_cast<std::int64_t>(sizeof(float));
    estimate.flops = plan.flops >= 0 ? plan.flops : static_cast<std::int64_t>(2e6 * plan.mflops);
  }
  nb::dict row;
  row["parameters"] = estimate.parameters;
  row["flops"] = estimate.flops;
  row["file_bytes"] = estimate.file_bytes;
  row["uncounted"] = estimate.uncounted;
  return row;
}

nb::list node_size_rows(const Result& result, mmt::LatencyTable& table) {
  nb::list rows;
  if (!result.composed()) return rows;
  for (const mmt::NodeSize& size : mmt::node_sizes(result.trace, result.plan, table)) {
    nb::dict row;
    row["parameters"] = size.parameters;
    row["flops"] = size.flops;
    row["file_bytes"] = size.file_bytes;
    row["session_mib"] = size.session_mib;
    rows.append(row);
  }
  return rows;
}

nb::list missing_rows(const Result& result) {
  nb::list rows;
  for (const mmt::MissingRow& missing : result.plan.missing) {
    nb::dict row;
    row["what"] = missing.what;
    row["detail"] = missing.detail;
    row["cure"] = missing.cure;
    row["node"] = missing.node;
    rows.append(row);
  }
  return rows;
}

nb::dict sums_row(const Result& result) {
  const mmt::PlanSums& sums = result.prediction.sums;
  nb::dict row;
  row["hot_us"] = sums.hot_us;
  row["cold_extra_us"] = sums.cold_extra_us;
  row["reread_extra_us"] = sums.reread_extra_us;
  row["kernels"] = sums.kernels;
  row["footprint_bytes"] = sums.footprint_bytes;
  row["variance_us2"] = sums.variance_us2;
  row["estimated_us"] = sums.estimated_us;
  return row;
}

}  // namespace

void bind_predict(nb::module_& m) {
  nb::class_<Result>(m, "Result", "A plan and its prediction. Times in microseconds.")
      .def_prop_ro("latency_us", [](const Result& r) { return r.prediction.latency_us; })
      .def_prop_ro("low_us", [](const Result& r) { return r.prediction.low_us; })
      .def_prop_ro("high_us", [](const Result& r) { return r.prediction.high_us; })
      .def_prop_ro("run_overhead_us", [](const Result& r) { return r.prediction.run_overhead_us; })
      .def_prop_ro("kernel_overhead_us", [](const Result& r) { return r.prediction.kernel_overhead_us; })
      .def_prop_ro("cold_share", [](const Result& r) { return r.prediction.cold_share; })
      .def_prop_ro("flags", [](const Result& r) { return r.prediction.flags; })
      .def_prop_ro("exact", [](const Result& r) { return r.plan.exact; })
      .def_prop_ro("doubts", [](const Result& r) { return r.plan.doubts; })
      .def_prop_ro("weight_bytes", [](const Result& r) { return r.plan.weight_bytes; })
      .def_prop_ro("file_bytes", [](const Result& r) { return r.plan.file_bytes; })
      .def_prop_ro("memory_mib", [](const Result& r) { return r.plan.memory_mib; })
      .def_prop_ro("mflops", [](const Result& r) { return r.plan.mflops; })
      .def_prop_ro("estimated_kernels",
                   [](const Result& r) {
                     int count = 0;
                     for (const mmt::KernelCost& cost : r.prediction.kernels) count += cost.estimated ? 1 : 0;
                     return count;
                   })
      .def_prop_ro("sums", &sums_row)
      .def("nodes", &node_rows, "One dictionary per operator or function of the model.")
      .def("kernels", &kernel_rows, "One dictionary per kernel, in execution order.")
      .def("memory", &memory_row, "table"_a,
           "Session memory in MiB: weights, activations, what the operators took beyond; `known`.")
      .def(
          "weight_steps",
          [](const Result& result, mmt::LatencyTable& table) {
            const nb::gil_scoped_release release;
            return result.composed() ? mmt::estimate_memory(result.trace, result.plan, table).weight_steps
                                     : std::vector<std::vector<std::int64_t>>();
          },
          "table"_a, "What the weights asked for, one list per kernel that has any; empty where that is not known.")
      .def("size", &size_row, "table"_a, "Parameters, operations and bytes of the converted file.")
      .def("node_sizes", &node_size_rows, "table"_a, "The same per node of a composed plan, -1 where not known.")
      .def("missing", &missing_rows, "What the table does not hold.")
      .def("plan_json", [](const Result& r) { return mmt::write_plan(r.plan); });

  m.def(
      "cost_model",
      [](const std::shared_ptr<mmt::LatencyTable>& table) { return mmt::CostModel::from(table->config()); }, "table"_a,
      "The constants that turn sums into a latency, of a table's configuration.");
  m.def(
      "weights_mib",
      [](const std::vector<std::vector<std::vector<std::vector<std::int64_t>>>>& parts,
         const nb::ndarray<const std::int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>& rows) {
        std::vector<double> sums;
        {
          const nb::gil_scoped_release release;
          sums = mmt::weights_mib(parts, {rows.data(), rows.size()});
        }
        return mmt::python::to_array(std::move(sums));
      },
      "parts"_a, "rows"_a,
      "Weights in MiB of configurations: `parts` holds the weight steps of each column's choices.");
  m.def(
      "explain_memory",
      [](const std::shared_ptr<mmt::LatencyTable>& table, const std::string& fingerprint) {
        nb::dict contexts;
        const auto row = table->find_operator(fingerprint);
        if (row == nullptr) return contexts;
        for (const mmt::ContextRow& context : row->contexts) {
          const mmt::MemoryEstimate estimate = mmt::explain_memory(context, *table);
          nb::dict item;
          item["known"] = estimate.known;
          item["measured_mib"] = context.memory_mib;
          item["weights_mib"] = estimate.weights_mib;
          item["activations_mib"] = estimate.activations_mib;
          item["unexplained_mib"] = estimate.unexplained_mib;
          contexts[context.context.c_str()] = item;
        }
        return contexts;
      },
      "table"_a, "fingerprint"_a, "An operator's own session memory, measured and accounted for, by context.");
  m.def(
      "overlay",
      [](const std::shared_ptr<mmt::LatencyTable>& table,
         const std::map<std::string, std::tuple<double, double, double, double>>& fresh,
         const std::array<std::vector<double>, 6>& cache) {
        std::unordered_map<std::string, mmt::FreshTimes> times;
        for (const auto& [key, t] : fresh)
          times[key] = {std::get<0>(t), std::get<1>(t), std::get<2>(t), std::get<3>(t)};
        const mmt::CacheCurve curve{cache[0], cache[1], cache[2], cache[3], cache[4], cache[5]};
        if (!curve.is_even())
          throw mmt::Error(mmt::ErrorCode::kInvalidArgument, "the cache curve's lists differ in length");
        return mmt::overlay(table, std::move(times), curve);
      },
      "table"_a, "fresh"_a, "cache"_a = std::array<std::vector<double>, 6>{},
      "The table with fresh times: kernel key -> (cold, hot, their standard errors), in microseconds; `cache`: the six "
      "lists of a\ncache curve in the place of its own, where they are not empty.");
  m.def(
      "predict_trace",
      [](nb::handle traced, const std::shared_ptr<mmt::LatencyTable>& table) {
        mmt::Trace trace = mmt::checked_trace(mmt_python::trace_of(traced));
        const nb::gil_scoped_release release;
        Result result = predict_plan(mmt::compose(trace, *table), *table);
        result.trace = std::move(trace);
        return result;
      },
      "trace"_a, "table"_a, "Composes the plan of a trace (mmt.torch_side.trace) and predicts it.");
  m.def(
      "predict_plan_json",
      [](const std::string& plan_json, const std::shared_ptr<mmt::LatencyTable>& table) {
        return predict_plan(mmt::read_plan(plan_json), *table);
      },
      "plan_json"_a, "table"_a, nb::call_guard<nb::gil_scoped_release>(), "Predicts a stored plan.");
  m.def(
      "exact_plan_json",
      [](mmt::Engine& engine, const std::string& path, const std::vector<std::vector<int>>& shapes) {
        mmt::OpenOptions options;
        for (const auto& shape : shapes) options.inputs.push_back({"", shape, -1.0, 1.0});
        return mmt::write_plan(mmt::exact_plan(engine, path, options));
      },
      "engine"_a, "path"_a, "shapes"_a = std::vector<std::vector<int>>{}, nb::call_guard<nb::gil_scoped_release>(),
      "The plan of a .mnn file by the engine's own schedule, as JSON; nothing is executed. `shapes`: to resize inputs "
      "to.");
}
