#include "meter/samples.h"

#include <algorithm>
#include <cmath>

#include "mmt/stats.h"

namespace mmt::metering {

std::vector<double> on_scale(std::span<const Sample> samples, std::span<const double> factors) {
  std::vector<double> values;
  values.reserve(samples.size());
  for (const Sample& sample : samples) values.push_back(sample.us / factors[static_cast<std::size_t>(sample.column)]);
  return values;
}

void Quantity::drop_column(int column) {
  std::erase_if(samples_, [column](const Sample& sample) { return sample.column == column; });
}

double Quantity::tolerance(const Precision& precision) const {
  return slack_ *
         (median_us_ > 0 ? std::max(precision.target_ci, precision.floor_us / median_us_) : precision.target_ci);
}

void Quantity::evaluate(std::span<const double> factors, const Precision& precision) {
  if (settled_ && samples_.empty()) return;
  // Only the median and its interval: a full summary of every open quantity in every round would cost measuring time.
  Summary brief;
  brief.count = count();
  settled_ = false;
  if (brief.count > 0) {
    std::vector<double> values = on_scale(samples_, factors);
    std::sort(values.begin(), values.end());
    const Interval interval = median_interval_sorted(values);
    brief.median_us = quantile_sorted(values, 0.5);
    brief.ci_low_us = interval.low;
    brief.ci_high_us = interval.high;
  }
  median_us_ = brief.median_us;
  relative_width_ = relative_half_width(brief);
  // Samples of one round are alike (a kernel may occur ten times in a model): several rounds must agree.
  settled_ = brief.count >= precision.min_times && rounds() >= (precision.min_times + 1) / 2 &&
             relative_width_ <= tolerance(precision);
}

int Quantity::rounds() const {
  int count = 0, last = -1;
  for (const Sample& sample : samples_) {
    count += sample.round != last ? 1 : 0;
    last = sample.round;
  }
  return count;
}

int Quantity::samples_left(const Precision& precision) const {
  if (!wanted(precision)) return 0;
  const int most = precision.times - count();
  if (!std::isfinite(relative_width_)) return std::clamp(2 * precision.min_times - count(), 1, most);
  const double ratio = relative_width_ / tolerance(precision);
  const double needed = std::max<double>(count() * ratio * ratio, precision.min_times) - count();
  return static_cast<int>(std::clamp<double>(std::ceil(needed), 1, most));
}

}  // namespace mmt::metering
