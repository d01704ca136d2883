#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double weighted_median(std::span<const double> values, std::span<const double> weights) {
  require(!values.empty(), "there is nothing to take the median of");
  require(values.size() == weights.size(), "values and weights differ in number");
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  const double half = 0.5 * std::accumulate(weights.begin(), weights.end(), 0.0);
  double below = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    below += weights[order[i]];
    if (below > half) return values[order[i]];
    if (below == half && i + 1 < order.size()) return 0.5 * (values[order[i]] + values[order[i + 1]]);
  }
  return values[order.back()];
}

Pooled pool_estimates(std::span<const double> values, std::span<const double> standard_errors) {
  require(!values.empty(), "there is no estimate to pool");
  require(values.size() == standard_errors.size(), "estimates and standard errors differ in number");
  require_finite(values);
  for (const double error : standard_errors) require(error >= 0, "a standard error is negative or not a number");
  Pooled pooled;
  pooled.sources = static_cast<int>(values.size());

  std::vector<double> known, variances;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(standard_errors[i])) continue;
    known.push_back(values[i]);
    variances.push_back(standard_errors[i] * standard_errors[i]);
  }
  if (known.empty()) {  // Nobody tells an error: the spread between the sources is all there is.
    pooled.value = median(values);
    pooled.between = values.size() == 2 ? std::abs(values[0] - values[1]) / std::sqrt(2.0) : kNormalMad * mad(values);
    pooled.standard_error =
        values.size() == 1 ? kInfinity : 1.2533 * pooled.between / std::sqrt(static_cast<double>(values.size()));
    return pooled;
  }
  const std::size_t count = known.size();
  // What the sources' own errors do not explain, robustly: one wild source must not make all weights equal.
  const double own = median(variances);
  const double total = count == 1   ? own
                       : count == 2 ? 0.5 * (known[0] - known[1]) * (known[0] - known[1])
                                    : std::pow(kNormalMad * mad(known), 2);
  const double between = std::max(0.0, total - own);
  pooled.between = std::sqrt(between);

  // An error of exactly 0 would take all the weight; it says less than that.
  const double largest =
      *std::max_element(known.begin(), known.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  const double floor = std::max(1e-18 * largest * largest, std::numeric_limits<double>::min());
  std::vector<double> precisions(count), weights(count);
  for (std::size_t i = 0; i < count; ++i) precisions[i] = 1 / std::max(variances[i] + between, floor);
  double centre = weighted_median(known, precisions), scatter = 0, weight_sum = 0;
  constexpr double kBound = 2.0;
  for (int step = 0; step < 20; ++step) {
    double sum = 0;
    weight_sum = scatter = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double size = std::abs(known[i] - centre) * std::sqrt(precisions[i]);
      weights[i] = precisions[i] * (size <= kBound ? 1.0 : kBound / size);
      sum += weights[i] * known[i];
      weight_sum += weights[i];
      scatter += weights[i] * weights[i] / precisions[i];
    }
    const double next = sum / weight_sum;
    const bool done = std::abs(next - centre) <= 1e-12 * std::abs(largest);
    centre = next;
    if (done) break;
  }
  pooled.value = centre;
  pooled.standard_error = std::sqrt(scatter) / weight_sum;
  return pooled;
}

}  // namespace mmt
