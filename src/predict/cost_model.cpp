// From sums to a latency: overheads, and how cold a kernel's data is inside a model.
#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>

#include "mmt/memory.h"
#include "mmt/predict.h"

namespace mmt {
namespace {
constexpr double kTwoSided95 = 1.96;
// What a byte of outputs counts against one of weights in a kernel's cold time, and how much of their part a model pays
// too: its activations were written just before, or their memory was used by others lately.
constexpr double kOutput = 0.5, kActivations = 0.4;
// Where windows are read, a first run in a session of its own also pays for scratch memory that a model's kernels
// share.
constexpr double kWindowed = 0.7;
// A model's input was written before the run; a part of it lies in the caches still.
constexpr double kInput = 0.8;
// Of outputs, a model touches this share anew: its tensors use the same memory one after another.
constexpr double kFreshOutputs = 0.4;
// Without chains (mmt/cache_curve.h): cold from a tenth of the largest cache, fully so from two thirds of it.
constexpr double kFirstCold = 1.0 / 10, kFullyCold = 2.0 / 3, kColdestShare = 0.92;
// That is worth as much as chains over this much cold time.
constexpr double kPriorUs = 1000;

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

/// Neighbouring points of the curve with one common share.
struct Stretch {
  double share, weight_us;
  int points;
};

/// More bytes never make anything warmer: where the last stretch says so, it is one with those before it, on average.
void join_falling(std::vector<Stretch>& stretches) {
  while (stretches.size() > 1 && stretches.back().share < stretches[stretches.size() - 2].share) {
    const Stretch last = stretches.back();
    stretches.pop_back();
    Stretch& before = stretches.back();
    const double weight_us = before.weight_us + last.weight_us;
    before.share = (before.share * before.weight_us + last.share * last.weight_us) / weight_us;
    before.weight_us = weight_us;
    before.points += last.points;
  }
}

double usual_share(double bytes, double cache_bytes) {
  const double first = std::log2(kFirstCold * cache_bytes), full = std::log2(kFullyCold * cache_bytes);
  return kColdestShare * std::clamp((std::log2(std::max(bytes, 1.0)) - first) / (full - first), 0.0, 1.0);
}
}  // namespace

CostModel CostModel::from(const ConfigRow& config) {
  CostModel model;
  model.run_overhead_us = config.run_overhead_us;
  model.kernel_overhead_us = config.kernel_overhead_us;
  model.cold_run_extra_us = std::max(0.0, config.cold_run_overhead_us - config.run_overhead_us);
  model.cold_kernel_extra_us = std::max(0.0, config.cold_kernel_overhead_us - config.kernel_overhead_us);
  model.l3_bytes = static_cast<double>(largest_cache_bytes(config.run.l3_bytes));
  model.threads = std::max(config.run.config.threads, 1);
  std::vector<Stretch> stretches;
  for (std::size_t i = 0; i < config.cache.bytes.size(); ++i) {
    const double usual = kPriorUs * usual_share(config.cache.bytes[i], model.l3_bytes);
    const double weight_us = config.cache.cold_extra_us[i] + kPriorUs;
    stretches.push_back({(config.cache.extra_us[i] + usual) / weight_us, weight_us, 1});
    join_falling(stretches);
  }
  for (const Stretch& stretch : stretches) {
    for (int i = 0; i < stretch.points; ++i) {
      const double bytes = config.cache.bytes[model.points.size()];
      model.points.emplace_back(std::log2(bytes), std::clamp(stretch.share, 0.0, 1.0));
    }
  }
  return model;
}

double CostModel::cold_share(double footprint_bytes) const {
  // With several threads a first run after others shows how the pool wakes up rather than what the caches lost.
  if (threads > 1) return 0;
  if (points.empty()) return usual_share(footprint_bytes, l3_bytes);
  const double at = std::log2(std::max(footprint_bytes, 1.0));
  // Below the first point the share falls to nothing at a quarter of its bytes, above the last it stays.
  double left = points.front().first - 2, left_share = 0;
  for (const auto& [right, share] : points) {
    if (at < right) return at <= left ? left_share : left_share + (share - left_share) * (at - left) / (right - left);
    left = right;
    left_share = share;
  }
  return left_share;
}

double CostModel::still_cold(const KernelSignature& kernel, bool reads_input) const {
  if (reads_input) return kInput;
  if (has_window(kernel)) return kWindowed;
  const auto weights = static_cast<double>(kernel.weight_bytes);
  const double outputs = kOutput * static_cast<double>(kernel.output_bytes);
  return weights + outputs > 0 ? (weights + kActivations * outputs) / (weights + outputs) : 0;
}

double CostModel::footprint_bytes(const KernelSignature& kernel) const {
  return weight_bytes(kernel, threads) + kFreshOutputs * static_cast<double>(kernel.output_bytes);
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
