#include <algorithm>
#include <cmath>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

/// Probability of at most `k` heads in `n` fair throws, for every k below n / 2: cumulative[k].
std::vector<double> fair_binomial_cumulative(std::size_t n) {
  std::vector<double> cumulative;
  cumulative.reserve(n / 2 + 1);
  double log_term = -static_cast<double>(n) * std::log(2.0), sum = 0;
  for (std::size_t k = 0; k <= n / 2; ++k) {
    sum += std::exp(log_term);
    cumulative.push_back(sum);
    log_term += std::log(static_cast<double>(n - k) / static_cast<double>(k + 1));
  }
  return cumulative;
}

/// Quantile of the standard normal distribution by Newton steps on erfc; p in (0, 1).
double normal_quantile(double p) {
  double x = 0;
  for (int i = 0; i < 60; ++i) {
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
    const double step = (0.5 * std::erfc(-x / std::sqrt(2.0)) - p) / density;
    x -= std::clamp(step, -1.0, 1.0);
    if (std::abs(step) < 1e-12) break;
  }
  return x;
}

}  // namespace

std::vector<double> sorted_copy(std::span<const double> values) {
  require(!values.empty(), "no samples are given");
  require_finite(values);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

double median_in_place(std::span<double> values) {
  const std::size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + half, values.end());
  if (values.size() % 2 == 1) return values[half];
  return 0.5 * (values[half] + *std::max_element(values.begin(), values.begin() + half));
}

double quantile_sorted(std::span<const double> sorted, double q) {
  require(!sorted.empty(), "a quantile of no samples is asked for");
  require(q >= 0 && q <= 1, "a quantile must lie in 0…1");
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double quantile(std::span<const double> values, double q) { return quantile_sorted(sorted_copy(values), q); }

double median(std::span<const double> values) {
  require(!values.empty(), "the median of no samples is asked for");
  require_finite(values);
  std::vector<double> scratch(values.begin(), values.end());
  return median_in_place(scratch);
}

double mad(std::span<const double> values) {
  const double centre = median(values);
  std::vector<double> deviations(values.begin(), values.end());
  for (double& value : deviations) value = std::abs(value - centre);
  return median_in_place(deviations);
}

Interval median_interval_sorted(std::span<const double> sorted, double confidence) {
  require(!sorted.empty(), "the interval of no samples is asked for");
  require(confidence > 0 && confidence < 1, "a confidence must lie between 0 and 1");
  const std::size_t n = sorted.size();
  // Above this the normal approximation of the ranks is better than one part in a thousand.
  constexpr std::size_t kExactLimit = 1000;
  if (n > kExactLimit) {
    const double half_width = 0.5 * normal_quantile(0.5 + confidence / 2) / std::sqrt(static_cast<double>(n));
    return {quantile_sorted(sorted, 0.5 - half_width), quantile_sorted(sorted, 0.5 + half_width)};
  }
  // The k-th smallest to the k-th largest value covers the median with 1 - 2·P(at most k - 1 heads of n).
  const std::vector<double> cumulative = fair_binomial_cumulative(n);
  const auto coverage = [&](std::size_t k) { return 1 - 2 * cumulative[k - 1]; };
  if (n < 2 || coverage(1) <= confidence) return {sorted.front(), sorted.back()};
  std::size_t k = 1;
  while (k + 1 <= n / 2 && coverage(k + 1) >= confidence) ++k;
  // The wide pair of ranks covers more than asked for, the next narrower one less. The weight between them is the one
  // of Hettmansperger and Sheather (1986), nearly exact for every continuous distribution.
  if (k + 1 > n / 2) return {sorted[k - 1], sorted[n - k]};
  const double wide = coverage(k), narrow = coverage(k + 1);
  const double part = (wide - confidence) / (wide - narrow);
  const auto count = static_cast<double>(n), rank = static_cast<double>(k);
  const double weight = (count - rank) * part / (rank + (count - 2 * rank) * part);
  return {(1 - weight) * sorted[k - 1] + weight * sorted[k], (1 - weight) * sorted[n - k] + weight * sorted[n - k - 1]};
}

}  // namespace mmt
