#include "report/axis.h"

#include <algorithm>
#include <cmath>

namespace mmt::report {
namespace {

/// 1, 2 or 5 times a power of ten, at least `size`.
double round_step(double size) {
  const double power = std::pow(10.0, std::floor(std::log10(size)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= size * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

Axis::Axis(double low, double high, double first, double last, bool logarithmic)
    : low_(low), high_(high), first_(first), last_(last), logarithmic_(logarithmic && low > 0) {
  if (!(high_ > low_)) {  // A single value sits in the middle.
    const double room = std::max(std::abs(low_) * 0.1, 1e-9);
    low_ -= logarithmic_ ? std::min(room, low_ / 2) : room;
    high_ += room;
  }
}

double Axis::pixel(double value) const {
  const double share = logarithmic_ ? std::log(value / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
  return first_ + (last_ - first_) * share;
}

std::vector<double> Axis::ticks(int count) const {
  std::vector<double> values;
  if (logarithmic_ && high_ / low_ > 10) {
    for (double power = std::pow(10.0, std::floor(std::log10(low_))); power <= high_; power *= 10) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= low_ && factor * power <= high_) values.push_back(factor * power);
      }
    }
    return values;
  }
  const double step = round_step((high_ - low_) / std::max(count, 1));
  const double start = std::ceil(low_ / step - 1e-9);
  for (int i = 0; i <= 2 * count + 2 && (start + i) * step <= high_ * (1 + 1e-12) + 1e-12 * step; ++i) {
    values.push_back((start + i) * step);
  }
  return values;
}

}  // namespace mmt::report
