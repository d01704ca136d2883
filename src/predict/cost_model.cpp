// From sums to a latency: overheads, and how cold a kernel's data is inside a model.
#include <algorithm>
#include <cmath>

#include "mmt/predict.h"

namespace mmt {
namespace {
constexpr double kDefaultL2Bytes = 1.0 * 1024 * 1024;
constexpr double kDefaultL3Bytes = 8.0 * 1024 * 1024;
constexpr double kTwoSided95 = 1.96;
// What a cold byte of output costs against a cold byte of weights: a line that is only written needs no waiting for it.
constexpr double kOutputAgainstWeights = 0.1;
constexpr double kSharedCacheAgainstMemory = 0.8;
// A convolution over more than one pixel rearranges its input in scratch memory of several times its output's size. In
// an operator's own session that is cold; in a model all convolutions share it.
constexpr double kScratchAgainstWeights = 3.0;

bool works_in_scratch(const KernelSignature& kernel) {
  return kernel.type == "Convolution" && kernel.attributes.find("kernel_") != std::string::npos;
}
}  // namespace

CostModel CostModel::from(const ConfigRow& config) {
  CostModel model;
  model.run_overhead_us = config.run_overhead_us;
  model.kernel_overhead_us = config.kernel_overhead_us;
  model.cold_run_extra_us = std::max(0.0, config.cold_run_overhead_us - config.run_overhead_us);
  model.cold_kernel_extra_us = std::max(0.0, config.cold_kernel_overhead_us - config.kernel_overhead_us);
  model.l2_bytes = config.run.l2_bytes > 0 ? static_cast<double>(config.run.l2_bytes) : kDefaultL2Bytes;
  model.l3_bytes = config.run.l3_bytes > 0 ? static_cast<double>(config.run.l3_bytes) : kDefaultL3Bytes;
  return model;
}

double CostModel::cold_share(double footprint_bytes) const {
  // Least recently used data survives until as much again was touched: nothing is lost while a run fits into the core's
  // own cache. Beyond it data comes from the shared cache, which costs most of what memory costs, and from memory once
  // the run is larger than the shared cache as well.
  const double bytes = std::max(footprint_bytes, 1.0);
  const double out_of_l2 = std::clamp(std::log2(bytes / l2_bytes) / 2.0, 0.0, 1.0);
  return kSharedCacheAgainstMemory * out_of_l2 + (1.0 - kSharedCacheAgainstMemory) * out_of_l3(bytes);
}

double CostModel::out_of_l3(double footprint_bytes) const {
  return std::clamp(std::log2(std::max(footprint_bytes, 1.0) / (l3_bytes / 2.0)) / 2.0, 0.0, 1.0);
}

double CostModel::still_cold(const KernelSignature& kernel, double footprint_bytes) const {
  const double weights = static_cast<double>(kernel.weight_bytes);
  const bool scratch = works_in_scratch(kernel);
  const double outputs =
      (scratch ? kScratchAgainstWeights : kOutputAgainstWeights) * static_cast<double>(kernel.output_bytes);
  if (weights + outputs <= 0) return 0;
  if (scratch) return weights / (weights + outputs);
  const double live = static_cast<double>(kernel.input_bytes + kernel.output_bytes) / l2_bytes;
  const double evicted = std::clamp((live - 1.0) / 0.5, 0.0, 1.0) * out_of_l3(footprint_bytes);
  return (weights + evicted * outputs) / (weights + outputs);
}

double CostModel::latency_us(const PlanSums& sums) const {
  return run_overhead_us + kernel_overhead_us * sums.kernels + sums.hot_us +
         cold_share(sums.footprint_bytes) * sums.cold_extra_us;
}

double CostModel::half_width_us(const PlanSums& sums) const {
  const double latency = latency_us(sums);
  const double systematic = model_share * latency;
  const double estimated = estimate_share * sums.estimated_us / kTwoSided95;
  return kTwoSided95 * std::sqrt(sums.variance_us2 + systematic * systematic + estimated * estimated);
}

}  // namespace mmt
