// The table's statistics against known numbers.
#include <gtest/gtest.h>

#include <random>

#include "fixture.h"
#include "table/overhead.h"
#include "table/pool.h"

namespace mmt::table {
namespace {

using test::make_summary;

QuantityPool pool_of(const std::vector<Summary>& summaries) {
  QuantityPool pool;
  for (const Summary& summary : summaries) pool.add(summary);
  return pool;
}

TEST(Pooling, OneSourceStandsForItself) {
  const auto result = pool_of({make_summary(100, 1.96)}).result();
  EXPECT_DOUBLE_EQ(result.value_us, 100);
  EXPECT_NEAR(result.se_us, 1, 1e-4) << "the interval is 3.92 standard errors wide";
  EXPECT_EQ(result.spread_us, 0);
  EXPECT_FALSE(result.noisy);
}

TEST(Pooling, PreciseSourcesWeighMore) {
  const auto result = pool_of({make_summary(100, 0.98), make_summary(101, 1.96)}).result();
  EXPECT_NEAR(result.value_us, 100.2, 0.05) << "weights 4 : 1";
  EXPECT_LT(result.se_us, 1);
}

TEST(Pooling, NoisySourcesWeighLess) {
  Summary noisy = make_summary(110, 1.96);
  noisy.noisy = true;
  const double with_flag = pool_of({make_summary(100, 1.96), make_summary(100, 1.96), noisy}).result().value_us;
  noisy.noisy = false;
  const double without = pool_of({make_summary(100, 1.96), make_summary(100, 1.96), noisy}).result().value_us;
  EXPECT_LE(with_flag, without);
  EXPECT_GE(with_flag, 100);
  noisy.noisy = true;
  EXPECT_TRUE(pool_of({noisy}).result().noisy);
}

TEST(Pooling, OneWildSourceMovesLittle) {
  std::vector<Summary> summaries(9, make_summary(100, 1));
  summaries.push_back(make_summary(500, 1));
  const auto result = pool_of(summaries).result();
  EXPECT_NEAR(result.value_us, 100, 0.5);
}

TEST(Pooling, DisagreementWidensTheError) {
  const auto alike = pool_of({make_summary(100, 0.2), make_summary(100, 0.2), make_summary(100, 0.2)}).result();
  const auto apart = pool_of({make_summary(90, 0.2), make_summary(100, 0.2), make_summary(110, 0.2)}).result();
  EXPECT_GT(apart.se_us, 10 * alike.se_us);
  EXPECT_NEAR(apart.spread_us, 14.8, 0.1);
  EXPECT_NEAR(apart.value_us, 100, 0.1);
}

TEST(Pooling, SummariesWithoutSamplesStayOut) {
  QuantityPool pool;
  EXPECT_FALSE(pool.add(Summary{}));
  EXPECT_TRUE(pool.empty());
  EXPECT_EQ(pool.result().value_us, 0);
  Summary single;
  single.count = 1;
  single.median_us = single.min_us = single.max_us = 50;
  EXPECT_TRUE(pool.add(single));
  EXPECT_GE(pool.result().se_us, 25) << "one sample says next to nothing";
}

TEST(Pooling, RandomPoolsLieBetweenTheirSourcesAndDoNotDependOnOrder) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<Summary> summaries(1 + random() % 12);
    double low = 1e9, high = 0;
    for (Summary& summary : summaries) {
      const double value = std::uniform_real_distribution<>(1, 1000)(random);
      summary = make_summary(value, std::uniform_real_distribution<>(0, 0.2)(random) * value,
                             2 + static_cast<int>(random() % 50));
      summary.noisy = random() % 4 == 0;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    const auto result = pool_of(summaries).result();
    EXPECT_GE(result.value_us, low - 1e-9);
    EXPECT_LE(result.value_us, high + 1e-9);
    EXPECT_GT(result.se_us, 0);
    EXPECT_TRUE(std::isfinite(result.se_us));
    std::shuffle(summaries.begin(), summaries.end(), random);
    EXPECT_NEAR(pool_of(summaries).result().value_us, result.value_us, 1e-6 * result.value_us);
  }
}

std::vector<OverheadPoint> line(double run_us, double kernel_us, int points) {
  std::vector<OverheadPoint> list;
  for (int i = 1; i <= points; ++i) {
    list.push_back({static_cast<double>(i), run_us + kernel_us * i, 0.05, 50.0 * i});
  }
  return list;
}

TEST(Overheads, AreRecoveredExactly) {
  const Overhead overhead = fit_overhead(line(7.5, 0.4, 12));
  EXPECT_NEAR(overhead.run_us, 7.5, 1e-6);
  EXPECT_NEAR(overhead.kernel_us, 0.4, 1e-6);
}

TEST(Overheads, WildAndImprecisePointsMoveThemLittle) {
  auto points = line(7.5, 0.4, 20);
  points[3].excess_us += 400;
  points[12].excess_us -= 300;
  for (int i = 0; i < 10; ++i) points.push_back({20, 300.0 + i, 200, 5000});
  const Overhead overhead = fit_overhead(points);
  EXPECT_NEAR(overhead.run_us, 7.5, 0.5);
  EXPECT_NEAR(overhead.kernel_us, 0.4, 0.1);
}

TEST(Overheads, AreNeverNegativeNorAbsurd) {
  EXPECT_EQ(fit_overhead({}).run_us, 0);
  const Overhead negative = fit_overhead(line(-5, -0.2, 10));
  EXPECT_EQ(negative.run_us, 0);
  EXPECT_EQ(negative.kernel_us, 0);
  const Overhead absurd = fit_overhead(line(1e6, 1e4, 10));
  EXPECT_LE(absurd.run_us, 1000);
  EXPECT_LE(absurd.kernel_us, 50);
  const Overhead alike = fit_overhead({{3, 6, 0.1, 100}, {3, 6, 0.1, 100}});
  EXPECT_NEAR(alike.run_us, 6, 1e-6);
  EXPECT_EQ(alike.kernel_us, 0);
}

}  // namespace
}  // namespace mmt::table
