// A search space as arrays: slots with choices, each choice a vector of features that add up over the slots.
//
// A configuration is one choice index per slot. Its features are
//   base + Σ slots delta[slot][choice] + Σ pairs correction[slot a][choice a][slot b][choice b]
// where corrections hold what two choices change together (layouts at their border). Its latency follows from four of
// the features by the cost model: overheads + hot + λ(bytes touched) · (cold − hot). All other features (weight bytes,
// memory, size, anything) are carried along, can be asked for, and can be bounded.
//
// Build, `compile`, then ask. Asking is const and may be done from several threads at once. Errors: kInvalidArgument
// for slots, choices, features and lengths that do not exist, for values that are not finite, and for asking before
// `compile`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mmt {

struct CostModel;

/// λ (0…1) for each number of bytes, same length.
using ColdShares = std::function<void(std::span<const double> bytes, std::span<double> share)>;

/// λ from a function that is asked once, at many points of [low, high], and takes its last value above: quick, and free
/// to be called from any thread.
ColdShares sampled_shares(const std::function<double(double bytes)>& share, double low, double high);

/// λ of the bytes that go through the caches during a run: its footprint, and others' (without its own overhead).
/// Rises.
struct ShareCurve {
  ColdShares shares;                          ///< Called for whole blocks, from any thread. Empty: 0.
  std::function<double(double bytes)> exact;  ///< Where more digits count than a sampled curve has. Empty: by `shares`.

  double at(double bytes) const;
};

/// How five features become a latency in microseconds.
struct LatencyFormula {
  double run_overhead_us = 0, kernel_overhead_us = 0;
  /// Feature numbers; -1: the space has no such feature and it counts as 0.
  int hot = -1, cold_extra = -1, reread_extra = -1, kernels = -1, footprint = -1;
  /// Bytes that others push through the caches per microsecond of a run that is half cold (CostModel::usual_us).
  double others_bytes_per_us = 0;
  ShareCurve once, again;  ///< As of ColdShare.

  /// The table's cost model over features named hot_us, cold_extra_us, reread_extra_us, kernels and footprint_bytes.
  static LatencyFormula from(const CostModel& model, const std::vector<std::string>& features);
};

class SpaceTable {
 public:
  /// `sizes`: choices per slot (1…65536 each). `features`: names, unique. `base`: the features of what is in every
  /// configuration, one value per feature.
  SpaceTable(std::vector<int> sizes, std::vector<std::string> features, std::span<const double> base);
  ~SpaceTable();
  SpaceTable(SpaceTable&&) noexcept;
  SpaceTable& operator=(SpaceTable&&) noexcept;

  /// What a choice adds. Unset choices add nothing. Undoes `compile`.
  void set_choice(int slot, int choice, std::span<const double> delta);
  /// What two choices of different slots add together, beyond their deltas. Undoes `compile`.
  void set_pair(int slot_a, int choice_a, int slot_b, int choice_b, std::span<const double> correction);
  /// Lays the tables out for evaluation: neighbouring slots are joined into one table while it has at most
  /// `joint_limit` entries.
  void compile(const LatencyFormula& formula, int joint_limit = 4096);

  const std::vector<int>& sizes() const { return sizes_; }
  int slots() const { return static_cast<int>(sizes_.size()); }
  const std::vector<std::string>& features() const { return features_; }
  /// Number of a feature; kNotFound with the names that exist.
  int feature(const std::string& name) const;
  /// How many configurations there are; the largest value of the type where there are more.
  std::uint64_t configurations() const;

  /// Latencies of configurations given as a row-major matrix, `slots()` columns. Sizes: rows.size() = out.size() ·
  /// slots(). Single precision inside: relative error about 1e-6.
  void latency_us(std::span<const std::uint8_t> rows, std::span<double> out) const;
  void latency_us(std::span<const std::int32_t> rows, std::span<double> out) const;
  void latency_us(std::span<const std::int64_t> rows, std::span<double> out) const;
  /// One configuration, in double precision.
  double latency_us(std::span<const std::int32_t> row) const;

  /// Chosen features of configurations: out is row-major, wanted.size() columns.
  void feature_sums(std::span<const std::int32_t> rows, std::span<const int> wanted, std::span<double> out) const;

  /// Configurations number first, first + 1, … (the last slot counts fastest) as rows.
  void enumerate(std::uint64_t first, std::span<std::int32_t> rows) const;
  /// Their latencies.
  void enumerate_latency_us(std::uint64_t first, std::span<double> out) const;

  struct Pair {
    int slot_a, slot_b;               ///< slot_a < slot_b.
    std::vector<double> corrections;  ///< [choice a][choice b][feature]
  };
  /// For the algorithms below: raw values and the formula in force.
  std::span<const double> base() const { return base_; }
  std::span<const double> delta(int slot, int choice) const;
  const std::vector<Pair>& pairs() const { return pairs_; }
  const LatencyFormula& formula() const;

 private:
  struct Compiled;
  void check_choice(int slot, int choice) const;
  void check_values(std::span<const double> values) const;
  const Compiled& compiled() const;
  template <typename Choice>
  void evaluate(std::span<const Choice> rows, std::span<double> out) const;

  std::vector<int> sizes_;
  std::vector<std::string> features_;
  std::vector<double> base_;
  std::vector<std::size_t> first_;  ///< Where a slot's choices start, in choices.
  std::vector<double> deltas_;      ///< [slot and choice][feature]
  std::vector<Pair> pairs_;
  std::unique_ptr<Compiled> compiled_;
};

/// Upper bound on a feature's sum, beside the latency.
struct FeatureLimit {
  int feature = 0;
  double most = 0;
};

struct SpaceSearch {
  std::vector<FeatureLimit> limits;
  /// Gives up (SpaceAnswer::complete = false) after that many partial configurations.
  std::uint64_t most_visits = 200'000'000;
};

struct SpaceAnswer {
  std::vector<std::int32_t> rows;  ///< Row-major, slots() columns, one row per latency.
  std::vector<double> latency_us;
  bool complete = true;       ///< False: a limit on results or on work ended the search.
  std::uint64_t visited = 0;  ///< Partial configurations looked at (sampling: proposals).
};

/// The `count` fastest configurations, fastest first. Exact: branch and bound, with bounds by dynamic programming over
/// neighbouring slots (pairs of slots that are not neighbours are bounded by their smallest correction).
SpaceAnswer find_fastest(const SpaceTable& table, int count, const SpaceSearch& search = {});

/// All configurations of at most `budget_us`, fastest first; `most` of them where there are more (not necessarily the
/// fastest ones; complete = false then).
SpaceAnswer find_within(const SpaceTable& table, double budget_us, std::uint64_t most, const SpaceSearch& search = {});

/// `count` independent draws, uniform over all configurations of at most `budget_us` (the same one can come twice).
/// Proposals are uniform over a slightly larger set, counted by dynamic programming over a lower bound of the latency,
/// so few are rejected even where the budget leaves one configuration in billions. Fewer rows and complete = false
/// where nothing satisfies the budget and limits, or most_visits proposals were not enough.
SpaceAnswer sample_within(const SpaceTable& table, double budget_us, int count, std::uint64_t seed,
                          const SpaceSearch& search = {});

/// Indices of the points that no other one beats in both latency (lower) and score (higher), fastest first; of equal
/// points the first.
std::vector<std::int64_t> pareto_front(std::span<const double> latency_us, std::span<const double> score);

}  // namespace mmt
