#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "mmt/error.h"
#include "mmt/stats.h"
#include "stats/samples.h"

namespace mmt {
namespace {

using testing::draw;
using testing::Random;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Quantiles, KnownValues) {
  const std::vector<double> values{4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(median(values), 2.5);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{5, 1, 9}), 5);
  EXPECT_DOUBLE_EQ(mad(std::vector<double>{1, 1, 2, 2, 4, 6, 9}), 1);
}

TEST(Quantiles, WrongInputIsAnError) {
  EXPECT_THROW(median({}), Error);
  EXPECT_THROW(quantile({}, 0.5), Error);
  EXPECT_THROW(quantile(std::vector<double>{1}, 1.5), Error);
  EXPECT_THROW(median(std::vector<double>{1, std::nan("")}), Error);
  EXPECT_THROW(summarize(std::vector<double>{1, kInfinity}), Error);
}

TEST(MedianInterval, CoversAsPromisedWhateverTheDistribution) {
  struct Case {
    const char* name;
    testing::Draw one;
    double median;
  };
  const std::vector<Case> cases{
      {"normal", [](Random& r) { return testing::normal(r); }, 0},
      {"exponential", [](Random& r) { return -std::log(1 - testing::uniform(r)); }, std::log(2.0)},
      {"lognormal", [](Random& r) { return std::exp(testing::normal(r)); }, 1},
      {"cauchy", [](Random& r) { return std::tan(M_PI * (testing::uniform(r) - 0.5)); }, 0}};
  Random random(11);
  constexpr int kTrials = 3000;
  for (const Case& test : cases) {
    for (const int count : {8, 13, 30, 101}) {
      int covered = 0;
      for (int trial = 0; trial < kTrials; ++trial) {
        const Summary summary = summarize(draw(count, random, test.one));
        covered += summary.ci_low_us <= test.median && test.median <= summary.ci_high_us;
      }
      EXPECT_NEAR(static_cast<double>(covered) / kTrials, 0.95, 0.017) << test.name << " of " << count;
    }
  }
}

TEST(MedianInterval, LargeSamplesUseTheSameScale) {
  // The exact and the approximate path meet.
  Random random(5);
  std::vector<double> sorted = draw(1001, random, [](Random& r) { return testing::normal(r); });
  std::sort(sorted.begin(), sorted.end());
  const Interval large = median_interval_sorted(sorted);
  const Interval exact = median_interval_sorted(std::span(sorted).first(1000));
  EXPECT_NEAR(large.low, exact.low, 0.01);
  EXPECT_NEAR(large.high, exact.high, 0.01);
  EXPECT_LT(large.low, large.high);
}

TEST(MedianInterval, FewSamplesGiveTheirRange) {
  const std::vector<double> sorted{1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(median_interval_sorted(sorted).low, 1);
  EXPECT_DOUBLE_EQ(median_interval_sorted(sorted).high, 5);
  EXPECT_DOUBLE_EQ(median_interval_sorted(std::span(sorted).first(1)).high, 1);
  // More confidence never gives a narrower interval.
  const std::vector<double> ten{1, 2, 4, 7, 11, 16, 22, 29, 37, 46};
  double width = 0;
  for (const double confidence : {0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999}) {
    const Interval interval = median_interval_sorted(ten, confidence);
    EXPECT_GE(interval.high - interval.low, width) << confidence;
    width = interval.high - interval.low;
  }
}

TEST(Summary, FieldsOfAKnownSample) {
  std::vector<double> values(101);
  std::iota(values.begin(), values.end(), 100.0);
  const Summary summary = summarize(values);
  EXPECT_EQ(summary.count, 101);
  EXPECT_DOUBLE_EQ(summary.mean_us, 150);
  EXPECT_DOUBLE_EQ(summary.min_us, 100);
  EXPECT_DOUBLE_EQ(summary.max_us, 200);
  EXPECT_DOUBLE_EQ(summary.median_us, 150);
  EXPECT_DOUBLE_EQ(summary.p05_us, 105);
  EXPECT_DOUBLE_EQ(summary.p25_us, 125);
  EXPECT_DOUBLE_EQ(summary.p75_us, 175);
  EXPECT_DOUBLE_EQ(summary.p95_us, 195);
  EXPECT_LT(summary.ci_low_us, 150);
  EXPECT_GT(summary.ci_high_us, 150);
  EXPECT_FALSE(summary.noisy);
  EXPECT_TRUE(summarize(values, 0.01).noisy);
  EXPECT_EQ(summarize({}).count, 0);
}

/// What the statistics of 100 kernels sum to.
struct Sums {
  double expected = 0, medians = 0, means = 0;
  double median_run = 0;  ///< Of the sums of runs.
};

/// `draw`: the time of a kernel in run number `run`.
template <class Draw>
Sums sums_of_kernels(int runs, const Draw& draw) {
  Sums sums;
  std::vector<double> totals(static_cast<std::size_t>(runs), 0.0);
  for (int kernel = 0; kernel < 100; ++kernel) {
    std::vector<double> times;
    for (int run = 0; run < runs; ++run) {
      times.push_back(draw(run));
      totals[static_cast<std::size_t>(run)] += times.back();
    }
    const Summary summary = summarize(times);
    sums.expected += expected_us(summary);
    sums.medians += summary.median_us;
    sums.means += summary.mean_us;
  }
  sums.median_run = summarize(totals).median_us;
  return sums;
}

// Times scatter upwards by some per cent, as they do beside neighbours: each whole run has its share of that.
TEST(Expected, AddsUpToTheMedianOfASum) {
  Random random(11);
  const Sums sums = sums_of_kernels(400, [&](int) { return 50 - 1.25 * std::log(1 - testing::uniform(random)); });
  EXPECT_NEAR(sums.expected / sums.median_run, 1, 0.001);
  EXPECT_LT(sums.medians / sums.median_run, 0.994);
}

// One run in twenty takes twice the time with all of its kernels: half of the runs know nothing of it.
TEST(Expected, DisturbancesOfWholeRunsHardlyCount) {
  Random random(12);
  const Sums sums =
      sums_of_kernels(60, [&](int run) { return (50 + testing::uniform(random, -1, 1)) * (run % 20 == 7 ? 2 : 1); });
  EXPECT_NEAR(sums.expected / (100 * 50), 1.005, 0.001);
  EXPECT_GT(sums.means / (100 * 50), 1.04);
}

// The price: of large disturbances that each kernel sees for itself, only a part is in the sum of expected times. Whole
// runs of operators have all of it, and so have the overheads that are fitted to them.
TEST(Expected, OftenAndLargeDisturbancesCountInPart) {
  Random random(11);
  const Sums sums = sums_of_kernels(
      400, [&](int) { return 50 + testing::uniform(random, -1, 1) + (testing::uniform(random) < 0.05 ? 30 : 0); });
  EXPECT_LT(sums.medians / sums.median_run, 0.98);
  EXPECT_GT(sums.expected, sums.medians);
  EXPECT_NEAR(sums.expected / sums.median_run, 0.976, 0.003);
}

TEST(Expected, OneLongDisturbanceDoesNotCount) {
  std::vector<double> runs(30, 10.0);
  runs[7] = 5000;
  EXPECT_DOUBLE_EQ(expected_us(summarize(runs)), 10 + 1.0 / 30);
  EXPECT_DOUBLE_EQ(expected_us({.count = 5, .mean_us = 70, .median_us = 10}), 11) << "only the mean is known";
  EXPECT_DOUBLE_EQ(expected_us({.count = 5, .median_us = 7}), 7) << "no mean is known";
  EXPECT_DOUBLE_EQ(expected_us({.count = 5, .mean_us = 7, .median_us = -10}), -9) << "a damaged journal's";
  EXPECT_DOUBLE_EQ(expected_us(Summary{}), 0);
}

TEST(Summary, ScalesWithTheUnitAndIgnoresTheOrder) {
  Random random(3);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<double> values =
        draw(5 + trial, random, [](Random& r) { return std::exp(testing::normal(r, 3, 0.3)); });
    const Summary first = summarize(values);
    std::shuffle(values.begin(), values.end(), random);
    const Summary shuffled = summarize(values);
    EXPECT_EQ(first.median_us, shuffled.median_us);
    EXPECT_EQ(first.mean_us, shuffled.mean_us);
    EXPECT_EQ(first.ci_high_us, shuffled.ci_high_us);
    for (double& value : values) value *= 8;
    const Summary scaled = summarize(values);
    EXPECT_DOUBLE_EQ(scaled.median_us, 8 * first.median_us);
    EXPECT_DOUBLE_EQ(scaled.ci_low_us, 8 * first.ci_low_us);
    EXPECT_EQ(scaled.noisy, first.noisy);
    EXPECT_LE(first.min_us, first.ci_low_us);
    EXPECT_LE(first.ci_low_us, first.median_us);
    EXPECT_LE(first.median_us, first.ci_high_us);
    EXPECT_LE(first.ci_high_us, first.max_us);
  }
}

TEST(StandardError, IsTheScatterOfTheMedian) {
  Random random(17);
  for (const int count : {3, 5, 10, 50}) {
    double told = 0, square = 0;
    constexpr int kTrials = 3000;
    for (int trial = 0; trial < kTrials; ++trial) {
      const Summary summary = summarize(draw(count, random, [](Random& r) { return testing::normal(r, 100, 2); }));
      told += median_standard_error(summary);
      square += (summary.median_us - 100) * (summary.median_us - 100);
    }
    const double real = std::sqrt(square / kTrials);
    EXPECT_NEAR(told / kTrials / real, 1.0, 0.15) << count;
  }
  EXPECT_EQ(median_standard_error(Summary{}), kInfinity);
  EXPECT_EQ(median_standard_error(summarize(std::vector<double>{3})), kInfinity);
}

TEST(StopRule, NeedsEnoughSamplesAndANarrowInterval) {
  const StopRule rule{.min_times = 8, .times = 20, .target_ci = 0.05};
  std::vector<double> quiet;
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(may_stop(summarize(quiet), rule)) << i;
    quiet.push_back(100 + i % 3);
  }
  EXPECT_TRUE(may_stop(summarize(quiet), rule));
  EXPECT_EQ(samples_left(summarize(quiet), rule), 0);
  std::vector<double> wild;
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(may_stop(summarize(wild), rule)) << i;
    EXPECT_GE(samples_left(summarize(wild), rule), 1);
    EXPECT_LE(samples_left(summarize(wild), rule), 20 - i);
    wild.push_back(i % 2 ? 100 : 200);
  }
  EXPECT_TRUE(may_stop(summarize(wild), rule));
  EXPECT_EQ(relative_half_width(summarize(std::vector<double>{1, 1, 1})), kInfinity);
  EXPECT_EQ(relative_half_width(summarize(std::vector<double>(9, 5.0))), 0);
}

TEST(StopRule, EstimateFollowsTheSquareRoot) {
  Summary summary;
  summary.count = 10;
  summary.median_us = 100;
  summary.ci_low_us = 98;
  summary.ci_high_us = 102;
  EXPECT_EQ(samples_left(summary, {.min_times = 8, .times = 1000, .target_ci = 0.01}), 30);
  EXPECT_EQ(samples_left(summary, {.min_times = 8, .times = 25, .target_ci = 0.01}), 15);
}

}  // namespace
}  // namespace mmt
