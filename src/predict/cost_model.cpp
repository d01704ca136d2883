// From sums to a latency: overheads, and how cold a kernel's data is inside a model.
#include <algorithm>
#include <cmath>

#include "mmt/predict.h"

namespace mmt {
namespace {
constexpr double kDefaultL2Bytes = 1.0 * 1024 * 1024;
constexpr double kDefaultL3Bytes = 8.0 * 1024 * 1024;
constexpr double kTwoSided95 = 1.96;
}  // namespace

CostModel CostModel::from(const ConfigRow& config) {
  CostModel model;
  model.run_overhead_us = config.run_overhead_us;
  model.kernel_overhead_us = config.kernel_overhead_us;
  model.l2_bytes = config.run.l2_bytes > 0 ? static_cast<double>(config.run.l2_bytes) : kDefaultL2Bytes;
  model.l3_bytes = config.run.l3_bytes > 0 ? static_cast<double>(config.run.l3_bytes) : kDefaultL3Bytes;
  return model;
}

double CostModel::cold_share(double footprint_bytes) const {
  // Least recently used data survives until as much again was touched: nothing is lost while the run fits into the
  // core's own cache, everything once it is several times larger.
  const double share = (std::log2(std::max(footprint_bytes, 1.0)) - std::log2(l2_bytes)) / 2.0;
  return std::clamp(share, 0.0, 1.0);
}

double CostModel::latency_us(const PlanSums& sums) const {
  return run_overhead_us + kernel_overhead_us * sums.kernels + sums.hot_us + cold_share(sums.footprint_bytes) * sums.cold_extra_us;
}

double CostModel::half_width_us(const PlanSums& sums) const {
  const double latency = latency_us(sums);
  const double systematic = model_share * latency;
  const double estimated = estimate_share * sums.estimated_us / kTwoSided95;
  return kTwoSided95 * std::sqrt(sums.variance_us2 + systematic * systematic + estimated * estimated);
}

}  // namespace mmt
