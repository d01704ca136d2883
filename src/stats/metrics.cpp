#include <algorithm>
#include <cmath>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

void check_pairs(std::span<const double> truth, std::span<const double> predicted) {
  require(truth.size() == predicted.size(), "true and predicted values differ in number");
  require(!truth.empty(), "no values are given");
  require_finite(truth);
  require_finite(predicted);
  for (const double value : truth) require(value > 0, "a true value is not above 0");
}

/// 5.0000000001 % from rounding is 5 %.
constexpr double kRounding = 1e-9;

}  // namespace

double share_within(std::span<const double> truth, std::span<const double> predicted, double percent) {
  check_pairs(truth, predicted);
  std::size_t inside = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (100 * std::abs(predicted[i] - truth[i]) / truth[i] <= percent + kRounding) ++inside;
  }
  return static_cast<double>(inside) / static_cast<double>(truth.size());
}

ErrorMetrics error_metrics(std::span<const double> truth, std::span<const double> predicted) {
  check_pairs(truth, predicted);
  ErrorMetrics metrics;
  metrics.count = static_cast<std::int64_t>(truth.size());
  double absolute = 0, signed_sum = 0, squares = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double error = 100 * (predicted[i] - truth[i]) / truth[i];
    absolute += std::abs(error);
    signed_sum += error;
    squares += error * error;
    metrics.max_pct = std::max(metrics.max_pct, std::abs(error));
  }
  const auto count = static_cast<double>(truth.size());
  metrics.mape_pct = absolute / count;
  metrics.bias_pct = signed_sum / count;
  metrics.rmspe_pct = std::sqrt(squares / count);
  metrics.within_5pct = share_within(truth, predicted, 5);
  metrics.within_10pct = share_within(truth, predicted, 10);
  metrics.spearman = spearman(truth, predicted);
  metrics.kendall = kendall(truth, predicted);
  return metrics;
}

}  // namespace mmt
