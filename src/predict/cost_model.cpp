// From sums to a latency: overheads, and how cold a kernel's data is inside a model.
#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>

#include "mmt/kernel_memory.h"
#include "mmt/predict.h"

namespace mmt {
namespace {
constexpr double kTwoSided95 = 1.96;
// What a byte of outputs counts against one of weights in a kernel's cold time, and how much of their part a model pays
// too: its activations were written just before, or their memory was used by others lately.
constexpr double kOutput = 0.5, kActivations = 0.4;
// Weights larger than this share of the largest cache do not stay from one run to the next even where nothing else
// runs: hot times hold most of their reading, and what a cold run adds is something else.
constexpr double kStays = 0.5;
// A convolution over windows works in scratch memory, cold in a cold run of the operator alone, but not inside a model,
// whose kernels share it: of the extra, this many bytes beside those of the weights.
constexpr double kScratch = 5e5;
// A model's input was written before the run, by way of the caches.
constexpr double kInput = 0.4;
// Computing hides a part of the reading that a cold run adds, in proportion to the hot time. A cold run of the operator
// alone does not show it, since there more than the data is cold.
constexpr double kHidden = 0.04;
// Of outputs, a model touches this share anew: its tensors use the same memory one after another.
constexpr double kFreshOutputs = 0.15;

/// kept_weight_bytes(), remembered for kernels that come again and again.
double weight_bytes(const KernelSignature& kernel, int threads) {
  constexpr std::size_t kMostRemembered = 1 << 16;
  thread_local std::unordered_map<std::string, std::int64_t> remembered;
  thread_local int remembered_threads = 0;
  if (kernel.key.empty()) return static_cast<double>(kept_weight_bytes(kernel, threads));
  if (remembered_threads != threads || remembered.size() > kMostRemembered) remembered.clear();
  remembered_threads = threads;
  const auto [place, fresh] = remembered.try_emplace(kernel.key);
  if (fresh) place->second = kept_weight_bytes(kernel, threads);
  return static_cast<double>(std::max(place->second, kernel.weight_bytes));
}

/// The curve of a table's chains. Whoever predicts many models asks for the same one again and again.
ColdCurve cold_curve_of(const ConfigRow& config) {
  thread_local CacheCurve chains;
  thread_local double cache_bytes = 0;
  thread_local ColdCurve curve;
  const auto bytes = static_cast<double>(largest_cache_bytes(config.run.l3_bytes));
  if (bytes != cache_bytes || config.cache != chains) {
    chains = config.cache;
    cache_bytes = bytes;
    curve = ColdCurve::fit(chains, bytes);
  }
  return curve;
}
}  // namespace

CostModel CostModel::from(const ConfigRow& config) {
  CostModel model;
  model.run_overhead_us = config.run_overhead_us;
  model.kernel_overhead_us = config.kernel_overhead_us;
  model.cold_run_extra_us = std::max(0.0, config.cold_run_overhead_us - config.run_overhead_us);
  model.cold_kernel_extra_us = std::max(0.0, config.cold_kernel_overhead_us - config.kernel_overhead_us);
  model.threads = std::max(config.run.config.threads, 1);
  model.cache_bytes = static_cast<double>(largest_cache_bytes(config.run.l3_bytes));
  model.cold = cold_curve_of(config);
  return model;
}

double CostModel::usual_us(const PlanSums& sums) const {
  return run_overhead_us + kernel_overhead_us * sums.kernels + sums.hot_us + kUsuallyCold * sums.cold_extra_us;
}

double CostModel::cold_share(const PlanSums& sums) const {
  return cold.share(sums.footprint_bytes + cold.others_bytes_per_us * usual_us(sums));
}

double CostModel::still_cold(const KernelSignature& kernel, bool reads_input) const {
  if (reads_input) return kInput;
  const double kept = weight_bytes(kernel, threads), stays = kStays * cache_bytes;
  const double lost = kept > stays && stays > 0 ? stays / kept : 1;
  if (kernel.type == "Convolution" && has_window(kernel)) return lost * kept / (kept + kScratch);
  const auto weights = static_cast<double>(kernel.weight_bytes);
  const double outputs = kOutput * static_cast<double>(kernel.output_bytes);
  if (!(weights + outputs > 0)) return 0;
  return (lost * weights + kActivations * outputs) / (weights + outputs);
}

double CostModel::cold_extra_us(const KernelSignature& kernel, double hot_us, double cold_us, bool reads_input) const {
  const double extra = cold_us - hot_us;
  if (!(extra > 0)) return cold_kernel_extra_us;
  return extra / (extra + kHidden * hot_us) * extra * still_cold(kernel, reads_input) + cold_kernel_extra_us;
}

double CostModel::footprint_bytes(const KernelSignature& kernel) const {
  return weight_bytes(kernel, threads) + kFreshOutputs * static_cast<double>(kernel.output_bytes);
}

double CostModel::latency_us(const PlanSums& sums) const {
  return run_overhead_us + kernel_overhead_us * sums.kernels + sums.hot_us + cold_share(sums) * sums.cold_extra_us;
}

double CostModel::half_width_us(const PlanSums& sums) const {
  const double latency = latency_us(sums);
  const double systematic = model_share * latency;
  const double estimated = estimate_share * sums.estimated_us / kTwoSided95;
  return kTwoSided95 * std::sqrt(sums.variance_us2 + systematic * systematic + estimated * estimated);
}

}  // namespace mmt
