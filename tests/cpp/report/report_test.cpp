// Pages, files and traces: right, complete, and safe with any text.
#include "mmt/report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <nlohmann/json.hpp>

#include "mmt/error.h"
#include "mmt/hash.h"
#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "report/axis.h"
#include "report/text.h"

namespace mmt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

/// Another reading of RFC 4180, for checking the writer.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> record;
  std::string field;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
        field += '"';
        ++i;
      } else if (c == '"') {
        quoted = false;
      } else {
        field += c;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',' || c == '\n') {
      record.push_back(std::exchange(field, ""));
      if (c == '\n') records.push_back(std::exchange(record, {}));
    } else {
      field += c;
    }
  }
  EXPECT_TRUE(field.empty() && record.empty() && !quoted) << "the last record is not ended";
  return records;
}

std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {"a",     "\"", ",", "\n", "\r\n", " ",         "<b>",
                                                   "&amp;", "'",  "é", "漢", "\t",   "</script>", "\\"};
  std::string text;
  for (std::size_t i = random() % 8; i > 0; --i) text += kPieces[random() % kPieces.size()];
  return text;
}

RecordValue random_value(std::mt19937& random) {
  switch (random() % 5) {
    case 0:
      return std::monostate{};
    case 1:
      return random() % 2 == 0;
    case 2:
      return static_cast<std::int64_t>(random()) - 2'000'000'000;
    case 3:
      return std::ldexp(static_cast<double>(random()) - 2e9, static_cast<int>(random() % 80) - 60);
    default:
      return random_text(random);
  }
}

TEST(Csv, ReadsBackAsItWasWritten) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t width = 1 + random() % 6;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < width; ++i) names.push_back("c" + std::to_string(i) + random_text(random));
    std::vector<Record> rows(random() % 6);
    for (Record& row : rows) {
      for (std::size_t i = 0; i < width; ++i) row.push_back(random_value(random));
    }
    std::ostringstream stream;
    const auto sink = csv_sink(stream);
    sink->columns(names);
    for (const Record& row : rows) sink->row(row);
    sink->finish();
    const auto records = parse_csv(stream.str());
    ASSERT_EQ(records.size(), rows.size() + 1);
    EXPECT_EQ(records[0], names);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      ASSERT_EQ(records[r + 1].size(), width);
      for (std::size_t c = 0; c < width; ++c) {
        EXPECT_EQ(records[r + 1][c], report::value_text(rows[r][c], false));
        if (const auto* number = std::get_if<double>(&rows[r][c])) EXPECT_EQ(std::stod(records[r + 1][c]), *number);
      }
    }
  }
}

TEST(Json, ReadsBackAsItWasWritten) {
  std::mt19937 random(6);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Record> rows(random() % 5);
    for (Record& row : rows) row = {random_value(random), random_value(random)};
    std::ostringstream stream;
    const auto sink = json_sink(stream);
    sink->columns({"first", "second"});
    for (const Record& row : rows) sink->row(row);
    sink->finish();
    const json read = json::parse(stream.str());
    ASSERT_EQ(read.size(), rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const json& value = read[r]["second"];
      if (const auto* text = std::get_if<std::string>(&rows[r][1])) EXPECT_EQ(value, *text);
      if (const auto* number = std::get_if<double>(&rows[r][1])) EXPECT_EQ(value.get<double>(), *number);
      if (const auto* integer = std::get_if<std::int64_t>(&rows[r][1])) EXPECT_EQ(value, *integer);
      if (std::holds_alternative<std::monostate>(rows[r][1])) EXPECT_TRUE(value.is_null());
    }
  }
}

TEST(Json, ShapesAreListsAndBrokenBytesAreReplaced) {
  std::ostringstream stream;
  const auto sink = json_sink(stream);
  sink->columns({"shape", "text", "number"});
  sink->row({JsonText{"[[1,2]]"}, std::string("\xff\xfe"), std::nan("")});
  sink->row({JsonText{"no json"}, std::string(), 1.0});
  sink->finish();
  const json read = json::parse(stream.str());
  EXPECT_EQ(read[0]["shape"], json::parse("[[1,2]]"));
  EXPECT_TRUE(read[0]["number"].is_null());
  EXPECT_EQ(read[1]["shape"], "no json");
}

TEST(Html, HoldsNoTextUnescaped) {
  std::mt19937 random(7);
  const std::string evil = "<script>alert(1)</script>\"'&<img src=x onerror=y>";
  Report page;
  page.title = evil;
  ReportSection section;
  section.heading = section.text = evil;
  section.facts = {{evil, evil}};
  section.bars = {{evil, evil, {{evil, 3}, {evil, -1}, {evil, std::nan("")}}}};
  section.scatters = {{evil, evil, 0.05, {{evil, 1, 2, 1, 3}, {evil, std::nan(""), 1, 0, 0}}}};
  section.tables = {{evil, {evil, "n_us"}, {{evil, 1.5}, {JsonText{evil}, std::monostate{}}, {evil}}, 12}};
  page.sections = {section};
  const std::string html = render_html(page);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
  EXPECT_THAT(html, HasSubstr("12 more rows"));
  for (int trial = 0; trial < 100; ++trial) {
    const std::string escaped = report::html_escape(random_text(random));
    EXPECT_EQ(escaped.find_first_of("<>\"'"), std::string::npos);
  }
}

TEST(Html, NeedsNothingFromTheNetwork) {
  const std::string html = render_html(data_report(R"({"title": "t", "columns": ["a"], "rows": [[1]]})"));
  std::string without_names = html;  // The SVG name space is a name, not an address that is fetched.
  for (std::size_t at; (at = without_names.find("http://www.w3.org/2000/svg")) != std::string::npos;)
    without_names.erase(at, 26);
  EXPECT_THAT(without_names, Not(HasSubstr("http://")));
  EXPECT_THAT(without_names, Not(HasSubstr("https://")));
  EXPECT_THAT(without_names, Not(HasSubstr("src=")));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(Html, NumbersSortByValueAndReadWell) {
  const std::string html =
      render_html(data_report(R"({"columns": ["name", "hot_us"], "rows": [["x", 1234567.891], ["y", null]]})"));
  EXPECT_THAT(html, HasSubstr("hot, µs"));
  EXPECT_THAT(html, HasSubstr("data-v=\"1234567.891\""));
  EXPECT_THAT(html, HasSubstr("1\u202f234\u202f568"));
  EXPECT_EQ(report::readable(0), "0");
  EXPECT_EQ(report::readable(12.3456), "12.35");
  EXPECT_EQ(report::readable(1.5), "1.5");
  EXPECT_EQ(report::readable(-0.0001), "-1.00e-04");
  EXPECT_EQ(report::readable(9999), "9999");
  EXPECT_EQ(report::readable(std::nan("")), "–");
}

TEST(Axis, TicksAreRoundAndInside) {
  std::mt19937 random(8);
  for (int trial = 0; trial < 500; ++trial) {
    const double low = std::uniform_real_distribution<>(0.001, 1000)(random);
    const double high = low * std::uniform_real_distribution<>(1, 1e4)(random);
    const bool logarithmic = trial % 2 == 0;
    const report::Axis axis(low, high, 10, 500, logarithmic);
    const auto ticks = axis.ticks(6);
    EXPECT_LE(ticks.size(), 20u);
    EXPECT_GE(ticks.size(), 1u);
    for (const double tick : ticks) {
      EXPECT_GE(axis.pixel(tick), 10 - 1e-6);
      EXPECT_LE(axis.pixel(tick), 500 + 1e-6);
    }
    EXPECT_NEAR(axis.pixel(axis.low()), 10, 1e-9);
    EXPECT_NEAR(axis.pixel(axis.high()), 500, 1e-9);
  }
  EXPECT_FALSE(report::Axis(5, 5, 0, 100, false).ticks(5).empty());
}

TEST(Svg, ShowsEveryPointAndTheBand) {
  ScatterChart chart{"errors", "ms", 0.05, {}};
  for (int i = 1; i <= 12; ++i) chart.points.push_back({"m" + std::to_string(i), 1.0 * i, 1.02 * i, 0.9 * i, 1.1 * i});
  const std::string svg = render_svg(chart);
  std::size_t circles = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) ++circles;
  EXPECT_EQ(circles, 12u);
  EXPECT_THAT(svg, HasSubstr("+5 %"));
  EXPECT_THAT(svg, HasSubstr("−5 %"));
  EXPECT_THAT(svg, HasSubstr("m12: true 12, predicted 12.24 ms (+2 %)"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(render_svg(ScatterChart{}), HasSubstr("no points"));
  EXPECT_THAT(render_svg(ScatterChart{"one", "", 0.05, {{"p", 3, 3, 0, 0}}}), Not(HasSubstr("nan")));
  EXPECT_THAT(render_svg(ScatterChart{"wide", "", 0.05, {{"p", 0.1, 0.1, 0, 0}, {"q", 1000, 1000, 0, 0}}}),
              Not(HasSubstr("nan")));
  EXPECT_THAT(render_svg(BarChart{}), HasSubstr("nothing to show"));
}

constexpr const char* kPrediction = R"({
  "latency_us": 30, "interval_us": [28, 33], "how": "composed", "flags": ["noisy"], "run_overhead_us": 4, "kernel_overhead_us": 2,
  "memory_mib": 1.5, "file_bytes": 2000000, "mflops": 10, "doubts": [],
  "missing": [{"what": "my.Op", "detail": "[1,2]", "cure": "add it", "node": 1}],
  "nodes": [{"module": "features.0", "name": "torch.nn.Conv2d", "input_shapes": [[1,3,8,8]], "output_shapes": [[1,8,8,8]], "latency_us": 16, "found": "table"},
            {"module": "", "name": "my.Op", "input_shapes": [], "output_shapes": [], "latency_us": 10, "found": "estimated"}],
  "kernels": [{"type": "Raster", "text": "Raster [x]", "node": 0, "latency_us": 4, "hot_us": 3, "cold_us": 5, "estimated": false},
              {"type": "Convolution", "text": "Convolution{}", "node": 0, "latency_us": 10, "hot_us": 9, "cold_us": 12, "estimated": false},
              {"type": "ReLU", "text": "ReLU", "node": 1, "latency_us": 10, "hot_us": 9, "cold_us": 12, "estimated": true}]})";

TEST(Pages, APredictionIsBrokenDown) {
  const std::string html = render_html(json_report(kPrediction));
  for (const char* part : {"0.03 ms", "0.028 ms … 0.033 ms", "features.0", "torch.nn.Conv2d", "Not in the table",
                           "my.Op", "add it", "Time by kernel type", "Convolution{}", "noisy"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
}

TEST(Pages, AValidationIsAPicture) {
  const std::string html = render_html(json_report(R"({
    "metrics": {"mape_pct": 1.25, "spearman": 0.99}, "noise_floor": {"mape_pct": 0.75}, "inside_interval": 0.95,
    "models": [{"name": "a", "true_us": 1000, "predicted_us": 1010, "low_us": 950, "high_us": 1060, "error_pct": 1.0, "flags": []},
               {"name": "b", "true_us": 2000, "predicted_us": 1950, "low_us": 1900, "high_us": 2050, "error_pct": -2.5, "flags": ["x"]}],
    "split": [{"type": "Raster", "true_us": 10, "predicted_us": 11}], "failed": [{"name": "c", "reason": "crashed"}]})"));
  EXPECT_THAT(html, Not(HasSubstr("[]")));
  for (const char* part : {"<svg", "<circle", "mean absolute error, %", "1.25", "0.75", "95 %", "Raster", "crashed",
                           "b: true 2, predicted 1.95 ms (-2.5 %)"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
}

TEST(Pages, OtherDataIsShownAndNonsenseIsRefused) {
  const std::string html =
      render_html(json_report(R"({"title": "T", "sections": [{"title": "S", "text": "words", "facts": {"n": 3},
    "columns": ["a", "b"], "rows": [[1, "x"], [2]], "charts": [{"kind": "bar", "title": "B", "points": [{"label": "l", "value": 2}]}]}]})"));
  for (const char* part : {"<h2>S</h2>", "words", "<dt>n</dt>", "<rect"}) EXPECT_THAT(html, HasSubstr(part));
  for (const char* bad :
       {"", "[", "[]", R"({"rows": 1})", R"({"rows": [1]})", R"({"charts": [{"kind": "pie"}]})",
        R"({"latency_us": "x"})", R"({"models": 1, "metrics": {}})", R"({"models": [], "metrics": []})",
        R"({"facts": []})", R"({"latency_us": 1, "kernels": [1]})"}) {
    EXPECT_THROW(json_report(bad), Error) << bad;
  }
}

TEST(Trace, KernelsFollowOneAnotherInsideTheirOperators) {
  const json trace = json::parse(chrome_trace(kPrediction));
  double end = 4, kernels = 0;
  std::vector<json> operators;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    if (event["tid"] == 1) {
      operators.push_back(event);
      continue;
    }
    EXPECT_NEAR(event["ts"].get<double>(), end + 2.0 / 3, 1e-9);
    end = event["ts"].get<double>() + event["dur"].get<double>();
    kernels += event["dur"].get<double>();
  }
  EXPECT_NEAR(kernels, 24, 1e-9);
  EXPECT_NEAR(end, 30, 1e-9) << "the trace is as long as the prediction";
  ASSERT_EQ(operators.size(), 2u);
  EXPECT_EQ(operators[0]["name"], "features.0");
  EXPECT_EQ(operators[1]["name"], "my.Op");
  EXPECT_NEAR(operators[0]["ts"].get<double>() + operators[0]["dur"].get<double>(), operators[1]["ts"].get<double>(),
              1e-9);
  EXPECT_THROW(chrome_trace("nonsense"), Error);
}

class TableReportTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mmt_report_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    Manifest manifest;
    OperatorEntry entry;
    entry.fingerprint = identity_hex("a");
    entry.kind = "module";
    entry.class_name = "my.Block<int>";
    entry.parameters_json = R"({"k":3})";
    entry.inputs = {{{1, 2, 3, 4}, "float32", -1, 1}};
    manifest.operators = {entry};
    write_manifest(folder_, manifest);
    Provenance run;
    run.device = "board & co";
    run.facts.name = "fake";
    JournalWriter writer(folder_ + "/latency.jsonl", run);
    ModelProfile profile;
    profile.fingerprint = entry.fingerprint;
    profile.context = "plain";
    profile.hot.count = 10;
    profile.hot.median_us = profile.hot.mean_us = 17;
    KernelProfile kernel;
    kernel.kernel.signature.type = "Convolution";
    kernel.kernel.signature.text = "Convolution{k=3}";
    kernel.kernel.signature.key = identity_hex("k");
    kernel.hot.count = 10;
    kernel.hot.median_us = 12;
    profile.kernels = {kernel};
    writer.append(profile);
    profile.context = "packed";
    profile.status = "failed";
    profile.reason = "timeout: 10 s";
    writer.append(profile);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string folder_;
};

TEST_F(TableReportTest, ShowsOperatorsKernelsAndFailures) {
  const std::string html = render_html(table_report(folder_));
  for (const char* part : {"board &amp; co", "my.Block&lt;int&gt;", "[[1,2,3,4]]", "Convolution{k=3}",
                           "Time of all kernels by type", "Not measured", "timeout: 10 s", "data-v=\"17\""}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  EXPECT_THROW(table_report(folder_, "", 0), Error);
}

TEST_F(TableReportTest, ExportsGoToFilesAtOnce) {
  const std::string csv = export_records(folder_, "operators", "csv", "-");
  const auto records = parse_csv(csv);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(records[0], testing::Contains("hot_median_us"));
  const json list = json::parse(export_records(folder_, "kernels", "json", "-"));
  EXPECT_EQ(list[0]["text"], "Convolution{k=3}");
  EXPECT_EQ(list[0]["hot_us"], 12.0);
  EXPECT_EQ(export_records(folder_, "kernels", "csv", folder_ + "/k.csv"), "");
  EXPECT_TRUE(fs::exists(folder_ + "/k.csv"));
  EXPECT_FALSE(fs::exists(folder_ + "/k.csv.part"));
  EXPECT_THROW(export_records(folder_, "kernels", "xml", "-"), Error);
  EXPECT_THROW(export_records(folder_, "nothing", "csv", folder_ + "/n.csv"), Error);
  EXPECT_FALSE(fs::exists(folder_ + "/n.csv"));
  EXPECT_THROW(export_records(folder_, "kernels", "csv", folder_ + "/no/such/k.csv"), Error);
}

}  // namespace
}  // namespace mmt
