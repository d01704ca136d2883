// mmt._core.report: pages, exports and traces.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "mmt/report.h"

namespace nb = nanobind;

void bind_report(nb::module_& m) {
  const auto unlocked = nb::call_guard<nb::gil_scoped_release>();
  m.def("export_records", &mmt::export_records, nb::arg("path"), nb::arg("view"), nb::arg("format"),
        nb::arg("file") = "-", nb::arg("config_id") = "", nb::arg("limit") = -1, unlocked,
        "Writes a view of a table as \"csv\" or \"json\" to a file; \"-\": returns the text.");
  m.def(
      "table_page",
      [](const std::string& path, const std::string& config_id, std::int64_t limit) {
        return mmt::render_html(mmt::table_report(path, config_id, limit));
      },
      nb::arg("path"), nb::arg("config_id") = "", nb::arg("limit") = 2000, unlocked, "HTML page of a latency table.");
  m.def(
      "json_page", [](const std::string& json) { return mmt::render_html(mmt::json_report(json)); }, nb::arg("json"),
      unlocked, "HTML page of the JSON of a prediction, a validation, or other data (title, columns, rows, charts).");
  m.def(
      "chrome_trace", [](const std::string& json) { return mmt::chrome_trace(json); }, nb::arg("prediction_json"),
      unlocked, "Trace (JSON) of a prediction's kernels, for Perfetto or about:tracing.");
}
