// Chains: operators run one after another, so that a known number of bytes lies between two runs of each.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "meter/samples.h"
#include "mmt/cache_curve.h"
#include "mmt/engine.h"
#include "mmt/kernel.h"

namespace mmt::metering {

/// Bytes that one run of a model pushes through the caches, counted in bytes of weights: those as the kernels keep
/// them, and of the other memory that the engine took for its session (or, where it does not tell, of the model's
/// tensors) the part that counts. `threads`: the session's.
std::int64_t bytes_of_a_run(const KernelPlan& plan, double memory_mib, int threads);

/// Runs sessions as a chain. Nothing where that failed, which the log tells; `lost` is called where the engine went
/// with it.
std::optional<ChainSamples> try_chain(Engine& engine, std::span<Session* const> sessions, const ChainRequest& request,
                                      const std::function<void()>& lost);

class CacheChains {
 public:
  /// `cache_bytes`: size of the largest cache. The points lie from a sixteenth of it, or of 32 MB where it is larger,
  /// to twice that; small ones are also run in twice and four times the time, since models work longer on the same
  /// bytes than chains do.
  CacheChains(std::int64_t cache_bytes, std::uint64_t seed);

  /// How often a chain is run, and how often at first only to bring the caches into the state of a loop: measured, λ of
  /// the second to fourth time was up to 0.15 above that of the sixth to eighth.
  static constexpr int kTimes = 7, kSettling = 4;

  /// Keeps the points that tell most of models that touch `least` to `most` bytes, where there are any.
  void keep_near(double least, double most);

  /// The next point's chain: random models that together touch its bytes; empty where those there are do not suffice.
  /// `bytes`: what one run of each model touches, 0 for models that cannot be run.
  std::vector<int> next(std::span<const std::int64_t> bytes);
  int point() const { return point_; }  ///< Of the last chain.
  ChainRequest request() const;         ///< For the last chain.
  std::size_t points() const { return points_.size(); }

  /// `chain`: a number of the chain that the sample is of.
  void add(int point, int chain, int kernel, const Sample& sample) {
    samples_.push_back({point, chain, kernel, sample});
  }
  /// The times of the last chain once it had settled. `links`: what was run, in order. `number`: that of a link's
  /// kernel, negative where nobody asks for it.
  void add_chain(const ChainSamples& samples, std::span<const KernelPlan* const> links, int column, int round,
                 const std::function<int(std::size_t link, std::size_t kernel)>& number);
  void drop_column(int column);

  /// A point's λ is the median over its chains: others come and go, and a model's latency is a median over time too.
  /// `times`: a kernel's hot and cold time on the common scale, {0, 0} where unknown.
  CacheCurve curve(std::span<const double> factors,
                   const std::function<std::pair<double, double>(int kernel)>& times) const;

 private:
  struct ChainSample {
    int point, chain, kernel;
    Sample sample;
  };
  struct Point {
    double bytes;
    int repeats;
    double loop_us = 0;  ///< Sum over its chains.
    int chains = 0;
  };
  std::vector<Point> points_;
  std::vector<ChainSample> samples_;
  std::mt19937_64 random_;
  int point_ = -1;
  int chains_ = 0;  ///< Added so far.
};

}  // namespace mmt::metering
