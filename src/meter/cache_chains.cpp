#include "meter/cache_chains.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "mmt/error.h"
#include "mmt/kernel_memory.h"
#include "mmt/log.h"
#include "mmt/stats.h"

namespace mmt::metering {
namespace {

/// No model may be more than this share of a chain, or its own data would be most of what lies between its runs.
constexpr double kLargestPart = 0.34;
/// What a byte of activations and scratch memory pushes out against one of weights. Measured: with 0.7, loops of
/// operators and whole models agree best on how cold weights are after so many bytes; with 1, loops of operators that
/// are mostly activations told less cold ones than models show.
constexpr double kActivations = 0.7;
// A model takes longer for its bytes than a chain does, so that chains of fewer bytes and more time tell of it too.
constexpr double kNearest = 0.3, kFarthest = 1.6;
// Larger caches are told of by chains as of this one: models touch a few megabytes to a few tens of them.
constexpr std::int64_t kMostTold = std::int64_t{32} << 20;
constexpr double kFull = 0.9, kTooLittle = 0.75, kTooMuch = 1.15;

}  // namespace

std::int64_t bytes_of_a_run(const KernelPlan& plan, double memory_mib, int threads) {
  double weights = 0, activations = 0;
  for (const PlannedKernel& kernel : plan.kernels) {
    weights += static_cast<double>(kept_weight_bytes(kernel.signature, threads));
    activations += static_cast<double>(kernel.signature.input_bytes + kernel.signature.output_bytes);
  }
  weights = std::max(weights, static_cast<double>(plan.weight_bytes));
  // The engine's figure holds the weights too, in the form that it runs with.
  if (memory_mib > 0) activations = std::max(0.0, memory_mib * 1024 * 1024 - weights);
  return static_cast<std::int64_t>(weights + kActivations * activations);
}

std::optional<ChainSamples> try_chain(Engine& engine, std::span<Session* const> sessions, const ChainRequest& request,
                                      const std::function<void()>& lost) {
  try {
    return engine.run_chain(sessions, request);
  } catch (const Error& error) {
    log(LogLevel::kWarning, std::string("how cold a model runs is not measured any further: ") + error.what());
    if (error.code() == ErrorCode::kCrashed || error.code() == ErrorCode::kTimeout) lost();
    return std::nullopt;
  }
}

CacheChains::CacheChains(std::int64_t cache_bytes, std::uint64_t seed) : random_(seed) {
  const auto base = static_cast<double>(std::min(cache_bytes, kMostTold));
  const auto add = [&](double share, int repeats) { points_.push_back({share * base, repeats}); };
  // Neighbours differ in both, so that few chains tell of both already.
  for (const auto& [small, large] : {std::pair{0, 3}, {1, 0}, {3, 1}}) {
    add(1.0 / 4, small);
    add(1.0 / 16, large);
    add(1.0 / 8, small);
    if (small != 3) add(1.0 / 2, small);
  }
  add(1, 0);
  add(2, 0);
}

void CacheChains::keep_near(double least, double most) {
  const auto is_far = [&](const Point& point) {
    return point.bytes < kNearest * least || point.bytes > kFarthest * most;
  };
  if (std::all_of(points_.begin(), points_.end(), is_far)) return;
  std::erase_if(points_, is_far);
}

ChainRequest CacheChains::request() const { return {kTimes, points_[static_cast<std::size_t>(point_)].repeats}; }

std::vector<int> CacheChains::next(std::span<const std::int64_t> bytes) {
  std::vector<int> order(bytes.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random_);
  // A point that cannot be reached is passed over.
  for (std::size_t attempt = 0; attempt < points_.size(); ++attempt) {
    point_ = (point_ + 1) % static_cast<int>(points_.size());
    const double target = points_[static_cast<std::size_t>(point_)].bytes;
    std::vector<int> chain;
    double sum = 0;
    for (const int index : order) {
      const auto own = static_cast<double>(bytes[static_cast<std::size_t>(index)]);
      if (own <= 0 || own > kLargestPart * target || sum + own > kTooMuch * target) continue;
      chain.push_back(index);
      sum += own;
      if (sum >= kFull * target) break;
    }
    if (sum >= kTooLittle * target) return chain;
  }
  return {};
}

void CacheChains::add_chain(const ChainSamples& samples, std::span<const KernelPlan* const> links, int column,
                            int round, const std::function<int(std::size_t link, std::size_t kernel)>& number) {
  Point& at = points_[static_cast<std::size_t>(point_)];
  // Between two uses of a link's data lies all of a loop but the link's own repeated runs.
  const double own = static_cast<double>(at.repeats) / ((1 + at.repeats) * static_cast<double>(links.size()));
  at.loop_us += ((1 - own) * samples.timed_us + samples.waited_us) / kTimes;
  ++at.chains;
  const float* us = samples.kernel_us.data();
  for (int time = 0; time < kTimes; ++time) {
    for (std::size_t link = 0; link < links.size(); ++link) {
      for (std::size_t k = 0; k < links[link]->kernels.size(); ++k, ++us) {
        if (time < kSettling || !is_mostly_weights(links[link]->kernels[k].signature)) continue;
        const int kernel = number(link, k);
        if (kernel >= 0) add(point_, chains_, kernel, {*us, column, round});
      }
    }
  }
  ++chains_;
}

void CacheChains::drop_column(int column) {
  std::erase_if(samples_, [column](const ChainSample& one) { return one.sample.column == column; });
}

CacheCurve CacheChains::curve(std::span<const double> factors,
                              const std::function<std::pair<double, double>(int kernel)>& times) const {
  CacheCurve curve;
  if (samples_.empty()) return curve;
  struct Extra {
    double us = 0, cold_us = 0;
  };
  std::map<std::pair<int, int>, Extra> extras;     // By point and chain.
  std::map<int, std::pair<double, double>> known;  // What `times` said: it summarizes all of a kernel's samples.
  for (const ChainSample& one : samples_) {
    const auto [place, is_new] = known.try_emplace(one.kernel);
    if (is_new) place->second = times(one.kernel);
    const auto [hot, cold] = place->second;
    if (!(hot > 0) || !(cold > hot)) continue;
    const double us = one.sample.us / factors[static_cast<std::size_t>(one.sample.column)];
    Extra& extra = extras[{one.point, one.chain}];
    // One wild sample must not outweigh a chain: it never takes more than twice its cold extra.
    extra.us += std::clamp(us - hot, hot - cold, 2 * (cold - hot));
    extra.cold_us += cold - hot;
  }
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const Point& point = points_[i];
    curve.bytes.push_back(point.bytes);
    curve.loop_us.push_back(point.chains > 0 ? point.loop_us / point.chains : 0);
    std::vector<double> shares, weights;
    const auto place = static_cast<int>(i);
    for (auto it = extras.lower_bound({place, 0}); it != extras.end() && it->first.first == place; ++it) {
      shares.push_back(it->second.us / it->second.cold_us);
      weights.push_back(it->second.cold_us);
    }
    const double cold_us = std::accumulate(weights.begin(), weights.end(), 0.0);
    curve.cold_extra_us.push_back(cold_us);
    curve.extra_us.push_back(shares.empty() ? 0 : cold_us * weighted_median(shares, weights));
  }
  return curve;
}

}  // namespace mmt::metering
