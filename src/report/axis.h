// Axes of pictures: from values to pixels, with round ticks.
#pragma once

#include <vector>

namespace mmt::report {

class Axis {
 public:
  /// Covers [low, high] (finite, low <= high) on the pixels from `first` to `last`, logarithmic only for low > 0.
  Axis(double low, double high, double first, double last, bool logarithmic);
  double pixel(double value) const;
  /// Round values inside the axis, ascending, about `count`.
  std::vector<double> ticks(int count) const;
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_, high_, first_, last_;
  bool logarithmic_;
};

}  // namespace mmt::report
