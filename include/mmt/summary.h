// What is kept of one quantity's samples.
#pragma once

namespace mmt {

/// A robust summary of one quantity's samples, in microseconds, on the run's common drift scale.
struct Summary {
  int count = 0;
  double mean_us = 0, min_us = 0, max_us = 0, median_us = 0;
  double expected_us = 0;  ///< What it adds to a sum (see mmt::expected_us in stats.h); 0 in tables that lack it.
  double ci_low_us = 0, ci_high_us = 0;  ///< 95 % confidence interval of the median.
  double p05_us = 0, p25_us = 0, p75_us = 0, p95_us = 0;
  bool noisy = false;  ///< The interval stayed wider than asked for, or the samples have two modes.
};

}  // namespace mmt
