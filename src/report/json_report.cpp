// Pages of predictions, validations and other data that commands write as JSON.
#include <cmath>
#include <map>

#include "mmt/error.h"
#include "mmt/report.h"
#include "report/json_input.h"
#include "report/text.h"

namespace mmt {
namespace {

using report::Json;
using report::list;
using report::number;
using report::readable;
using report::words;

std::string joined(const std::vector<Json>& values) {
  std::string text;
  for (const Json& value : values)
    text += (text.empty() ? "" : ", ") + report::value_text(report::record_value(value), true);
  return text.empty() ? "none" : text;
}

std::string milliseconds(double us) { return readable(us / 1000) + " ms"; }

Report prediction_page(const Json& prediction) {
  Report page;
  const double latency_us = number(prediction, "latency_us", 1000 * number(prediction, "latency_ms"));
  page.title = words(prediction, "title", "Predicted latency: " + milliseconds(latency_us));
  const std::vector<Json> interval = list(prediction, "interval_us"), nodes = list(prediction, "nodes"),
                          kernels = list(prediction, "kernels"), missing = list(prediction, "missing");
  ReportSection head;
  head.facts.emplace_back("latency", milliseconds(latency_us));
  if (interval.size() == 2 && interval[0].is_number() && interval[1].is_number()) {
    head.facts.emplace_back("95 % interval", milliseconds(interval[0]) + " … " + milliseconds(interval[1]));
  }
  head.facts.emplace_back("found by", words(prediction, "how", "composition"));
  head.facts.emplace_back("noise and doubts", joined(list(prediction, "flags")));
  head.facts.emplace_back("overhead", readable(number(prediction, "run_overhead_us")) + " µs a run, " +
                                          readable(number(prediction, "kernel_overhead_us")) + " µs for all kernels");
  const double memory_mib = number(prediction, "memory_mib");
  head.facts.emplace_back("memory", memory_mib > 0 ? readable(memory_mib) + " MiB" : "not known");
  if (const double parameters = number(prediction, "parameters"); parameters > 0)
    head.facts.emplace_back("parameters", readable(parameters / 1e6) + " million");
  head.facts.emplace_back("file", readable(number(prediction, "file_bytes") / 1e6) + " MB");
  head.facts.emplace_back("work", readable(number(prediction, "mflops")) + " MFLOP");
  const std::vector<Json> doubts = list(prediction, "doubts");
  if (!doubts.empty()) head.facts.emplace_back("not sure of", joined(doubts));
  page.sections.push_back(std::move(head));

  if (!missing.empty()) {
    ReportSection absent;
    absent.heading = "Not in the table";
    absent.text = "These parts are estimated from similar kernels; they widen the interval.";
    absent.tables.push_back(report::table_of("", {"what", "detail", "cure"}, missing));
    page.sections.push_back(std::move(absent));
  }
  if (!nodes.empty()) {
    ReportSection operators;
    operators.heading = "Operators";
    operators.bars.push_back(report::bars_by("Time by operator", "µs", nodes, "name", "latency_us"));
    operators.tables.push_back(
        report::table_of("", {"module", "name", "input_shapes", "output_shapes", "latency_us", "found"}, nodes));
    page.sections.push_back(std::move(operators));
  }
  if (!kernels.empty()) {
    ReportSection parts;
    parts.heading = "Kernels, in execution order";
    parts.bars.push_back(report::bars_by("Time by kernel type", "µs", kernels, "type", "latency_us"));
    parts.tables.push_back(report::table_of(
        "", {"text", "latency_us", "hot_us", "cold_us", "se_us", "weight_bytes", "estimated"}, kernels));
    page.sections.push_back(std::move(parts));
  }
  return page;
}

/// Name, value, and the same of the noise floor.
ReportTable metrics_table(const Json& validation) {
  ReportTable table;
  table.columns = {"statistic", "prediction", "noise floor"};
  const Json none = Json::object();
  const Json& metrics = validation.contains("metrics") ? validation["metrics"] : none;
  const Json& floor = validation.contains("noise_floor") ? validation["noise_floor"] : none;
  if (!metrics.is_object() || !floor.is_object()) {
    throw Error(ErrorCode::kParse, "\"metrics\" and \"noise_floor\" of a validation are objects of numbers");
  }
  static const std::map<std::string, std::string> kTitles = {{"count", "models"},
                                                             {"mape_pct", "mean absolute error, %"},
                                                             {"bias_pct", "bias, %"},
                                                             {"max_pct", "largest error, %"},
                                                             {"rmspe_pct", "root mean square error, %"},
                                                             {"within_5pct", "share within ±5 %"},
                                                             {"within_10pct", "share within ±10 %"},
                                                             {"spearman", "rank correlation (Spearman)"},
                                                             {"kendall", "rank correlation (Kendall)"}};
  for (const auto& [name, value] : metrics.items()) {
    const auto title = kTitles.find(name);
    table.rows.push_back({title == kTitles.end() ? name : title->second, report::record_value(value),
                          floor.contains(name) ? report::record_value(floor[name]) : RecordValue()});
  }
  return table;
}

Report validation_page(const Json& validation) {
  Report page;
  page.title = words(validation, "title", "Predictions against measurements");
  const std::vector<Json> models = list(validation, "models"), split = list(validation, "split"),
                          failed = list(validation, "failed");
  ReportSection errors;
  ScatterChart chart{"Predicted against true latency, with the 95 % interval of each prediction", "ms", 0.05, {}};
  BarChart bars{"Error of each model (absolute)", "%", {}};
  for (const Json& model : models) {
    const std::string name = words(model, "name");
    chart.points.push_back({name, number(model, "true_us") / 1000, number(model, "predicted_us") / 1000,
                            number(model, "low_us") / 1000, number(model, "high_us") / 1000});
    if (bars.bars.size() < 40) bars.bars.push_back({name, std::abs(number(model, "error_pct"))});
  }
  errors.facts.emplace_back("models", std::to_string(models.size()) +
                                          (failed.empty() ? "" : ", " + std::to_string(failed.size()) + " failed"));
  if (validation.contains("inside_interval")) {
    errors.facts.emplace_back("inside their 95 % interval",
                              readable(100 * number(validation, "inside_interval")) + " %");
  }
  errors.scatters.push_back(std::move(chart));
  errors.tables.push_back(metrics_table(validation));
  page.sections.push_back(std::move(errors));

  ReportSection rows;
  rows.heading = "Models";
  rows.tables.push_back(report::table_of("",
                                         {"name", "true_us", "predicted_us", "error_pct", "low_us", "high_us",
                                          "half_a_us", "half_b_us", "inside", "how", "missing", "flags"},
                                         models));
  if (bars.bars.size() > 1) rows.bars.push_back(std::move(bars));
  page.sections.push_back(std::move(rows));

  if (!split.empty()) {
    ReportSection parts;
    parts.heading = "Where the error comes from";
    parts.text = "Time by kernel type, measured inside the models and predicted, over all models.";
    std::vector<std::string> columns;
    for (const auto& [name, value] : split.front().items()) columns.push_back(name);
    parts.tables.push_back(report::table_of("", columns, split));
    page.sections.push_back(std::move(parts));
  }
  if (!failed.empty()) {
    ReportSection refused;
    refused.heading = "Failed";
    refused.tables.push_back(report::table_of("", {"name", "reason"}, failed));
    page.sections.push_back(std::move(refused));
  }
  return page;
}

ReportSection data_section(const Json& data) {
  ReportSection section;
  section.heading = words(data, "title");
  section.text = words(data, "text");
  if (data.contains("facts")) {
    if (!data["facts"].is_object()) throw Error(ErrorCode::kParse, "\"facts\" is an object of names and values");
    for (const auto& [name, value] : data["facts"].items()) {
      section.facts.emplace_back(name, report::value_text(report::record_value(value), true));
    }
  }
  for (const Json& chart : list(data, "charts")) {
    const std::string kind = words(chart, "kind", "bar");
    if (kind == "scatter") {
      ScatterChart scatter{words(chart, "title"), words(chart, "unit"), number(chart, "band", 0.05), {}};
      for (const Json& point : list(chart, "points")) {
        scatter.points.push_back({words(point, "label"), number(point, "truth"), number(point, "predicted"),
                                  number(point, "low"), number(point, "high")});
      }
      section.scatters.push_back(std::move(scatter));
    } else if (kind == "bar") {
      BarChart bars{words(chart, "title"), words(chart, "unit"), {}};
      for (const Json& point : list(chart, "points"))
        bars.bars.push_back({words(point, "label"), number(point, "value")});
      section.bars.push_back(std::move(bars));
    } else {
      throw Error(ErrorCode::kParse, "\"" + kind + "\" is no kind of chart; there are bar and scatter");
    }
  }
  if (data.contains("columns") || data.contains("rows")) {
    ReportTable table;
    for (const Json& column : list(data, "columns"))
      table.columns.push_back(report::value_text(report::record_value(column), false));
    for (const Json& row : list(data, "rows")) {
      if (!row.is_array()) throw Error(ErrorCode::kParse, "\"rows\" is a list of lists, one value per column");
      Record& record = table.rows.emplace_back();
      for (const Json& value : row) record.push_back(report::record_value(value));
    }
    section.tables.push_back(std::move(table));
  }
  return section;
}

Report data_page(const Json& data) {
  Report page;
  page.title = words(data, "title", "Report");
  if (!data.contains("sections")) {
    page.sections.push_back(data_section(data));
    page.sections.back().heading.clear();  // It is the page's title.
    return page;
  }
  for (const Json& section : list(data, "sections")) page.sections.push_back(data_section(section));
  return page;
}

}  // namespace

Report prediction_report(std::string_view json) { return prediction_page(report::parse_object(json, "a prediction")); }
Report validation_report(std::string_view json) { return validation_page(report::parse_object(json, "a validation")); }
Report data_report(std::string_view json) { return data_page(report::parse_object(json, "a report's data")); }

Report json_report(std::string_view json) {
  const Json data = report::parse_object(json, "a report's data");
  if (data.contains("latency_us") || data.contains("latency_ms")) return prediction_page(data);
  if (data.contains("models") && data.contains("metrics")) return validation_page(data);
  return data_page(data);
}

}  // namespace mmt
