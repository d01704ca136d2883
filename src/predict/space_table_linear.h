// Linear costs over a search space, with exact minima by dynamic programming, and linear lower bounds of the latency.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mmt/space_table.h"
#include "predict/space_table_compiled.h"

namespace mmt {

/// Σ features · weights as a function of the configuration, slot after slot.
class LinearCost {
 public:
  LinearCost(const SpaceTable& table, std::span<const double> weights);

  double base() const { return base_; }
  /// What row[slot] adds, given the choices of the slots before it.
  double step(int slot, const std::int32_t* row) const;
  /// The least that the slots after `slot` can still add, given its choice. Exact where pairs are neighbours.
  double rest(int slot, int choice) const { return rest_[slot][choice]; }
  /// The least of all configurations, base included.
  double lowest() const;
  /// The cost of a whole configuration.
  double total(const std::int32_t* row) const;

  /// Parts, for counting: own cost of a choice; correction with the choice before (0 without one); pairs that are not
  /// neighbours and end in the slot, at their least.
  double own(int slot, int choice) const { return own_[slot][choice]; }
  bool has_edge(int slot) const { return !edge_[slot].empty(); }
  double edge(int slot, int previous, int choice) const {
    return edge_[slot].empty() ? 0.0 : edge_[slot][static_cast<std::size_t>(previous) * own_[slot].size() + choice];
  }
  double far_least(int slot) const { return far_least_[slot]; }

 private:
  struct Far {
    int earlier;
    std::vector<double> corrections;  ///< [earlier choice][choice]
  };

  double base_ = 0;
  std::vector<std::vector<double>> own_, edge_, rest_;
  std::vector<std::vector<Far>> far_;  ///< By the later slot.
  std::vector<double> far_least_;
};

/// constant + cost ≤ latency for every configuration.
struct LowerBound {
  LowerBound(const SpaceTable& table, double constant, std::vector<double> cost_weights)
      : constant_us(constant), weights(std::move(cost_weights)), cost(table, weights) {}

  double constant_us;
  std::vector<double> weights;  ///< Over features.
  LinearCost cost;
};

/// The bytes that go through the caches during a run, own and others', times `sign`.
LinearCost bytes_cost(const SpaceTable& table, double sign);

/// A range of those bytes.
struct BytesRange {
  double low = 0, high = 0;
};

/// All bytes of configurations (the range may be a little too wide).
BytesRange bytes_range(const SpaceTable& table);

/// The same range cut into pieces over which λ changes little, in ascending order.
std::vector<BytesRange> cut_by_cold_share(const SpaceTable& table);

/// Several bounds for the configurations whose bytes lie in `range`; the largest counts. λ is taken not to fall with
/// the bytes; then λ·(cold − hot) lies above the planes of McCormick (1976) with λ replaced by lines below it.
std::vector<LowerBound> latency_bounds(const SpaceTable& table, const BytesRange& range);

/// The part of `range` that configurations with a latency of at most `budget_us` can lie in: by the bounds, which hold
/// on `range`, and Lagrange's multipliers.
BytesRange narrowed(const SpaceTable& table, std::span<const LowerBound> bounds, double budget_us,
                    const BytesRange& range);

/// The formula's sums as linear costs: exact latencies along a search.
struct ExactSums {
  LinearCost direct, cold_extra, bytes, reread_extra;
  explicit ExactSums(const SpaceTable& table);
  LatencySums total(const std::int32_t* row) const;
};

}  // namespace mmt
