#include "meter/cache_chains.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "meter/settling.h"
#include "mmt/error.h"
#include "mmt/kernel_memory.h"
#include "mmt/log.h"
#include "mmt/stats.h"

namespace mmt::metering {
namespace {

/// No model may be more than this share of a chain, or its own data would be most of what lies between its runs.
constexpr double kLargestPart = 0.6;
/// What a byte of activations and scratch memory pushes out against one of weights. Measured: with 0.7, loops of
/// operators and whole models agree best on how cold weights are after so many bytes; with 1, loops of operators that
/// are mostly activations told less cold ones than models show.
constexpr double kActivations = 0.7;
// Larger caches are told of by chains as of this one: models touch a few megabytes to a few tens of them.
constexpr std::int64_t kMostTold = std::int64_t{32} << 20;
constexpr double kFull = 0.9, kTooLittle = 0.75, kTooMuch = 1.15;
constexpr double kFewest = 0.25;  ///< Of the bytes, in the time that a model takes for all of them.
/// Times of chains around a model's, against it.
constexpr double kQuicker = 0.7, kSlower = 1.4;
/// Of a chain's bytes, those of the model that only takes time; and how often that is run at most.
constexpr double kMostWaiting = 0.2, kMostRuns = 400;

/// Mean of shares, none of which counts as further than this from their median.
double held_mean(std::span<const double> shares, std::span<const double> weights) {
  constexpr double kFarthest = 0.5;
  const double middle = weighted_median(shares, weights);
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    sum += weights[i] * std::clamp(shares[i], middle - kFarthest, middle + kFarthest);
    weight += weights[i];
  }
  return sum / weight;
}

/// What chains tell of a kernel: how cold its weights are, where most of its data is weights.
enum class Tells { kNothing, kOnce, kAgain };
Tells tells(const KernelSignature& kernel, int threads) {
  if (is_mostly_weights(kernel)) return Tells::kOnce;
  return is_mostly_reread_weights(kernel, threads) ? Tells::kAgain : Tells::kNothing;
}

/// The model that works longest on its data, among those that touch at most so many bytes; -1: none is known to.
int patient(std::span<const ChainCandidate> candidates, double most_bytes) {
  int best = -1;
  double most = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto bytes = static_cast<double>(candidates[i].bytes);
    if (bytes <= 0 || bytes > most_bytes || candidates[i].us <= most * bytes) continue;
    most = candidates[i].us / bytes;
    best = static_cast<int>(i);
  }
  return best;
}

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

std::optional<ChainSamples> try_chain(Engine& engine, std::span<Session* const> sessions, int times,
                                      const std::function<void()>& lost) {
  try {
    return engine.run_chain(sessions, times);
  } catch (const Error& error) {
    log(LogLevel::kWarning, std::string("how cold a model runs is not measured any further: ") + error.what());
    if (error.code() == ErrorCode::kCrashed || error.code() == ErrorCode::kTimeout) lost();
    return std::nullopt;
  }
}

CacheChains::CacheChains(std::int64_t cache_bytes, std::uint64_t seed, int threads) : random_(seed), threads_(threads) {
  const auto base = static_cast<double>(std::min(cache_bytes, kMostTold));
  // Short runs of the meter make a few of them only: those first that lie between hot and cold on most devices.
  for (const auto& [share, stretch] : {std::pair{0.25, 4},
                                       {0.5, 2},
                                       {0.25, 1},
                                       {0.125, 4},
                                       {1.0, 1},
                                       {0.25, 2},
                                       {0.5, 1},
                                       {0.0625, 4},
                                       {2.0, 1},
                                       {0.125, 1}}) {
    points_.push_back({share * base, static_cast<double>(stretch)});
  }
}

std::vector<std::size_t> CacheChains::representatives(std::span<const ChainCandidate> models) {
  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (models[i].bytes > 0 && models[i].us > 0) able.push_back(i);
  }
  std::stable_sort(able.begin(), able.end(), [&](std::size_t a, std::size_t b) { return models[a].us < models[b].us; });
  constexpr std::size_t kMost = 4;
  if (able.size() <= kMost) return able;
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < kMost; ++i) chosen.push_back(able[i * (able.size() - 1) / (kMost - 1)]);
  return chosen;
}

void CacheChains::look_like(std::vector<ChainCandidate> models, std::span<const ChainCandidate> candidates) {
  std::erase_if(models, [](const ChainCandidate& model) { return model.bytes <= 0 || model.us <= 0; });
  if (models.empty()) return;
  std::sort(models.begin(), models.end(), [](const ChainCandidate& a, const ChainCandidate& b) { return a.us < b.us; });
  double most = 0;
  for (const ChainCandidate& candidate : candidates) most += static_cast<double>(candidate.bytes);
  points_.clear();
  const auto add = [&](const ChainCandidate& model, double times, bool punctual) {
    points_.push_back({std::min(static_cast<double>(model.bytes), most), 1, times * model.us, punctual});
  };
  for (const ChainCandidate& model : models) {
    add(model, 1, false);
    add(model, 1, true);
  }
  add(models.front(), kQuicker, true);
  add(models.back(), kSlower, false);
  point_ = -1;
}

double CacheChains::expected_us() const {
  return point_ < 0 ? 0 : times() * links_us_ * points_[static_cast<std::size_t>(point_)].pace;
}

std::vector<int> CacheChains::next(std::span<const ChainCandidate> candidates) {
  std::vector<int> order(candidates.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random_);
  // A point that cannot be reached is passed over.
  for (std::size_t attempt = 0; attempt < points_.size(); ++attempt) {
    point_ = (point_ + 1) % static_cast<int>(points_.size());
    const Point& point = points_[static_cast<std::size_t>(point_)];
    std::vector<int> chain;
    const bool waits = point.us > 0 || point.stretch > 1;
    const int waiting = waits ? patient(candidates, kMostWaiting * point.bytes) : -1;
    if (point.stretch > 1 && waiting < 0) continue;
    double sum = waiting < 0 ? 0 : static_cast<double>(candidates[static_cast<std::size_t>(waiting)].bytes);
    double left_us = point.punctual ? point.us / point.pace : std::numeric_limits<double>::infinity();
    for (const int index : order) {
      const auto own = static_cast<double>(candidates[static_cast<std::size_t>(index)].bytes);
      const double own_us = candidates[static_cast<std::size_t>(index)].us;
      if (index == waiting || own <= 0 || own > kLargestPart * point.bytes || sum + own > kTooMuch * point.bytes ||
          own_us > left_us)
        continue;
      chain.push_back(index);
      sum += own;
      left_us -= own_us;
      if (sum >= kFull * point.bytes) break;
    }
    if (sum < (point.punctual ? kFewest : kTooLittle) * point.bytes) continue;
    waits_.assign(chain.size(), false);
    touched_ = sum;
    if (waiting >= 0) stretch(chain, candidates, waiting, point);
    double loop_us = 0;
    for (const int index : chain) loop_us += candidates[static_cast<std::size_t>(index)].us;
    settling_ = settling_runs(loop_us * point.pace);
    links_us_ = loop_us;
    return chain;
  }
  return {};
}

void CacheChains::stretch(std::vector<int>& chain, std::span<const ChainCandidate> candidates, int waiting,
                          const Point& point) {
  double us = 0;
  for (const int index : chain) us += candidates[static_cast<std::size_t>(index)].us;
  const double once = candidates[static_cast<std::size_t>(waiting)].us;
  const double wait_us = std::max((point.us > 0 ? point.us / point.pace : point.stretch * us) - us, 0.0);
  const auto runs = static_cast<std::size_t>(std::min(std::round(wait_us / once), kMostRuns));
  std::vector<int> stretched;
  waits_.clear();
  for (std::size_t link = 0, waited = 0; link < chain.size(); ++link) {
    stretched.push_back(chain[link]);
    waits_.push_back(false);
    for (; waited < runs * (link + 1) / chain.size(); ++waited) {
      stretched.push_back(waiting);
      waits_.push_back(true);
    }
  }
  chain = std::move(stretched);
}

void CacheChains::add_chain(const ChainSamples& samples, std::span<const KernelPlan* const> links, int column,
                            int round, const std::function<int(std::size_t link, std::size_t kernel)>& number) {
  Point& at = points_[static_cast<std::size_t>(point_)];
  const double loop_us = (samples.timed_us + samples.waited_us) / times();
  at.loop_us += loop_us;
  if (links_us_ > 0) at.pace = loop_us / links_us_;
  at.touched += touched_;
  ++at.chains;
  struct Told {
    std::size_t place;  // In a loop.
    int kernel;
    bool rereads;
  };
  std::vector<Told> told;
  std::size_t place = 0;
  for (std::size_t link = 0; link < links.size(); ++link) {
    for (std::size_t k = 0; k < links[link]->kernels.size(); ++k, ++place) {
      if (waits_[link]) continue;
      const Tells what = tells(links[link]->kernels[k].signature, threads_);
      const int kernel = what == Tells::kNothing ? -1 : number(link, k);
      if (kernel >= 0) told.push_back({place, kernel, what == Tells::kAgain});
    }
  }
  for (int time = settling_; time < times(); ++time) {
    const float* us = samples.kernel_us.data() + static_cast<std::size_t>(time) * place;
    for (const Told& one : told) add(point_, chains_, one.kernel, {us[one.place], column, round}, one.rereads);
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
  std::map<std::pair<int, int>, Extra> once, again;  // By point and chain.
  std::map<int, std::pair<double, double>> known;    // What `times` said: it summarizes all of a kernel's samples.
  for (const ChainSample& one : samples_) {
    const auto [place, is_new] = known.try_emplace(one.kernel);
    if (is_new) place->second = times(one.kernel);
    const auto [hot, cold] = place->second;
    if (!(hot > 0) || !(cold > hot)) continue;
    const double us = one.sample.us / factors[static_cast<std::size_t>(one.sample.column)];
    Extra& extra = (one.rereads ? again : once)[{one.point, one.chain}];
    // One wild sample must not outweigh a chain: it never takes more than twice its cold extra.
    extra.us += std::clamp(us - hot, hot - cold, 2 * (cold - hot));
    extra.cold_us += cold - hot;
  }
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const Point& point = points_[i];
    // Those that the constructor chose keep the name by which several runs' sums add up.
    curve.bytes.push_back(point.us > 0 && point.chains > 0 ? point.touched / point.chains : point.bytes);
    curve.loop_us.push_back(point.chains > 0 ? point.loop_us / point.chains : 0);
    const auto sum_up = [place = static_cast<int>(i)](const std::map<std::pair<int, int>, Extra>& extras) {
      std::vector<double> shares, weights;
      for (auto it = extras.lower_bound({place, 0}); it != extras.end() && it->first.first == place; ++it) {
        shares.push_back(it->second.us / it->second.cold_us);
        weights.push_back(it->second.cold_us);
      }
      const double cold_us = std::accumulate(weights.begin(), weights.end(), 0.0);
      return Extra{shares.empty() ? 0 : cold_us * held_mean(shares, weights), cold_us};
    };
    const Extra of_once = sum_up(once), of_again = sum_up(again);
    curve.extra_us.push_back(of_once.us);
    curve.cold_extra_us.push_back(of_once.cold_us);
    curve.reread_extra_us.push_back(of_again.us);
    curve.reread_cold_extra_us.push_back(of_again.cold_us);
  }
  return curve;
}

}  // namespace mmt::metering
