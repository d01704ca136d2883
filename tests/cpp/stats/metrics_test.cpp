#include <gtest/gtest.h>

#include "mmt/error.h"
#include "mmt/stats.h"
#include "stats/samples.h"

namespace mmt {
namespace {

using testing::Random;

TEST(ErrorMetrics, KnownValues) {
  const std::vector<double> truth{100, 200, 400, 50}, predicted{105, 190, 400, 56};
  const ErrorMetrics metrics = error_metrics(truth, predicted);
  EXPECT_EQ(metrics.count, 4);
  EXPECT_DOUBLE_EQ(metrics.mape_pct, (5 + 5 + 0 + 12) / 4.0);
  EXPECT_DOUBLE_EQ(metrics.bias_pct, (5 - 5 + 0 + 12) / 4.0);
  EXPECT_DOUBLE_EQ(metrics.max_pct, 12);
  EXPECT_DOUBLE_EQ(metrics.rmspe_pct, std::sqrt((25 + 25 + 144) / 4.0));
  EXPECT_DOUBLE_EQ(metrics.within_5pct, 0.75);
  EXPECT_DOUBLE_EQ(metrics.within_10pct, 0.75);
  EXPECT_DOUBLE_EQ(metrics.spearman, 1);
  EXPECT_DOUBLE_EQ(metrics.kendall, 1);
  EXPECT_DOUBLE_EQ(share_within(truth, predicted, 12), 1);
}

TEST(ErrorMetrics, Mistakes) {
  EXPECT_THROW(error_metrics({}, {}), Error);
  EXPECT_THROW(error_metrics(std::vector<double>{1}, std::vector<double>{1, 2}), Error);
  EXPECT_THROW(error_metrics(std::vector<double>{0}, std::vector<double>{1}), Error);
  EXPECT_THROW(error_metrics(std::vector<double>{1}, std::vector<double>{std::nan("")}), Error);
}

TEST(RankCorrelation, KnownValues) {
  const std::vector<double> x{1, 2, 3, 4, 5}, y{5, 6, 7, 8, 7};
  EXPECT_NEAR(spearman(x, y), 0.8207826816681233, 1e-12);
  EXPECT_NEAR(kendall(x, y), 0.7378647873726218, 1e-12);
  EXPECT_DOUBLE_EQ(spearman(x, std::vector<double>{9, 7, 5, 3, 1}), -1);
  EXPECT_DOUBLE_EQ(kendall(x, std::vector<double>{9, 7, 5, 3, 1}), -1);
  EXPECT_TRUE(std::isnan(spearman(x, std::vector<double>(5, 1.0))));
  EXPECT_TRUE(std::isnan(kendall(x, std::vector<double>(5, 1.0))));
  EXPECT_TRUE(std::isnan(kendall(std::vector<double>{1}, std::vector<double>{1})));
}

double kendall_by_pairs(const std::vector<double>& x, const std::vector<double>& y) {
  double score = 0, untied_x = 0, untied_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double sx = (x[i] > x[j]) - (x[i] < x[j]), sy = (y[i] > y[j]) - (y[i] < y[j]);
      score += sx * sy;
      untied_x += sx != 0;
      untied_y += sy != 0;
    }
  }
  return score / std::sqrt(untied_x * untied_y);
}

TEST(RankCorrelation, KendallEqualsTheCountOverAllPairs) {
  Random random(67);
  for (int trial = 0; trial < 200; ++trial) {
    const int count = 2 + static_cast<int>(random() % 60), levels = 2 + static_cast<int>(random() % 40);
    const auto level = [&](Random& r) { return static_cast<double>(r() % levels); };
    const auto x = testing::draw(count, random, level), y = testing::draw(count, random, level);
    const double expected = kendall_by_pairs(x, y);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(kendall(x, y)));
    } else {
      EXPECT_NEAR(kendall(x, y), expected, 1e-12);
    }
  }
}

TEST(RankCorrelation, UnchangedByMonotoneMapsAndOrder) {
  Random random(71);
  auto x = testing::draw(300, random, [](Random& r) { return testing::normal(r); });
  std::vector<double> y, mapped;
  for (const double value : x) y.push_back(value + testing::normal(random));
  for (const double value : y) mapped.push_back(std::exp(3 * value));
  EXPECT_DOUBLE_EQ(spearman(x, y), spearman(x, mapped));
  EXPECT_DOUBLE_EQ(kendall(x, y), kendall(x, mapped));
  EXPECT_DOUBLE_EQ(kendall(x, y), kendall(y, x));
  std::reverse(x.begin(), x.end());
  std::reverse(y.begin(), y.end());
  EXPECT_DOUBLE_EQ(kendall(x, y), kendall(x, mapped = y));
}

}  // namespace
}  // namespace mmt
