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
std::optional<ChainSamples> try_chain(Engine& engine, std::span<Session* const> sessions, int times,
                                      const std::function<void()>& lost);

/// What a chain may be made of: a model that is open.
struct ChainCandidate {
  std::int64_t bytes = 0;  ///< That one run of it touches (bytes_of_a_run); 0: it cannot be run.
  double us = 0;           ///< That one run of it takes, roughly.
};

class CacheChains {
 public:
  /// `cache_bytes`: size of the largest cache. The points lie from a sixteenth of it, or of 32 MB where it is larger,
  /// to twice that; small ones are also run in twice and four times the time, since models work longer on the same
  /// bytes than chains do.
  /// `threads`: the sessions'.
  CacheChains(std::int64_t cache_bytes, std::uint64_t seed, int threads = 1);

  /// How often the last chain is run: at first only until its data lies where it stays (settling_runs).
  int times() const { return settling_ + kCounted; }

  /// A few of the models, from the quickest to the slowest, as places.
  static std::vector<std::size_t> representatives(std::span<const ChainCandidate> models);

  /// Chains are to touch as many bytes and take as long as these models do, instead of what the constructor chose. No
  /// more bytes than `candidates` have. Where operators take longer on as many bytes than a model, chains of either
  /// kind are run: as many bytes, and as much time.
  void look_like(std::vector<ChainCandidate> models, std::span<const ChainCandidate> candidates);

  /// The next point's chain, as places of `candidates`: random models that together touch its bytes; empty where those
  /// there are do not suffice. To take longer, one more model stands at many places between them: it finds its own data
  /// again at once, and while it works, others have time to push out that of the rest.
  std::vector<int> next(std::span<const ChainCandidate> candidates);
  int point() const { return point_; }  ///< Of the last chain.
  double expected_us() const;           ///< That the last chain takes, all loops together.
  std::size_t points() const { return points_.size(); }

  /// `chain`: a number of the chain that the sample is of. `rereads`: the kernel reads its weights several times.
  void add(int point, int chain, int kernel, const Sample& sample, bool rereads = false) {
    samples_.push_back({point, chain, kernel, sample, rereads});
  }
  /// The times of the last chain once it had settled. `links`: what was run, in order. `number`: that of a link's
  /// kernel, negative where nobody asks for it.
  void add_chain(const ChainSamples& samples, std::span<const KernelPlan* const> links, int column, int round,
                 const std::function<int(std::size_t link, std::size_t kernel)>& number);
  void drop_column(int column);

  /// A point's λ is the mean over its chains, without wild ones: others come and go, and with them a loop's data is
  /// there or not (0.0 and 1.0 within a minute were seen at one point); a model's latency is a mean over time too.
  /// `times`: a kernel's hot and cold time on the common scale, {0, 0} where unknown.
  CacheCurve curve(std::span<const double> factors,
                   const std::function<std::pair<double, double>(int kernel)>& times) const;

 private:
  static constexpr int kCounted = 3;  ///< Loops.
  struct ChainSample {
    int point, chain, kernel;
    Sample sample;
    bool rereads;
  };
  struct Point {
    double bytes;
    double stretch;         ///< Its loops take so many times as long as those of a chain without waiting.
    double us = 0;          ///< Not 0: its loops take so long instead, or longer.
    bool punctual = false;  ///< They take no longer, on fewer bytes if need be.
    double pace = 1;        ///< What its loops took last, against what its links take alone.
    double loop_us = 0;     ///< Sum over its chains.
    double touched = 0;     ///< Bytes: sum over its chains.
    int chains = 0;
  };
  /// Puts the model at `waiting` between the links, so often that the chain takes as long as the point asks.
  void stretch(std::vector<int>& chain, std::span<const ChainCandidate> candidates, int waiting, const Point& point);

  std::vector<Point> points_;
  std::vector<ChainSample> samples_;
  std::mt19937_64 random_;
  int threads_;
  int point_ = -1;
  double touched_ = 0;       ///< Bytes, by the last chain.
  double links_us_ = 0;      ///< What the last chain's links take alone.
  int settling_ = 0;         ///< Uncounted loops of the last chain.
  std::vector<bool> waits_;  ///< By link of the last chain: it only takes time.
  int chains_ = 0;           ///< Added so far.
};

}  // namespace mmt::metering
