#include <gtest/gtest.h>

#include <limits>

#include "mmt/error.h"
#include "mmt/stats.h"
#include "stats/samples.h"

namespace mmt {
namespace {

using testing::normal;
using testing::Random;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Pooling, OneSourceIsItself) {
  const Pooled pooled = pool_estimates(std::vector<double>{10}, std::vector<double>{0.5});
  EXPECT_DOUBLE_EQ(pooled.value, 10);
  EXPECT_DOUBLE_EQ(pooled.standard_error, 0.5);
  EXPECT_EQ(pooled.between, 0);
  EXPECT_EQ(pool_estimates(std::vector<double>{10}, std::vector<double>{kInfinity}).standard_error, kInfinity);
}

TEST(Pooling, PreciseSourcesWeighMore) {
  const std::vector<double> values{10.0, 10.4, 9.8};
  const Pooled pooled = pool_estimates(values, std::vector<double>{0.01, 2, 2});
  EXPECT_NEAR(pooled.value, 10.0, 0.01);
  EXPECT_NEAR(pooled.standard_error, 0.01, 0.001);
}

TEST(Pooling, UnknownErrorsWeighOnlyAmongThemselves) {
  EXPECT_DOUBLE_EQ(pool_estimates(std::vector<double>{10, 99}, std::vector<double>{1, kInfinity}).value, 10);
  const std::vector<double> unknown(3, kInfinity);
  const Pooled pooled = pool_estimates(std::vector<double>{9, 10, 11}, unknown);
  EXPECT_DOUBLE_EQ(pooled.value, 10);
  EXPECT_GT(pooled.standard_error, 0);
  EXPECT_LT(pooled.standard_error, 2);
}

TEST(Pooling, TellsItsOwnErrorAndTheSpreadBetweenSources) {
  Random random(61);
  double square = 0, told = 0, between = 0;
  constexpr int kTrials = 1500;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values, errors;
    for (int i = 0; i < 15; ++i) {
      errors.push_back(testing::uniform(random, 0.2, 1.0));
      values.push_back(normal(random, 100, std::hypot(errors.back(), 1.0)));
    }
    const Pooled pooled = pool_estimates(values, errors);
    square += (pooled.value - 100) * (pooled.value - 100);
    told += pooled.standard_error;
    between += pooled.between;
  }
  EXPECT_NEAR(told / kTrials / std::sqrt(square / kTrials), 1.0, 0.15);
  EXPECT_NEAR(between / kTrials, 1.0, 0.25);
}

TEST(Pooling, OneWildSourceDoesNotDecide) {
  std::vector<double> values{10.1, 9.9, 10.0, 10.05, 9.95}, errors(5, 0.1);
  const double before = pool_estimates(values, errors).value;
  values.push_back(500);
  errors.push_back(0.1);
  EXPECT_NEAR(pool_estimates(values, errors).value, before, 0.15);
}

TEST(Pooling, ScaleOrderZeroErrorsAndMistakes) {
  const std::vector<double> values{3, 5, 4}, errors{0.5, 0.1, 0.3};
  const Pooled first = pool_estimates(values, errors);
  const Pooled turned = pool_estimates(std::vector<double>{4, 5, 3}, std::vector<double>{0.3, 0.1, 0.5});
  EXPECT_DOUBLE_EQ(first.value, turned.value);
  const Pooled scaled = pool_estimates(std::vector<double>{3000, 5000, 4000}, std::vector<double>{500, 100, 300});
  EXPECT_NEAR(scaled.value, 1000 * first.value, 1e-6);
  EXPECT_NEAR(scaled.standard_error, 1000 * first.standard_error, 1e-6);
  EXPECT_DOUBLE_EQ(pool_estimates(std::vector<double>{7, 7}, std::vector<double>{0, 0}).value, 7);
  EXPECT_THROW(pool_estimates({}, {}), Error);
  EXPECT_THROW(pool_estimates(values, std::vector<double>{1}), Error);
  EXPECT_THROW(pool_estimates(std::vector<double>{1}, std::vector<double>{-1}), Error);
  EXPECT_THROW(pool_estimates(std::vector<double>{1}, std::vector<double>{std::nan("")}), Error);
}

TEST(WeightedMedian, HasHalfOfTheWeightOnEitherSide) {
  const std::vector<double> values{5, 1, 3}, even{1, 1, 1}, one_sided{1, 5, 1}, tied{2, 1, 1};
  EXPECT_EQ(weighted_median(values, even), 3);
  EXPECT_EQ(weighted_median(values, one_sided), 1);
  EXPECT_EQ(weighted_median(values, tied), 4) << "between 3 and 5";
  EXPECT_THROW(weighted_median({}, {}), Error);
  EXPECT_THROW(weighted_median(values, std::vector<double>{1}), Error);
}

}  // namespace
}  // namespace mmt
