#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// With fewer samples no two order statistics cover the median with 95 %.
constexpr int kFewestForInterval = 6;

/// `value`, no farther from the median than kMostSkew allows. Damaged journals may tell any median.
double held(double value, double median) {
  const double most = kMostSkew * std::abs(median);
  return std::clamp(value, median - most, median + most);
}

}  // namespace

Summary summarize(std::span<const double> values_us, double target_ci) {
  Summary summary;
  if (values_us.empty()) return summary;
  const std::vector<double> sorted = sorted_copy(values_us);
  summary.count = static_cast<int>(sorted.size());
  summary.mean_us = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  summary.min_us = sorted.front();
  summary.max_us = sorted.back();
  summary.median_us = quantile_sorted(sorted, 0.5);
  for (const double value : sorted) summary.expected_us += held(value, summary.median_us);
  summary.expected_us /= static_cast<double>(sorted.size());
  const Interval interval = median_interval_sorted(sorted);
  summary.ci_low_us = interval.low;
  summary.ci_high_us = interval.high;
  summary.p05_us = quantile_sorted(sorted, 0.05);
  summary.p25_us = quantile_sorted(sorted, 0.25);
  summary.p75_us = quantile_sorted(sorted, 0.75);
  summary.p95_us = quantile_sorted(sorted, 0.95);
  summary.noisy = find_modes(sorted).bimodal || (target_ci > 0 && relative_half_width(summary) > target_ci);
  return summary;
}

double relative_half_width(const Summary& summary) noexcept {
  if (summary.count < kFewestForInterval || !(summary.median_us > 0)) return kInfinity;
  return 0.5 * (summary.ci_high_us - summary.ci_low_us) / summary.median_us;
}

double median_standard_error(const Summary& summary) noexcept {
  if (summary.count < 2) return kInfinity;
  if (summary.count >= kFewestForInterval) return (summary.ci_high_us - summary.ci_low_us) / (2 * 1.959963985);
  // Expected range of 2…5 normal samples in standard deviations; a median scatters 1.25 times as much as a mean.
  constexpr double kExpectedRange[] = {1.128, 1.693, 2.059, 2.326};
  const double deviation = (summary.max_us - summary.min_us) / kExpectedRange[summary.count - 2];
  return 1.2533 * deviation / std::sqrt(static_cast<double>(summary.count));
}

double expected_us(const Summary& summary) noexcept {
  if (summary.expected_us > 0) return summary.expected_us;
  if (!(summary.mean_us > 0) || !std::isfinite(summary.mean_us)) return summary.median_us;
  return held(summary.mean_us, summary.median_us);
}

bool may_stop(const Summary& summary, const StopRule& rule) noexcept {
  if (summary.count >= rule.times) return true;
  return summary.count >= rule.min_times && relative_half_width(summary) <= rule.target_ci;
}

int samples_left(const Summary& summary, const StopRule& rule) noexcept {
  if (may_stop(summary, rule)) return 0;
  const int most = rule.times - summary.count;
  const double width = relative_half_width(summary);
  if (!std::isfinite(width) || rule.target_ci <= 0) {
    return summary.count < rule.min_times && rule.target_ci > 0 ? std::min(rule.min_times - summary.count, most) : most;
  }
  const double needed = summary.count * (width / rule.target_ci) * (width / rule.target_ci);
  const double left = std::max(needed, static_cast<double>(rule.min_times)) - summary.count;
  return std::clamp(static_cast<int>(std::min(std::ceil(left), 1e9)), 1, most);
}

}  // namespace mmt
