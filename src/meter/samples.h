// Samples of one quantity (a kernel cold, a whole run hot, …) and what they say on the run's common scale.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "mmt/profile.h"

namespace mmt::metering {

/// One time, the stretch of the run ("column" of the drift fit) and the round that it was taken in.
struct Sample {
  float us = 0;
  int column = 0;
  int round = 0;
};

/// When a quantity is known well enough.
struct Precision {
  int times = 100;
  int min_times = 8;
  double target_ci = 0.01;
  /// Timers and the call between two kernels cannot tell less: tiny kernels would otherwise never be settled.
  double floor_us = 0.1;
};

/// Times on the common scale: each sample divided by its column's factor.
std::vector<double> on_scale(std::span<const Sample> samples, std::span<const double> factors);

class Quantity {
 public:
  /// `slack`: times the width that the precision asks for at which it counts as known.
  explicit Quantity(double slack = 1) : slack_(slack) {}

  void add(const Sample& sample) { samples_.push_back(sample); }
  void drop_column(int column);
  /// Judges the samples; `factors` by column.
  void evaluate(std::span<const double> factors, const Precision& precision);
  /// Takes it as known without samples of this run.
  void settle() { settled_ = true; }

  bool settled() const { return settled_; }
  bool wanted(const Precision& precision) const { return !settled_ && count() < precision.times; }
  int count() const { return static_cast<int>(samples_.size()); }
  std::span<const Sample> samples() const { return samples_; }
  double median_us() const { return median_us_; }
  /// Half-width of the median's interval as a share of it; infinity where the samples are too few to tell.
  double relative_width() const { return relative_width_; }
  /// Half-width (a share) at which it counts as known.
  double tolerance(const Precision& precision) const;
  /// Estimated samples still to take.
  int samples_left(const Precision& precision) const;

 private:
  int rounds() const;

  double slack_;
  std::vector<Sample> samples_;
  double median_us_ = 0;
  double relative_width_ = std::numeric_limits<double>::infinity();
  bool settled_ = false;
};

}  // namespace mmt::metering
