// What a run costs beside its kernels: fitted from the operators' own totals, never from whole models.
#pragma once

#include <vector>

namespace mmt::table {

/// One operator: how much longer its whole run is than the sum of its kernels.
struct OverheadPoint {
  double kernels = 0;    ///< Number of kernels in the run.
  double excess_us = 0;  ///< Whole run − Σ kernels.
  double se_us = 1;      ///< Standard error of `excess_us`.
  double total_us = 0;   ///< Whole run.
};

struct Overhead {
  double run_us = 0;     ///< Per run; 0 … 1,000 µs.
  double kernel_us = 0;  ///< Per kernel; 0 … 50 µs.
  double residual = 0;   ///< Median of |excess − fit| / total.
};

/// excess = run + kernels · kernel, by a robust fit with weights 1/error: neither a few wild points nor the large
/// errors of slow operators move it. Negative constants make no sense: they are 0, and the other one is fitted alone.
/// No points: zeros. Kernel counts that do not differ cannot tell the two apart: everything is then counted per run.
Overhead fit_overhead(const std::vector<OverheadPoint>& points);

}  // namespace mmt::table
