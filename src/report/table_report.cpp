// A latency table as pages' sections.
#include <algorithm>
#include <functional>
#include <map>

#include "mmt/error.h"
#include "mmt/report.h"
#include "mmt/table.h"
#include "mmt/table_tools.h"
#include "report/text.h"

namespace mmt {
namespace {

using report::readable;

/// Takes chosen columns of a view into a table.
class Picker final : public RecordSink {
 public:
  /// `wanted`: columns by name; `keep`: which rows (gets the whole row by name).
  using Row = std::map<std::string, RecordValue>;
  Picker(ReportTable& table, std::int64_t limit, std::function<bool(const Row&)> keep = {})
      : table_(table), limit_(limit), keep_(std::move(keep)) {}

  void columns(const std::vector<std::string>& names) override { names_ = names; }

  void row(const Record& values) override {
    Row row;
    for (std::size_t i = 0; i < values.size(); ++i) row[names_[i]] = values[i];
    if (keep_ && !keep_(row)) return;
    if (static_cast<std::int64_t>(table_.rows.size()) >= limit_) {
      ++table_.left_out;
      return;
    }
    Record& record = table_.rows.emplace_back();
    for (const std::string& column : table_.columns) record.push_back(row.at(column));
  }

 private:
  ReportTable& table_;
  std::int64_t limit_;
  std::function<bool(const Row&)> keep_;
  std::vector<std::string> names_;
};

std::string text_of(const RecordValue& value) { return report::value_text(value, false); }

std::string mib(std::int64_t bytes) {
  return bytes > 0 ? readable(static_cast<double>(bytes) / (1024.0 * 1024.0)) + " MiB" : "";
}

ReportSection provenance(const ConfigRow& config) {
  const Provenance& run = config.run;
  ReportSection section;
  // Journals of other programs may leave things out: what is not known is not shown.
  const auto fact = [&](const std::string& name, const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) {
      if (!part.empty()) text += (text.empty() ? "" : ", ") + part;
    }
    if (!text.empty()) section.facts.emplace_back(name, text);
  };
  const auto with = [](const std::string& before, const std::string& value) {
    return value.empty() ? "" : before + value;
  };
  fact("configuration", {config.config_id});
  fact("device", {run.device});
  fact("CPU", {run.cpu, run.cpus_online > 0 ? std::to_string(run.cpus_online) + " online" : ""});
  fact("caches", {with("L1d ", mib(run.l1d_bytes)), with("L2 ", mib(run.l2_bytes)), with("L3 ", mib(run.l3_bytes))});
  fact("system", {run.os, with("governor ", run.governor)});
  fact("engine", {run.facts.name + with(" ", run.facts.version), with("build ", run.facts.build)});
  fact("backend", {run.facts.backend, std::to_string(run.facts.threads) + " thread(s)"});
  fact("modes", {"precision " + run.config.precision, "memory " + run.config.memory, "power " + run.config.power});
  fact("measured", {run.started_at, with("mmt ", run.mmt_version)});
  fact("operators", {std::to_string(config.operators) + " measured", std::to_string(config.kernels) + " kernels"});
  fact("overhead",
       {readable(config.run_overhead_us) + " µs a run", readable(config.kernel_overhead_us) + " µs a kernel"});
  return section;
}

/// Kernel rows grouped by type: how many there are and how long they take together.
ReportSection kernel_section(LatencyTable& table, std::int64_t limit) {
  ReportSection section;
  section.heading = "Kernels";
  section.text =
      "What the engine really executes. Each figure is pooled over all operators that contain the kernel: cold is the "
      "first run after other operators, hot a run right after one of the same operator.";
  std::vector<KernelRow> kernels = table.all_kernels();
  std::map<std::string, double> by_type;
  for (const KernelRow& kernel : kernels) by_type[kernel.type] += kernel.hot_us;
  BarChart chart{"Time of all kernels by type (hot)", "µs", {}};
  for (const auto& [type, sum] : by_type) chart.bars.push_back({type, sum});
  std::stable_sort(chart.bars.begin(), chart.bars.end(), [](const Bar& a, const Bar& b) { return a.value > b.value; });
  section.bars.push_back(std::move(chart));

  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const KernelRow& a, const KernelRow& b) { return a.hot_us > b.hot_us; });
  ReportTable list;
  list.columns = {"kernel", "hot_us", "hot_error_us", "cold_us", "cold_error_us", "sources", "weight_bytes", "flags"};
  for (const KernelRow& kernel : kernels) {
    if (static_cast<std::int64_t>(list.rows.size()) >= limit) {
      ++list.left_out;
      continue;
    }
    list.rows.push_back({kernel.text, kernel.hot_us, kernel.hot_se_us, kernel.cold_us, kernel.cold_se_us,
                         std::int64_t{kernel.sources}, kernel.weight_bytes, kernel.flags});
  }
  section.tables.push_back(std::move(list));
  return section;
}

}  // namespace

Report table_report(const std::string& path, const std::string& config_id, std::int64_t limit) {
  if (limit < 1) throw Error(ErrorCode::kInvalidArgument, "a report shows at least one row");
  const auto table = LatencyTable::open(path, config_id);
  const std::string id = table->config().config_id;
  Report report;
  report.title = "Latency table of " + table->config().run.device;
  report.sections.push_back(provenance(table->config()));

  ReportSection operators;
  operators.heading = "Operators";
  operators.text =
      "Whole runs, back to back (average, minimum, maximum, median) and cold. The packed context shows an operator as "
      "it "
      "runs inside a network, behind a stub; its own time is that of its kernels.";
  ReportTable list, failures;
  list.columns = {"class_name",     "parameters", "input_shapes",  "context",       "average_us",
                  "minimum_us",     "maximum_us", "hot_median_us", "hot_ci_low_us", "hot_ci_high_us",
                  "cold_median_us", "memory_mib", "file_bytes",    "flags"};
  failures.columns = {"class_name", "parameters", "input_shapes", "context", "reason"};
  const auto succeeded = [](const Picker::Row& row) { return text_of(row.at("status")) == "ok"; };
  Picker good(list, limit, succeeded), bad(failures, limit, [&](const Picker::Row&row) { return !succeeded(row); });
  read_records(path, "operators", id, good);
  read_records(path, "operators", id, bad);
  operators.tables.push_back(std::move(list));
  report.sections.push_back(std::move(operators));
  if (!failures.rows.empty()) {
    ReportSection failed;
    failed.heading = "Not measured";
    failed.tables.push_back(std::move(failures));
    report.sections.push_back(std::move(failed));
  }

  report.sections.push_back(kernel_section(*table, limit));

  ReportSection inside;
  inside.heading = "What the operators consist of";
  ReportTable parts;
  parts.columns = {"fingerprint", "context", "position", "role", "text", "hot_median_us", "cold_median_us"};
  Picker picker(parts, limit);
  read_records(path, "operator_kernels", id, picker);
  std::map<std::string, std::string> names;  // Fingerprints mean nothing to people.
  parts.columns.front() = "operator";
  for (Record& row : parts.rows) {
    const std::string fingerprint = std::get<std::string>(row.front());
    auto [name, fresh] = names.try_emplace(fingerprint);
    if (fresh) {
      const auto found = table->find_operator(fingerprint);
      name->second = found != nullptr && !found->class_name.empty() ? found->class_name + " " + found->parameters_json
                                                                    : fingerprint;
    }
    row.front() = name->second;
  }
  inside.tables.push_back(std::move(parts));
  report.sections.push_back(std::move(inside));
  return report;
}

}  // namespace mmt
