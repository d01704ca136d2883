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
// Of outputs, a model touches this share anew: its tensors use the same memory one after another.
constexpr double kFreshOutputs = 0.15;
// What a byte of cold memory costs a kernel that writes to it, against one that reads weights from it: nothing waits
// for what is written.
constexpr double kCostOfWriting = 0.15;
// What a byte of a tensor costs that is read again after it has left the caches, against one of weights. Rows hold what
// reading from the last cache takes already.
constexpr double kCostOfReturning = 0.5;

/// What follows from a kernel's text alone.
struct Weights {
  std::int64_t kept_bytes = 0;  ///< kept_weight_bytes
  bool reread = false;          ///< rereads_weights
};

/// Remembered for kernels that come again and again.
Weights weights_of(const KernelSignature& kernel, int threads) {
  constexpr std::size_t kMostRemembered = 1 << 16;
  thread_local std::unordered_map<std::string, Weights> remembered;
  thread_local int remembered_threads = 0;
  const auto work_out = [&] { return Weights{kept_weight_bytes(kernel, threads), rereads_weights(kernel)}; };
  if (kernel.key.empty()) return work_out();
  if (remembered_threads != threads || remembered.size() > kMostRemembered) remembered.clear();
  remembered_threads = threads;
  const auto [place, fresh] = remembered.try_emplace(kernel.key);
  if (fresh) place->second = work_out();
  return place->second;
}

/// The curve of a table's chains. Whoever predicts many models asks for the same one again and again.
ColdCurve cold_curve_of(const ConfigRow& config) {
  thread_local CacheCurve chains;
  thread_local double cache_bytes = 0;
  thread_local ColdCurve curve;
  const auto bytes = static_cast<double>(config.run.l3_bytes > 0 ? config.run.l3_bytes : kUsualCacheBytes);
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
  model.cold_us_per_byte = config.cold_us_per_mib / (1024 * 1024);
  model.threads = std::max(config.run.config.threads, 1);
  model.cold = cold_curve_of(config);
  return model;
}

double CostModel::usual_us(const PlanSums& sums) const {
  return run_overhead_us + kernel_overhead_us * sums.kernels + sums.hot_us + kUsuallyCold * sums.cold_extra_us +
         kUsuallyRereadCold * sums.reread_extra_us;
}

ColdShare CostModel::cold_share(const PlanSums& sums) const {
  const double usual_bytes = sums.footprint_bytes + cold.others_bytes_per_us * usual_us(sums);
  return settled_share(
      [&](double bytes) {
        return ColdShare{cold.share(bytes), cold.reread_share(bytes)};
      },
      usual_bytes, cold.others_bytes_per_us, sums.cold_extra_us, sums.reread_extra_us);
}

double CostModel::cold_extra_us(double hot_us, double cold_us) const {
  return std::max(0.0, cold_us - hot_us) + cold_kernel_extra_us;
}

double CostModel::writing_us(double bytes) const { return kCostOfWriting * cold_us_per_byte * bytes; }

double CostModel::return_us(double tensor_bytes, double since_bytes, double since_us) const {
  return kCostOfReturning * cold_us_per_byte * tensor_bytes *
         cold.share(since_bytes + cold.others_bytes_per_us * since_us);
}

double CostModel::footprint_bytes(const KernelSignature& kernel) const {
  const std::int64_t weights = std::max(weights_of(kernel, threads).kept_bytes, kernel.weight_bytes);
  return static_cast<double>(weights) + kFreshOutputs * static_cast<double>(kernel.output_bytes);
}

bool CostModel::rereads(const KernelSignature& kernel) const { return weights_of(kernel, threads).reread; }

double CostModel::latency_us(const PlanSums& sums) const {
  const ColdShare share = cold_share(sums);
  return run_overhead_us + kernel_overhead_us * sums.kernels + sums.hot_us + share.once * sums.cold_extra_us +
         share.again * sums.reread_extra_us;
}

double CostModel::half_width_us(const PlanSums& sums) const {
  const double latency = latency_us(sums);
  const double systematic = model_share * latency;
  const double estimated = estimate_share * sums.estimated_us / kTwoSided95;
  return kTwoSided95 * std::sqrt(sums.variance_us2 + systematic * systematic + estimated * estimated);
}

}  // namespace mmt
