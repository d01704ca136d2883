// Uniform sampling under a latency limit, and the Pareto front.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>

#include "mmt/error.h"
#include "predict/space_table_linear.h"

namespace mmt {
namespace {

/// Uniform in [0, 1), the same on every platform.
double unit(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

/// Draws uniformly from all configurations whose costs, each rounded down to whole steps, do not exceed the budget.
/// Every configuration whose exact cost is within the budget is one of them.
class CountedProposals {
 public:
  CountedProposals(const SpaceTable& table, const LinearCost& cost, double budget) : table_(table), cost_(cost) {
    const int slots = table.slots();
    least_.assign(slots, 0);
    double origin = cost.base();
    for (int slot = 0; slot < slots; ++slot) {
      double least = std::numeric_limits<double>::infinity();
      for (int before = 0; before < rows_of(slot); ++before) {
        for (int choice = 0; choice < table.sizes()[slot]; ++choice) least = std::min(least, raw(slot, before, choice));
      }
      least_[slot] = least;
      origin += least + cost.far_least(slot);
    }
    const double span = budget - origin;
    possible_ = span >= 0;
    if (!possible_) return;
    choose_steps();
    step_ = span / steps_;
    share_.resize(slots + 1);
    share_[slots].assign(steps_ + 1, 1.0);
    for (int slot = slots - 1; slot >= 0; --slot) count_slot(slot);
    possible_ = share_[0][steps_] > 0;
  }

  bool possible() const { return possible_; }

  void draw(std::mt19937_64& random, std::int32_t* row) const {
    int left = steps_;
    for (int slot = 0; slot < table_.slots(); ++slot) {
      const int before = slot > 0 ? row[slot - 1] : 0;
      const double target = unit(random) * share(slot, before)[left] * table_.sizes()[slot];
      double sum = 0;
      int chosen = -1;
      for (int choice = 0; choice < table_.sizes()[slot]; ++choice) {
        const int rest = left - steps_of(slot, before, choice);
        if (rest < 0) continue;
        const double part = share(slot + 1, choice)[rest];
        if (part <= 0) continue;
        chosen = choice;  // Rounding may leave the target a hair above the sum: then the last possible one.
        sum += part;
        if (sum > target) break;
      }
      row[slot] = chosen;
      left -= steps_of(slot, before, chosen);
    }
  }

 private:
  /// Choices of the slot before that make a difference to this one.
  int rows_of(int slot) const {
    return slot > 0 && slot < table_.slots() && cost_.has_edge(slot) ? table_.sizes()[slot - 1] : 1;
  }
  double raw(int slot, int before, int choice) const {
    return cost_.own(slot, choice) + cost_.edge(slot, before, choice);
  }
  int steps_of(int slot, int before, int choice) const {
    if (step_ <= 0) return raw(slot, before, choice) > least_[slot] ? steps_ + 1 : 0;
    const double steps = (raw(slot, before, choice) - least_[slot]) / step_ * (1 - 1e-12);
    return steps > steps_ ? steps_ + 1 : static_cast<int>(steps);
  }
  /// Share of all completions from `slot` on that fit, by what is left; one row per choice before where that matters.
  const double* share(int slot, int before) const {
    return share_[slot].data() + (rows_of(slot) > 1 ? static_cast<std::size_t>(before) * (steps_ + 1) : 0);
  }

  void choose_steps() {
    // Fine steps propose less that is then rejected; bounded by work and memory.
    double work = 1;
    for (int slot = 0; slot < table_.slots(); ++slot) {
      work += static_cast<double>(rows_of(slot)) * table_.sizes()[slot];
    }
    constexpr double kWork = 1e8;
    steps_ = static_cast<int>(std::clamp(kWork / work, 64.0, 8192.0));
  }

  void count_slot(int slot) {
    const int width = steps_ + 1;
    share_[slot].assign(static_cast<std::size_t>(rows_of(slot)) * width, 0.0);
    const double weight = 1.0 / table_.sizes()[slot];
    for (int before = 0; before < rows_of(slot); ++before) {
      double* own = share_[slot].data() + static_cast<std::size_t>(before) * width;
      for (int choice = 0; choice < table_.sizes()[slot]; ++choice) {
        const int taken = steps_of(slot, before, choice);
        const double* next = share(slot + 1, choice);
        for (int left = taken; left < width; ++left) own[left] += weight * next[left - taken];
      }
    }
  }

  const SpaceTable& table_;
  const LinearCost& cost_;
  bool possible_ = false;
  int steps_ = 0;
  double step_ = 0;
  std::vector<double> least_;
  std::vector<std::vector<double>> share_;
};

/// The bound that lies closest under the latency of random configurations.
const LowerBound& tightest(const SpaceTable& table, const std::vector<LowerBound>& bounds, std::mt19937_64& random) {
  std::vector<double> sums(bounds.size(), 0);
  std::vector<std::int32_t> row(table.sizes().size());
  for (int trial = 0; trial < 256; ++trial) {
    for (std::size_t s = 0; s < row.size(); ++s) row[s] = static_cast<std::int32_t>(unit(random) * table.sizes()[s]);
    for (std::size_t i = 0; i < bounds.size(); ++i) sums[i] += bounds[i].constant_us + bounds[i].cost.total(row.data());
  }
  return bounds[std::max_element(sums.begin(), sums.end()) - sums.begin()];
}

}  // namespace

SpaceAnswer sample_within(const SpaceTable& table, double budget_us, int count, std::uint64_t seed,
                          const SpaceSearch& options) {
  if (count < 0 || std::isnan(budget_us)) {
    throw Error(ErrorCode::kInvalidArgument, "search space: sampling needs a count of 0 or more and a budget");
  }
  SpaceAnswer answer;
  if (count == 0) return answer;
  // Proves first that there is anything to find: rejection alone would never end.
  const SpaceAnswer any = find_within(table, budget_us, 1, options);
  answer.complete = false;
  if (any.latency_us.empty()) return answer;

  std::mt19937_64 random(seed);
  // What keeps the budget lies in a part of the range; over that, λ changes less, and the bounds are tighter.
  BytesRange range = bytes_range(table);
  std::vector<LowerBound> bounds = latency_bounds(table, range);
  for (int i = 0; i < 3 && std::isfinite(budget_us); ++i) {
    range = narrowed(table, bounds, budget_us, range);
    bounds = latency_bounds(table, range);
  }
  const LowerBound& bound = tightest(table, bounds, random);
  // An infinite budget is any budget that all configurations keep.
  double widest = 0;
  for (int slot = 0; slot < table.slots(); ++slot) {
    double most = 0;
    for (int choice = 0; choice < table.sizes()[slot]; ++choice) {
      most = std::max(most, std::abs(bound.cost.own(slot, choice)));
      for (int before = 0; slot > 0 && bound.cost.has_edge(slot) && before < table.sizes()[slot - 1]; ++before) {
        most = std::max(most, std::abs(bound.cost.own(slot, choice) + bound.cost.edge(slot, before, choice)));
      }
    }
    widest += 2 * most + std::abs(bound.cost.far_least(slot));
  }
  const double reach = std::abs(bound.cost.base()) + widest + 1;
  const CountedProposals proposals(table, bound.cost,
                                   std::min(budget_us + 1e-9 * std::abs(budget_us) - bound.constant_us, reach));
  if (!proposals.possible()) return answer;

  std::vector<int> limited;
  for (const FeatureLimit& limit : options.limits) limited.push_back(limit.feature);
  std::vector<double> features(limited.size());
  std::vector<std::int32_t> row(table.sizes().size());
  const ExactSums exact(table);
  while (answer.latency_us.size() < static_cast<std::size_t>(count) && answer.visited < options.most_visits) {
    ++answer.visited;
    proposals.draw(random, row.data());
    const double latency = finish_latency(table.formula(), exact.total(row.data()));
    if (latency > budget_us) continue;
    table.feature_sums(row, limited, features);
    bool kept = true;
    for (std::size_t i = 0; i < limited.size(); ++i) kept &= features[i] <= options.limits[i].most;
    if (!kept) continue;
    answer.latency_us.push_back(latency);
    answer.rows.insert(answer.rows.end(), row.begin(), row.end());
  }
  answer.complete = answer.latency_us.size() == static_cast<std::size_t>(count);
  return answer;
}

std::vector<std::int64_t> pareto_front(std::span<const double> latency_us, std::span<const double> score) {
  if (latency_us.size() != score.size()) {
    throw Error(ErrorCode::kInvalidArgument, "Pareto front: latencies and scores differ in number");
  }
  for (std::size_t i = 0; i < score.size(); ++i) {
    if (std::isnan(latency_us[i]) || std::isnan(score[i])) {
      throw Error(ErrorCode::kInvalidArgument, "Pareto front: value " + std::to_string(i) + " is not a number");
    }
  }
  std::vector<std::int64_t> order(score.size()), front;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return latency_us[a] != latency_us[b] ? latency_us[a] < latency_us[b] : score[a] > score[b];
  });
  for (const std::int64_t i : order) {
    if (front.empty() || score[i] > score[front.back()]) front.push_back(i);
  }
  return front;
}

}  // namespace mmt
