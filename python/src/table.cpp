// mmt._core.table: the latency table. Rows arrive as dictionaries whose names are those of the field lists.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <type_traits>

#include "mmt/plan_cache.h"
#include "mmt/table.h"
#include "mmt/table_fields.h"
#include "mmt/table_tools.h"

namespace nb = nanobind;

namespace {

template <class T>
nb::object to_python(const T& value);

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// Structures become dictionaries, layouts and roles their names.
template <class T>
nb::object to_python(const T& value) {
  if constexpr (mmt::HasFields<T>) {
    nb::dict row;
    mmt::for_each_field<T>(
        [&](const auto& field) { row[nb::str(field.name.data(), field.name.size())] = to_python(field.get(value)); });
    return std::move(row);
  } else if constexpr (std::is_same_v<T, mmt::Layout>) {
    return nb::str(mmt::layout_name(value));
  } else if constexpr (std::is_same_v<T, mmt::KernelRole>) {
    return nb::str(mmt::kernel_role_name(value));
  } else if constexpr (IsVector<T>::value) {
    nb::list list;
    for (const auto& element : value) list.append(to_python(element));
    return std::move(list);
  } else {
    return nb::cast(value);
  }
}

/// A configuration's row; `run.config` holds what the engine is to be opened with to measure the like again.
nb::object config_row(const mmt::ConfigRow& config) {
  nb::object row = to_python(config);
  const mmt::EngineConfig& asked = config.run.config;
  nb::dict engine;
  engine["backend"] = asked.backend;
  engine["threads"] = asked.threads;
  engine["precision"] = asked.precision;
  engine["memory"] = asked.memory;
  engine["power"] = asked.power;
  engine["cpus"] = asked.cpus;
  row["run"]["config"] = engine;
  return row;
}

/// Runs `work` without the interpreter lock and turns its result into Python objects with it.
template <class Work>
nb::object unlocked(Work work) {
  const auto result = [&] {
    nb::gil_scoped_release release;
    return work();
  }();
  return to_python(result);
}

template <class Work>
nb::object unlocked_optional(Work work) {
  const auto result = [&] {
    nb::gil_scoped_release release;
    return work();
  }();
  return result ? to_python(*result) : nb::none();
}

nb::dict check(const std::string& path) {
  mmt::TableCheck found;
  {
    nb::gil_scoped_release release;
    found = mmt::check_table(path);
  }
  nb::list findings;
  for (const mmt::TableFinding& finding : found.findings) {
    nb::dict row;
    row["severity"] = finding.severity;
    row["kind"] = finding.kind;
    row["subject"] = finding.subject;
    row["text"] = finding.text;
    findings.append(row);
  }
  nb::dict row;
  row["ok"] = found.ok();
  row["findings"] = findings;
  row["operators"] = found.operators;
  row["measurements"] = found.measurements;
  row["kernels"] = found.kernels;
  row["configs"] = found.configs;
  return row;
}

nb::dict merge(const std::string& target, const std::vector<std::string>& sources) {
  mmt::MergeReport report;
  {
    nb::gil_scoped_release release;
    report = mmt::merge_tables(target, sources);
  }
  nb::dict row;
  row["profiles"] = report.profiles;
  row["skipped"] = report.skipped;
  row["operators"] = report.operators;
  row["files"] = report.files;
  return row;
}

}  // namespace

void bind_table(nb::module_& m) {
  using mmt::LatencyTable;
  using Shapes = std::vector<std::vector<int>>;

  m.def(
      "build_table",
      [](const std::string& folder) {
        mmt::TableBuildReport report;
        {
          nb::gil_scoped_release release;
          report = mmt::build_table(folder);
        }
        nb::dict row;
        row["operators"] = report.operators;
        row["kernels"] = report.kernels;
        row["failed"] = report.failed;
        row["dropped_lines"] = report.dropped_lines;
        row["configs"] = report.configs;
        return row;
      },
      nb::arg("folder"), "Folds ops.json and latency.jsonl of a folder into its latency.db; returns counts.");
  m.def(
      "configs",
      [](const std::string& path) {
        std::vector<mmt::ConfigRow> rows;
        {
          nb::gil_scoped_release release;
          rows = mmt::list_configs(path);
        }
        nb::list list;
        for (const mmt::ConfigRow& row : rows) list.append(config_row(row));
        return list;
      },
      nb::arg("path"), "The configurations of a table: provenance, overheads in microseconds, counts.");

  m.def("check", &check, nb::arg("path"), "Findings (severity, kind, subject, text), counts and whether all is well.");
  m.def("merge", &merge, nb::arg("target"), nb::arg("sources"),
        "Takes operators and measurements of other folders over; returns counts.");
  m.attr("TABLE_NAME") = mmt::kTableName;
  m.attr("VIEWS") = nb::cast(mmt::record_views());

  nb::class_<LatencyTable>(m, "LatencyTable", nb::is_weak_referenceable(),
                           "A latency table, opened for reading. Times are in microseconds.")
      .def_static("open", &LatencyTable::open, nb::arg("path"), nb::arg("config_id") = "",
                  nb::call_guard<nb::gil_scoped_release>(),
                  "Opens an operator folder, its latency.db, or a name inside the folder that stands for it.")
      .def_prop_ro("config", [](LatencyTable& table) { return config_row(table.config()); })
      .def_prop_ro(
          "per_kernel", [](LatencyTable& table) { return table.config().run.facts.per_kernel; },
          "False: measured where kernels cannot be timed; the table holds whole runs of operators.")
      .def_prop_ro("path", &LatencyTable::path)
      .def_prop_ro("folder", &LatencyTable::folder)
      .def(
          "find_outputs",
          [](LatencyTable& table, const std::string& fingerprint) -> nb::object {
            std::shared_ptr<const mmt::OperatorRow> row;
            {
              nb::gil_scoped_release release;
              row = table.find_operator(fingerprint);
            }
            if (row == nullptr || row->status != "ok" || row->contexts.empty()) return nb::none();
            nb::list outputs;
            for (std::size_t i = 0; i < row->output_shapes.size() && i < row->output_dtypes.size(); ++i) {
              outputs.append(nb::make_tuple(nb::tuple(nb::cast(row->output_shapes[i])), row->output_dtypes[i]));
            }
            return std::move(outputs);
          },
          nb::arg("fingerprint"), "(shape, dtype) of what a measured operator returns; None where there is none.")
      .def(
          "find_operator",
          [](LatencyTable& table, const std::string& fingerprint) {
            return unlocked_optional([&] { return table.find_operator(fingerprint); });
          },
          nb::arg("fingerprint"), "The operator's row, or None.")
      .def(
          "find_kernel",
          [](LatencyTable& table, const std::string& key) {
            return unlocked_optional([&] { return table.find_kernel(key); });
          },
          nb::arg("key"), "The kernel's pooled cost, or None.")
      .def(
          "nearest_operators",
          [](LatencyTable& table, const std::string& class_name, const std::string& parameters_json,
             const Shapes& input_shapes, int limit) {
            return unlocked([&] { return table.nearest_operators(class_name, parameters_json, input_shapes, limit); });
          },
          nb::arg("class_name"), nb::arg("parameters_json"), nb::arg("input_shapes"), nb::arg("limit") = 5,
          "Measured operators of the same class, nearest first by parameters and shapes.")
      .def(
          "similar_kernels",
          [](LatencyTable& table, const std::string& type, const std::string& attributes, int limit) {
            return unlocked([&] { return table.similar_kernels(type, attributes, limit); });
          },
          nb::arg("type"), nb::arg("attributes"), nb::arg("limit") = 20,
          "Kernels of the same type and attributes first, then of the same type.")
      .def("all_operators", [](LatencyTable& table) { return unlocked([&] { return table.all_operators(); }); })
      .def("all_kernels", [](LatencyTable& table) { return unlocked([&] { return table.all_kernels(); }); });

  nb::class_<mmt::PlanCache>(m, "PlanCache", "Kernel lists of whole models, kept in plans.db beside the table.")
      .def_static("open", &mmt::PlanCache::open, nb::arg("path"), nb::arg("limit") = 10000)
      .def("get", &mmt::PlanCache::get, nb::arg("model"), nb::arg("config_id"),
           nb::call_guard<nb::gil_scoped_release>())
      .def("put", &mmt::PlanCache::put, nb::arg("model"), nb::arg("config_id"), nb::arg("kernels_json"),
           nb::call_guard<nb::gil_scoped_release>())
      .def("size", &mmt::PlanCache::size, nb::call_guard<nb::gil_scoped_release>())
      .def("clear", &mmt::PlanCache::clear, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("persistent", &mmt::PlanCache::persistent);
}
