// The builder's statistics: pooled kernel costs and the overheads of each configuration.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "mmt/kernel_memory.h"
#include "mmt/profile.h"
#include "mmt/stats.h"
#include "table/builder.h"
#include "table/cells.h"
#include "table/overhead.h"
#include "table/pool.h"
#include "table/schema.h"

namespace mmt::table {
namespace {

/// The condition that `row` belongs to the same kernel of the same operator as `p`.
std::string same_kernel_sql(const std::string& row) {
  std::string text;
  for (const char* column : {"config_no", "operator_no", "context", "position"}) {
    text += (text.empty() ? "" : " AND ") + row + "." + column + " = p." + column;
  }
  return text;
}

/// The sources of one kernel under one configuration, on their way to one row.
struct Group {
  int config = 0;
  std::int64_t kernel = 0;
  int members = 0;
  QuantityPool cold, hot;
  std::vector<std::string> flags;  // Those that every source carries.

  void add(const Summary& cold_summary, const Summary& hot_summary, const std::string& source_flags) {
    const bool has_cold = cold.add(cold_summary);
    const bool has_hot = hot.add(hot_summary);
    if (!has_cold && !has_hot) return;  // Its measurement was spared: others have it.
    const std::vector<std::string> found = flag_words(source_flags);
    if (members++ == 0) flags = found;
    std::erase_if(flags,
                  [&](const std::string& flag) { return std::find(found.begin(), found.end(), flag) == found.end(); });
  }

  KernelRow row() const {
    QuantityPool::Result pooled_cold = cold.result();
    QuantityPool::Result pooled_hot = hot.result();
    KernelRow row;
    row.sources = members;
    std::vector<std::string> all;
    for (const std::string& flag : flags) {
      if (flag != "noisy" && flag != "few") all.push_back(flag);
    }
    if (pooled_cold.noisy || pooled_hot.noisy) all.insert(all.begin(), "noisy");
    if (cold.empty() || hot.empty()) {
      (cold.empty() ? pooled_cold : pooled_hot) = cold.empty() ? pooled_hot : pooled_cold;
      all.push_back("few");
    }
    row.cold_us = pooled_cold.value_us;
    row.cold_se_us = pooled_cold.se_us;
    row.cold_spread_us = pooled_cold.spread_us;
    row.hot_us = pooled_hot.value_us;
    row.hot_se_us = pooled_hot.se_us;
    row.hot_spread_us = pooled_hot.spread_us;
    for (const std::string& flag : all) add_flag(row.flags, flag);
    return row;
  }
};

}  // namespace

void Builder::pool_kernels() {
  Statement rows(
      database_,
      "SELECT p.config_no, p.kernel_no, m.flags, " + operator_kernel_time_columns_sql("t") +
          " FROM operator_kernel p INDEXED BY operator_kernel_by_kernel "
          "CROSS JOIN operator_kernel_time t ON " +
          same_kernel_sql("t") +
          " JOIN operator o ON o.operator_no = p.operator_no "
          "JOIN measurement m ON m.config_no = p.config_no AND m.operator_no = p.operator_no AND m.context = p.context "
          "WHERE o.kind NOT IN ('model', 'unlisted') AND m.status = 'ok' ORDER BY p.config_no, p.kernel_no");
  Group group;
  const auto write = [&] {
    if (group.members == 0) return;
    insert_cost_.start().bind(group.config).bind(group.kernel);
    bind_cells(insert_cost_, kKernelCostFields, group.row());
    insert_cost_.run();
  };
  while (rows.step()) {
    const int config = rows.next<int>();
    const auto kernel = rows.next<std::int64_t>();
    if (config != group.config || kernel != group.kernel) {
      write();
      group = Group{};
      group.config = config;
      group.kernel = kernel;
    }
    const auto flags = rows.next<std::string>();
    KernelProfile times;
    read_cells(rows, kOperatorKernelTimeFields, times);
    group.add(times.cold, times.hot, flags);
  }
  write();
}

std::vector<OverheadPoint> Builder::overhead_points(int config, const std::string& state) {
  // An operator's own kernel times (see expected_us) belong to the same rounds as its total; what was spared comes from
  // the pool.
  // "@" stands for cold or hot.
  std::string query =
      "SELECT COUNT(*), m.@_expected_us, (m.@_ci_high_us - m.@_ci_low_us) / 3.92, "
      "SUM(CASE WHEN t.@_count > 0 THEN t.@_expected_us ELSE c.@_us END), "
      "SUM(CASE WHEN t.@_count > 0 THEN (t.@_ci_high_us - t.@_ci_low_us) * (t.@_ci_high_us - t.@_ci_low_us) "
      "/ (3.92 * 3.92) ELSE c.@_se_us * c.@_se_us END), "
      "COUNT(c.kernel_no) "
      "FROM measurement m JOIN operator o ON o.operator_no = m.operator_no "
      "CROSS JOIN operator_kernel p "
      "ON p.config_no = m.config_no AND p.operator_no = m.operator_no AND p.context = m.context "
      "CROSS JOIN operator_kernel_time t ON " +
      same_kernel_sql("t") +
      " LEFT JOIN kernel_cost c ON c.config_no = p.config_no AND c.kernel_no = p.kernel_no "
      "WHERE m.config_no = ?1 AND m.context = 'plain' AND m.status = 'ok' AND m.@_count > 0 "
      "AND o.kind NOT IN ('model', 'unlisted') GROUP BY m.operator_no ORDER BY m.operator_no";
  for (std::size_t at = query.find('@'); at != std::string::npos; at = query.find('@')) query.replace(at, 1, state);
  Statement rows(database_, query);
  rows.start().bind(config);
  std::vector<OverheadPoint> points;
  while (rows.step()) {
    const double kernels = rows.real(0), total = rows.real(1), total_se = rows.real(2), sum = rows.real(3);
    if (rows.integer(5) != rows.integer(0)) continue;  // A kernel without any measurement.
    points.push_back({kernels, total - sum, std::sqrt(total_se * total_se + rows.real(4)), total});
  }
  return points;
}

double Builder::whole_run_overhead_us(int config) {
  Statement rows(database_,
                 "SELECT hot_median_us, mflops, memory_mib FROM measurement "
                 "WHERE config_no = ?1 AND context = 'plain' AND status = 'ok' AND hot_count > 0");
  rows.start().bind(config);
  std::vector<double> design, times;
  LinearFitOptions options;
  options.nonnegative = true;
  while (rows.step()) {
    times.push_back(rows.real(0));
    design.insert(design.end(), {1.0, rows.real(1), rows.real(2)});
    options.weights.push_back(1 / std::max(times.back(), 1e-3));
  }
  if (times.size() < 4) return 0;
  const LinearFit fit = robust_linear_fit(design, 3, times, options);
  return std::clamp(fit.coefficients[0], 0.0, *std::min_element(times.begin(), times.end()));
}

void Builder::fit_overheads(int config, ConfigRow& row) {
  if (!row.run.facts.per_kernel) {
    row.run_overhead_us = row.cold_run_overhead_us = whole_run_overhead_us(config);
    row.kernel_overhead_us = row.cold_kernel_overhead_us = -row.run_overhead_us;
    return;
  }
  const Overhead hot = fit_overhead(overhead_points(config, "hot"));
  row.run_overhead_us = hot.run_us;
  row.kernel_overhead_us = hot.kernel_us;
  row.overhead_residual = hot.residual;
  // Between cold kernels the engine's own bookkeeping is cold as well, which no kernel's own time shows.
  const Overhead cold = fit_overhead(overhead_points(config, "cold"));
  row.cold_run_overhead_us = cold.run_us;
  row.cold_kernel_overhead_us = cold.kernel_us;
}

double Builder::cold_us_per_mib(int config, const Provenance& run) {
  // Elsewhere activations are cold in a cold run too.
  if (!run.facts.per_kernel || run.displace_bytes == 0) return 0;
  constexpr double kMib = 1024 * 1024;
  Statement rows(database_,
                 "SELECT k.type, k.attributes, k.text, k.weight_bytes, k.output_bytes, c.cold_us - c.hot_us "
                 "FROM kernel_cost c JOIN kernel k ON k.kernel_no = c.kernel_no "
                 "WHERE c.config_no = ?1 AND k.weight_bytes > 0 ORDER BY k.kernel_no");
  rows.start().bind(config);
  std::vector<double> prices, mib;
  while (rows.step()) {
    KernelSignature kernel;
    kernel.type = rows.text(0);
    kernel.attributes = rows.text(1);
    kernel.text = rows.text(2);
    kernel.weight_bytes = rows.integer(3);
    kernel.output_bytes = rows.integer(4);
    if (!is_mostly_weights(kernel)) continue;
    mib.push_back(static_cast<double>(kept_weight_bytes(kernel, run.facts.threads)) / kMib);
    prices.push_back(std::max(0.0, rows.real(5)) / mib.back());
  }
  return prices.empty() ? 0 : weighted_median(prices, mib);
}

}  // namespace mmt::table
