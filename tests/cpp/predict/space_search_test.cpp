#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <numeric>

#include "mmt/error.h"
#include "predict/space_table_fixture.h"
#include "predict/space_table_linear.h"

namespace mmt {
namespace {

using testing::Everything;
using testing::make_space;
using testing::Pairs;
using testing::try_everything;

constexpr double kClose = 1e-9;

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

TEST(LatencyBounds, NeverAboveTheLatency) {
  for (const Pairs pairs : {Pairs::kNone, Pairs::kNeighbours, Pairs::kAll}) {
    for (int seed = 0; seed < 5; ++seed) {
      const SpaceTable table = make_space({3, 4, 2, 5, 3}, pairs, seed);
      const Everything all = try_everything(table);
      double best_gap = 1e9;
      for (const LowerBound& bound : latency_bounds(table, bytes_range(table))) {
        double gap = 0;
        for (std::size_t r = 0; r < all.latency_us.size(); ++r) {
          const double low = bound.constant_us + bound.cost.total(all.rows.data() + r * 5);
          ASSERT_LE(low, all.latency_us[r] * (1 + kClose));
          gap += (all.latency_us[r] - low) / all.latency_us[r];
        }
        EXPECT_LE(bound.constant_us + bound.cost.lowest(), sorted(all.latency_us)[0] * (1 + kClose));
        best_gap = std::min(best_gap, gap / static_cast<double>(all.latency_us.size()));
      }
      EXPECT_LT(best_gap, 0.06) << "a bound this loose prunes nothing";
    }
  }
}

TEST(LatencyBounds, HoldWhereBeingColdGainsTime) {
  SpaceTable table({3, 3}, testing::space_features(), std::vector<double>{100, -50, 1, 1e6, 0, -20});
  for (int slot = 0; slot < 2; ++slot) {
    table.set_choice(slot, 1, std::vector<double>{10, 30, 1, 3e6, 0, 15});
    table.set_choice(slot, 2, std::vector<double>{-10, -30, 1, 5e6, 0, -15});
  }
  table.compile(LatencyFormula::from(testing::space_cost_model(), testing::space_features()));
  const Everything all = try_everything(table);
  const SpaceAnswer answer = find_fastest(table, 9);
  ASSERT_EQ(answer.latency_us.size(), 9u);
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(answer.latency_us[i], sorted(all.latency_us)[i], 1e-6);
}

TEST(LinearCost, MinimaAreExactForNeighbours) {
  const SpaceTable table = make_space({4, 3, 5, 4}, Pairs::kNeighbours, 3);
  std::vector<double> weights{1, 0.5, 0.3, 1e-6, 0, 0.2};
  const LinearCost cost(table, weights);
  std::vector<std::int32_t> rows(table.configurations() * 4);
  table.enumerate(0, rows);
  double least = 1e18;
  for (std::size_t r = 0; r < table.configurations(); ++r) least = std::min(least, cost.total(rows.data() + r * 4));
  EXPECT_NEAR(cost.lowest(), least, 1e-9);
}

TEST(FindFastest, EqualsTryingEverything) {
  for (const Pairs pairs : {Pairs::kNone, Pairs::kNeighbours, Pairs::kAll}) {
    for (int seed = 0; seed < 6; ++seed) {
      const SpaceTable table = make_space({3, 4, 1, 5, 3, 4}, pairs, 50 + seed);
      const Everything all = try_everything(table);
      const std::vector<double> expected = sorted(all.latency_us);
      for (const int count : {1, 10, 100, 5000}) {
        const SpaceAnswer answer = find_fastest(table, count);
        EXPECT_TRUE(answer.complete);
        ASSERT_EQ(answer.latency_us.size(), std::min<std::size_t>(count, expected.size()));
        for (std::size_t i = 0; i < answer.latency_us.size(); ++i) {
          ASSERT_NEAR(answer.latency_us[i], expected[i], kClose * expected[i]) << i;
          const auto row = std::span<const std::int32_t>(answer.rows).subspan(i * 6, 6);
          ASSERT_NEAR(testing::defined_latency(table, row), answer.latency_us[i], kClose * expected[i]);
        }
      }
    }
  }
}

TEST(FindFastest, LooksAtLittleOfALargeSpace) {
  const SpaceTable table = make_space(std::vector<int>(14, 12), Pairs::kNeighbours, 5);
  const SpaceAnswer answer = find_fastest(table, 50);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.latency_us.size(), 50u);
  EXPECT_LT(answer.visited, 5'000'000u);
  // No single change of the best one is faster.
  for (int slot = 0; slot < 14; ++slot) {
    for (int choice = 0; choice < 12; ++choice) {
      std::vector<std::int32_t> row(answer.rows.begin(), answer.rows.begin() + 14);
      row[slot] = choice;
      EXPECT_GE(table.latency_us(row), answer.latency_us[0] * (1 - kClose));
    }
  }
}

TEST(FindFastest, KeepsLimitsOnOtherFeatures) {
  const SpaceTable table = make_space({3, 4, 5, 3, 4}, Pairs::kAll, 77);
  const Everything all = try_everything(table);
  std::vector<double> weights(all.latency_us.size());
  table.feature_sums(all.rows, std::vector<int>{table.feature("weight_bytes")}, weights);
  const double most = sorted(weights)[weights.size() / 10];
  std::vector<double> expected;
  for (std::size_t r = 0; r < weights.size(); ++r) {
    if (weights[r] <= most) expected.push_back(all.latency_us[r]);
  }
  expected = sorted(expected);
  SpaceSearch search;
  search.limits.push_back({table.feature("weight_bytes"), most});
  const SpaceAnswer answer = find_fastest(table, 20, search);
  ASSERT_EQ(answer.latency_us.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_NEAR(answer.latency_us[i], expected[i], kClose * expected[i]);
  const SpaceAnswer sample = sample_within(table, expected[expected.size() / 2], 100, 3, search);
  ASSERT_EQ(sample.latency_us.size(), 100u);
  std::vector<double> sampled(100);
  table.feature_sums(sample.rows, std::vector<int>{table.feature("weight_bytes")}, sampled);
  for (const double bytes : sampled) EXPECT_LE(bytes, most);
  search.limits[0].most = -1;
  EXPECT_TRUE(find_fastest(table, 3, search).latency_us.empty());
  EXPECT_FALSE(sample_within(table, 1e9, 3, 1, search).complete);
  search.limits[0].feature = 99;
  EXPECT_THROW(find_fastest(table, 3, search), Error);
}

TEST(FindFastest, SaysWhereItGaveUp) {
  const SpaceTable table = make_space(std::vector<int>(10, 8), Pairs::kAll, 5);
  SpaceSearch search;
  search.most_visits = 100;
  EXPECT_FALSE(find_fastest(table, 10, search).complete);
  EXPECT_THROW(find_fastest(table, -1), Error);
  EXPECT_TRUE(find_fastest(table, 0).latency_us.empty());
}

TEST(FindWithin, EqualsTryingEverything) {
  for (const Pairs pairs : {Pairs::kNone, Pairs::kNeighbours, Pairs::kAll}) {
    const SpaceTable table = make_space({3, 4, 2, 5, 3}, pairs, 91);
    const Everything all = try_everything(table);
    const std::vector<double> expected = sorted(all.latency_us);
    for (const double share : {0.0, 0.05, 0.5, 0.999}) {
      const double budget =
          expected[static_cast<std::size_t>(share * static_cast<double>(expected.size()))] * (1 + 1e-12);
      const auto count =
          static_cast<std::size_t>(std::upper_bound(expected.begin(), expected.end(), budget) - expected.begin());
      const SpaceAnswer answer = find_within(table, budget, 1'000'000);
      EXPECT_TRUE(answer.complete);
      EXPECT_EQ(answer.latency_us.size(), count);
      EXPECT_TRUE(std::is_sorted(answer.latency_us.begin(), answer.latency_us.end()));
      if (count > 1) {
        const SpaceAnswer part = find_within(table, budget, count - 1);
        EXPECT_FALSE(part.complete);
        EXPECT_EQ(part.latency_us.size(), count - 1);
      }
    }
    EXPECT_TRUE(find_within(table, expected[0] * 0.99, 10).latency_us.empty());
  }
}

TEST(SampleWithin, IsUniformOverWhatTheBudgetAllows) {
  for (const Pairs pairs : {Pairs::kNone, Pairs::kNeighbours, Pairs::kAll}) {
    const SpaceTable table = make_space({3, 2, 4, 3}, pairs, 13);
    const Everything all = try_everything(table);
    const std::vector<double> order = sorted(all.latency_us);
    const double budget = order[order.size() / 3] * (1 + kClose);
    std::map<std::vector<std::int32_t>, int> seen;
    const int draws = 24'000;
    const SpaceAnswer answer = sample_within(table, budget, draws, 42);
    ASSERT_TRUE(answer.complete);
    for (int i = 0; i < draws; ++i) {
      EXPECT_LE(answer.latency_us[i], budget);
      ++seen[{answer.rows.begin() + i * 4, answer.rows.begin() + (i + 1) * 4}];
    }
    const std::size_t allowed = std::upper_bound(order.begin(), order.end(), budget) - order.begin();
    EXPECT_EQ(seen.size(), allowed);
    // Pearson's statistic has mean `allowed` and standard deviation √(2·allowed).
    const double expected = static_cast<double>(draws) / static_cast<double>(allowed);
    double statistic = 0;
    for (const auto& [row, count] : seen) statistic += (count - expected) * (count - expected) / expected;
    EXPECT_LT(statistic, static_cast<double>(allowed) + 5 * std::sqrt(2.0 * static_cast<double>(allowed)));
    EXPECT_EQ(sample_within(table, budget, 10, 42).rows, sample_within(table, budget, 10, 42).rows);
  }
}

TEST(SampleWithin, RareConfigurationsAreFoundWithoutLuck) {
  const SpaceTable table = make_space(std::vector<int>(12, 10), Pairs::kNeighbours, 21);
  const double budget = find_fastest(table, 3000).latency_us.back();  // About 3 in 10^9.
  const SpaceAnswer answer = sample_within(table, budget, 500, 1);
  EXPECT_TRUE(answer.complete);
  EXPECT_LT(answer.visited, 500'000u);
  for (const double latency : answer.latency_us) EXPECT_LE(latency, budget);
  EXPECT_TRUE(sample_within(table, 1e300, 5, 1).complete);
  EXPECT_TRUE(sample_within(table, std::numeric_limits<double>::infinity(), 5, 1).complete);
  EXPECT_FALSE(sample_within(table, 1, 5, 1).complete);
  EXPECT_TRUE(sample_within(table, 1, 5, 1).rows.empty());
}

TEST(ParetoFront, EqualsTheDefinition) {
  std::mt19937_64 random(31);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<double> latency(40), score(40);
    for (int i = 0; i < 40; ++i) {
      latency[i] = static_cast<double>(random() % 12);
      score[i] = static_cast<double>(random() % 12);
    }
    const auto front = pareto_front(latency, score);
    for (std::size_t i = 1; i < front.size(); ++i) {
      EXPECT_LT(latency[front[i - 1]], latency[front[i]]);
      EXPECT_LT(score[front[i - 1]], score[front[i]]);
    }
    for (int i = 0; i < 40; ++i) {
      const bool on_front = std::find(front.begin(), front.end(), i) != front.end();
      bool beaten = false;
      for (int j = 0; j < 40; ++j) {
        const bool as_good = latency[j] <= latency[i] && score[j] >= score[i];
        const bool better = latency[j] < latency[i] || score[j] > score[i];
        beaten |= as_good && (better || j < i);
      }
      EXPECT_EQ(on_front, !beaten) << i;
    }
  }
  EXPECT_TRUE(pareto_front({}, {}).empty());
  EXPECT_THROW(pareto_front(std::vector<double>{1}, {}), Error);
  EXPECT_THROW(pareto_front(std::vector<double>{1}, std::vector<double>{std::nan("")}), Error);
}

}  // namespace
}  // namespace mmt
