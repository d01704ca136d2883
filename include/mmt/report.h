// What people and other programs get to see: self-contained HTML pages, CSV, JSON and traces.
//
// Pages need nothing from the network: style, script and pictures (SVG) are inside. Everything that comes from a table
// or a JSON text is escaped. Errors: Error(kParse) for JSON that is not what it should be, kIo for files.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mmt/records.h"

namespace mmt {

// ---- records -------------------------------------------------------------------------------------------------------

/// Comma-separated values (RFC 4180, lines end with CR LF only inside fields, "\n" between records). Numbers are
/// written so that they read back exactly; no value and numbers that are not finite are empty fields.
std::unique_ptr<RecordSink> csv_sink(std::ostream& stream);

/// A JSON array of objects, one line each. Numbers that are not finite are null, bytes that are no UTF-8 are replaced.
std::unique_ptr<RecordSink> json_sink(std::ostream& stream);

/// Writes a view of a table (mmt/table_tools.h) as "csv" or "json" to `file`, atomically; "-": to nowhere but the
/// result. Returns the text where `file` is "-", otherwise "". `limit`: rows at most, negative: all.
std::string export_records(const std::string& path, const std::string& view, const std::string& format,
                           const std::string& file, const std::string& config_id = "", std::int64_t limit = -1);

// ---- pages ---------------------------------------------------------------------------------------------------------

struct ReportTable {
  std::string title;
  std::vector<std::string> columns;  ///< A name that ends in "_us" or "_pct" gets its unit and three decimals at most.
  std::vector<Record> rows;
  std::int64_t left_out = 0;  ///< Rows that there are beside these; said below the table.
};

struct Bar {
  std::string label;
  double value = 0;
};
struct BarChart {
  std::string title, unit;
  std::vector<Bar> bars;
};

struct ScatterPoint {
  std::string label;
  double truth = 0, predicted = 0;
  double low = 0, high = 0;  ///< Interval of the prediction; both 0: none.
};
/// Predicted over true, with the diagonal and lines at ± `band`. Logarithmic axes where values span more than a factor
/// of 20.
struct ScatterChart {
  std::string title, unit;
  double band = 0.05;
  std::vector<ScatterPoint> points;
};

struct ReportSection {
  std::string heading, text;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<BarChart> bars;
  std::vector<ScatterChart> scatters;
  std::vector<ReportTable> tables;
};

struct Report {
  std::string title;
  std::vector<ReportSection> sections;
};

/// A whole HTML page. Tables sort by a click on a column and are filtered by a text.
std::string render_html(const Report& report);

/// A standalone SVG picture.
std::string render_svg(const ScatterChart& chart);
std::string render_svg(const BarChart& chart);

/// A latency table: provenance, operators, kernels, what each operator consists of, failures. At most `limit` rows of
/// each.
Report table_report(const std::string& path, const std::string& config_id = "", std::int64_t limit = 2000);

/// The JSON of a prediction (`mmt predict --json`): latency with interval, operators, kernels, what was missing.
Report prediction_report(std::string_view json);

/// The JSON of a validation (`mmt validate --json`): scatter picture, errors beside the noise floor, split by kernel
/// type.
Report validation_report(std::string_view json);

/// Any other data: {"title", "text", "facts": {name: value}, "columns": [names], "rows": [[values]], "charts":
/// [{"kind": "bar" | "scatter", "title", "unit", "points": [{"label", "value"} | {"label", "truth", "predicted", "low",
/// "high"}]}]}, or {"title", "sections": [such objects]}. Every key may be absent.
Report data_report(std::string_view json);

/// Whichever of the three the text is.
Report json_report(std::string_view json);

// ---- traces --------------------------------------------------------------------------------------------------------

/// A prediction's JSON as a trace that Chrome (about:tracing) and Perfetto show: operators on one row, their kernels
/// one after another below, gaps where overheads are.
std::string chrome_trace(std::string_view prediction_json);

}  // namespace mmt
