#include "table/overhead.h"

#include <algorithm>
#include <cmath>

#include "mmt/stats.h"

namespace mmt::table {
namespace {

constexpr double kMaxRunUs = 1000.0;
constexpr double kMaxKernelUs = 50.0;
constexpr double kRelativeFloor = 1e-3;

}  // namespace

Overhead fit_overhead(const std::vector<OverheadPoint>& points) {
  std::vector<double> design, excess, totals;
  LinearFitOptions options;
  options.nonnegative = true;
  for (const OverheadPoint& point : points) {
    if (!std::isfinite(point.excess_us) || !std::isfinite(point.se_us) || point.kernels < 0 || point.total_us <= 0)
      continue;
    design.push_back(1);
    design.push_back(point.kernels);
    excess.push_back(point.excess_us);
    totals.push_back(point.total_us);
    options.weights.push_back(1 / std::max({point.se_us, kRelativeFloor * point.total_us, 1e-3}));
  }
  Overhead overhead;
  if (excess.empty()) return overhead;
  const LinearFit fit = robust_linear_fit(design, 2, excess, options);
  overhead.run_us = std::clamp(fit.coefficients[0], 0.0, kMaxRunUs);
  overhead.kernel_us = std::clamp(fit.coefficients[1], 0.0, kMaxKernelUs);
  std::vector<double> residuals;
  for (std::size_t i = 0; i < excess.size(); ++i) {
    const double fitted = overhead.run_us + overhead.kernel_us * design[2 * i + 1];
    residuals.push_back(std::abs(excess[i] - fitted) / totals[i]);
  }
  overhead.residual = median(residuals);
  return overhead;
}

}  // namespace mmt::table
