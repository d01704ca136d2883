#include "predict/space_table_linear.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mmt/predict.h"

namespace mmt {
namespace {

double weighted(std::span<const double> features, std::span<const double> weights) {
  double sum = 0;
  for (std::size_t f = 0; f < weights.size(); ++f) sum += features[f] * weights[f];
  return sum;
}

struct Line {
  double offset = 0, slope = 0;
};

/// Lines below λ of so many bytes and `further` ones, on [low, high]: the steepest useful pieces of its lower convex
/// hull. It does not fall.
std::vector<Line> lines_below(const LatencyFormula& formula, double low, double high, double further) {
  constexpr int kKnots = 1024;
  std::vector<double> x(kKnots + 1), y(kKnots + 1);
  for (int k = 0; k <= kKnots; ++k) {
    x[k] = low + (high - low) * k / kKnots;
    y[k] = formula.once.at(x[k] + further);
  }
  std::vector<Line> lines{{y[0], 0}};
  if (!(high > low)) return lines;
  // Each knot carries the value of the knot before it: then the function lies above between knots too.
  for (int k = kKnots; k > 0; --k) y[k] = y[k - 1];
  std::vector<int> hull;
  for (int k = 0; k <= kKnots; ++k) {
    while (hull.size() >= 2) {
      const int a = hull[hull.size() - 2], b = hull.back();
      if ((x[b] - x[a]) * (y[k] - y[a]) - (x[k] - x[a]) * (y[b] - y[a]) > 0) break;
      hull.pop_back();
    }
    hull.push_back(k);
  }
  // The longest pieces matter most.
  std::vector<std::pair<int, int>> pieces;
  for (std::size_t i = 0; i + 1 < hull.size(); ++i) pieces.emplace_back(hull[i], hull[i + 1]);
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const auto& a, const auto& b) { return a.second - a.first > b.second - b.first; });
  constexpr std::size_t kMostLines = 4;
  for (std::size_t i = 0; i < pieces.size() && lines.size() < kMostLines; ++i) {
    const auto [a, b] = pieces[i];
    const double slope = (y[b] - y[a]) / (x[b] - x[a]);
    if (slope > 0) lines.push_back({y[a] - slope * x[a], slope});
  }
  return lines;
}

/// Weights over all features from weights over the formula's sums.
std::vector<double> feature_weights(const SpaceTable& table, double direct, double cold_extra, double bytes,
                                    double reread_extra = 0) {
  const LatencyFormula& formula = table.formula();
  const double others = bytes * formula.others_bytes_per_us;
  direct += others;
  cold_extra += CostModel::kUsuallyCold * others;
  reread_extra += CostModel::kUsuallyRereadCold * others;
  std::vector<double> weights(table.features().size(), 0);
  const auto add = [&](int feature, double weight) {
    if (feature >= 0) weights[feature] += weight;
  };
  add(formula.hot, direct);
  add(formula.kernels, direct * formula.kernel_overhead_us);
  add(formula.cold_extra, cold_extra);
  add(formula.reread_extra, reread_extra);
  add(formula.footprint, bytes);
  return weights;
}

}  // namespace

LinearCost::LinearCost(const SpaceTable& table, std::span<const double> weights)
    : base_(weighted(table.base(), weights)) {
  const std::size_t slots = table.sizes().size(), width = weights.size();
  own_.resize(slots);
  edge_.resize(slots);
  far_.resize(slots);
  far_least_.assign(slots, 0);
  for (std::size_t slot = 0; slot < slots; ++slot) {
    for (int choice = 0; choice < table.sizes()[slot]; ++choice) {
      own_[slot].push_back(weighted(table.delta(static_cast<int>(slot), choice), weights));
    }
  }
  for (const SpaceTable::Pair& pair : table.pairs()) {
    std::vector<double> corrections(pair.corrections.size() / width);
    for (std::size_t at = 0; at < corrections.size(); ++at) {
      corrections[at] = weighted(std::span(pair.corrections).subspan(at * width, width), weights);
    }
    if (pair.slot_b == pair.slot_a + 1) {
      edge_[pair.slot_b] = std::move(corrections);
    } else {
      far_least_[pair.slot_b] += *std::min_element(corrections.begin(), corrections.end());
      far_[pair.slot_b].push_back({pair.slot_a, std::move(corrections)});
    }
  }
  rest_.resize(slots);
  for (std::size_t slot = slots; slot-- > 0;) {
    rest_[slot].assign(own_[slot].size(), 0);
    if (slot + 1 == slots) continue;
    const auto next = static_cast<int>(slot + 1);
    for (int choice = 0; choice < table.sizes()[slot]; ++choice) {
      double least = std::numeric_limits<double>::infinity();
      for (int after = 0; after < table.sizes()[next]; ++after) {
        least = std::min(least, own_[next][after] + edge(next, choice, after) + rest_[next][after]);
      }
      rest_[slot][choice] = least + far_least_[next];
    }
  }
}

double LinearCost::step(int slot, const std::int32_t* row) const {
  const std::int32_t choice = row[slot];
  double cost = own_[slot][choice];
  if (slot > 0) cost += edge(slot, row[slot - 1], choice);
  for (const Far& far : far_[slot]) {
    cost += far.corrections[static_cast<std::size_t>(row[far.earlier]) * own_[slot].size() + choice];
  }
  return cost;
}

double LinearCost::lowest() const {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t choice = 0; choice < own_[0].size(); ++choice) {
    least = std::min(least, own_[0][choice] + rest_[0][choice]);
  }
  return base_ + least;
}

double LinearCost::total(const std::int32_t* row) const {
  double sum = base_;
  for (std::size_t slot = 0; slot < own_.size(); ++slot) sum += step(static_cast<int>(slot), row);
  return sum;
}

ExactSums::ExactSums(const SpaceTable& table)
    : direct(table, feature_weights(table, 1, 0, 0)),
      cold_extra(table, feature_weights(table, 0, 1, 0)),
      bytes(table, feature_weights(table, 0, 0, 1)),
      reread_extra(table, feature_weights(table, 0, 0, 0, 1)) {}

LatencySums ExactSums::total(const std::int32_t* row) const {
  return {direct.total(row), cold_extra.total(row), bytes.total(row), reread_extra.total(row)};
}

LinearCost bytes_cost(const SpaceTable& table, double sign) {
  return LinearCost(table, feature_weights(table, 0, 0, sign));
}

BytesRange bytes_range(const SpaceTable& table) {
  return {bytes_cost(table, 1).lowest(), -bytes_cost(table, -1).lowest()};
}

std::vector<BytesRange> cut_by_cold_share(const SpaceTable& table) {
  const BytesRange all = bytes_range(table);
  if (!table.formula().once.shares || !(all.high > all.low)) return {all};
  constexpr int kKnots = 2048, kPieces = 32;
  std::vector<double> x(kKnots + 1), y(kKnots + 1);
  for (int k = 0; k <= kKnots; ++k) x[k] = all.low + (all.high - all.low) * k / kKnots;
  table.formula().once.shares(x, y);
  const double step = (y.back() - y.front()) / kPieces;
  std::vector<BytesRange> pieces{{all.low, all.high}};
  double reached = y.front();
  for (int k = 1; k < kKnots && step > 0; ++k) {
    if (y[k] - reached < step) continue;
    reached = y[k];
    pieces.back().high = x[k];
    pieces.push_back({x[k], all.high});
  }
  return pieces;
}

namespace {

struct Extremes {
  double low = 0, high = 0;
};

/// Of the extras, each times so much, over all configurations.
Extremes extremes(const SpaceTable& table, double cold_extra, double reread_extra) {
  return {LinearCost(table, feature_weights(table, 0, cold_extra, 0, reread_extra)).lowest(),
          -LinearCost(table, feature_weights(table, 0, -cold_extra, 0, -reread_extra)).lowest()};
}

/// What others push through the caches beyond what they do in the usual time, where λ and the extras lie in these
/// ranges.
Extremes beyond_bytes(const LatencyFormula& formula, const ColdShare& low, const ColdShare& high, const Extremes& cold,
                      const Extremes& reread) {
  Extremes cold_us{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  Extremes reread_us = cold_us;
  const auto include = [](Extremes& range, double us) { range = {std::min(range.low, us), std::max(range.high, us)}; };
  for (const ColdShare& one : {low, high}) {
    for (const double extra : {cold.low, cold.high}) include(cold_us, CostModel::beyond_usual_us(one, extra, 0));
    for (const double extra : {reread.low, reread.high}) include(reread_us, CostModel::beyond_usual_us(one, 0, extra));
  }
  return {formula.others_bytes_per_us * (cold_us.low + reread_us.low),
          formula.others_bytes_per_us * (cold_us.high + reread_us.high)};
}

}  // namespace

std::vector<LowerBound> latency_bounds(const SpaceTable& table, const BytesRange& range) {
  const LatencyFormula& formula = table.formula();
  std::vector<LowerBound> bounds;
  double reread_low = 0;  // λ of what is read several times, at the range's low end.
  const auto add = [&](double constant_us, double cold_extra, double bytes) {
    bounds.emplace_back(table, constant_us, feature_weights(table, 1, cold_extra, bytes, reread_low));
  };
  double run = formula.run_overhead_us;
  if (!formula.once.shares) {
    add(run, 0, 0);
    return bounds;
  }
  const auto [extra_low, extra_high] = extremes(table, 1, 0);
  const Extremes reread = extremes(table, 0, 1);
  // Others' bytes beyond those of the usual time, step by step as λ itself.
  Extremes beyond;
  for (int step = 0; step < CostModel::kShareSteps && formula.others_bytes_per_us > 0; ++step) {
    beyond = beyond_bytes(formula, shares_at(formula, range.low + beyond.low),
                          shares_at(formula, range.high + beyond.high), {extra_low, extra_high}, reread);
  }
  const std::vector<Line> lines = lines_below(formula, range.low, range.high, beyond.low);
  const auto [share_high, reread_high] = shares_at(formula, range.high + beyond.high);
  const double share_low = lines.front().offset;
  reread_low = formula.again.at(range.low + beyond.low);
  // Where being cold can gain time.
  run += (reread_high - reread_low) * std::min(0.0, reread.low);
  if (extra_low < 0) {  // Where being cold can gain time, only the range of λ is used.
    add(run + (share_high - share_low) * extra_low, share_low, 0);
    return bounds;
  }
  for (const Line& line : lines) {
    add(run + extra_low * (line.offset - share_low), share_low, extra_low * line.slope);
    if (share_low == share_high) break;
    add(run + extra_high * (line.offset - share_high), share_high, extra_high * line.slope);
  }
  return bounds;
}

BytesRange narrowed(const SpaceTable& table, std::span<const LowerBound> bounds, double budget_us,
                    const BytesRange& range) {
  BytesRange found = range;
  for (const LowerBound& bound : bounds) {
    const double room_us = budget_us - bound.constant_us - bound.cost.lowest();
    if (!(room_us >= 0) || !std::isfinite(room_us)) continue;
    // sign · bytes ≤ multiplier · (budget − constant) − min(multiplier · cost − sign · bytes), whatever the multiplier.
    const auto most = [&](double sign, double multiplier) {
      std::vector<double> weights = feature_weights(table, 0, 0, -sign);
      for (std::size_t f = 0; f < weights.size(); ++f) weights[f] += multiplier * bound.weights[f];
      return multiplier * (budget_us - bound.constant_us) - LinearCost(table, weights).lowest();
    };
    constexpr int kMultipliers = 24;
    const double usual = (range.high - range.low) / std::max(room_us, 1e-3 * std::abs(budget_us));
    for (int i = 0; i < kMultipliers; ++i) {
      const double multiplier = usual * std::exp2(0.5 * (i - kMultipliers / 2));
      found.high = std::min(found.high, most(1, multiplier));
      found.low = std::max(found.low, -most(-1, multiplier));
    }
  }
  // Sums in another order may differ a little.
  const double slack = 1e-9 * std::abs(range.high);
  return {std::max(range.low, found.low - slack), std::min(range.high, found.high + slack)};
}

}  // namespace mmt
