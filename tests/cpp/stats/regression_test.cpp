#include <gtest/gtest.h>

#include "mmt/error.h"
#include "mmt/stats.h"
#include "stats/samples.h"

namespace mmt {
namespace {

using testing::normal;
using testing::Random;
using testing::uniform;

TEST(RobustLine, ExactLine) {
  std::vector<double> x, y;
  for (int i = 0; i < 20; ++i) {
    x.push_back(i);
    y.push_back(3 + 0.5 * i);
  }
  for (const LineFit& fit : {robust_line(x, y), theil_sen(x, y)}) {
    EXPECT_NEAR(fit.a, 3, 1e-9);
    EXPECT_NEAR(fit.b, 0.5, 1e-9);
    EXPECT_NEAR(fit.scale, 0, 1e-9);
  }
}

TEST(RobustLine, StandsWildPoints) {
  for (int seed = 0; seed < 20; ++seed) {
    Random random(200 + seed);
    std::vector<double> x, y;
    for (int i = 0; i < 200; ++i) {
      x.push_back(1 + static_cast<double>(random() % 40));
      y.push_back(5 + 0.2 * x.back() + normal(random, 0, 0.1));
      if (i % 5 == 0) y.back() += uniform(random, 5, 500);
    }
    const LineFit robust = robust_line(x, y), pairs = theil_sen(x, y);
    EXPECT_NEAR(robust.a, 5, 0.1) << seed;
    EXPECT_NEAR(robust.b, 0.2, 0.005) << seed;
    EXPECT_NEAR(robust.scale, 0.1, 0.06) << seed;
    EXPECT_NEAR(pairs.a, 5, 0.3) << seed;
    EXPECT_NEAR(pairs.b, 0.2, 0.02) << seed;
  }
}

TEST(RobustLine, WeightsLetPrecisePointsDecide) {
  // Overheads of a few microseconds in totals whose noise grows with their size.
  Random random(73);
  std::vector<double> x, y;
  LinearFitOptions options;
  for (int i = 0; i < 400; ++i) {
    const double total = std::exp(uniform(random, 1, 9)), noise = 0.01 * total;
    x.push_back(1 + static_cast<double>(random() % 20));
    y.push_back(2 + 0.1 * x.back() + normal(random, 0, noise));
    options.weights.push_back(1 / noise);
  }
  const LineFit fit = robust_line(x, y, options);
  EXPECT_NEAR(fit.a, 2, 0.05);
  EXPECT_NEAR(fit.b, 0.1, 0.01);
  EXPECT_NEAR(fit.scale, 1, 0.2);
}

TEST(RobustLine, EfficientOnNormalNoise) {
  Random random(79);
  double square = 0;
  constexpr int kTrials = 300;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> x, y;
    for (int i = 0; i < 50; ++i) {
      x.push_back((i - 24.5) / std::sqrt(208.25));  // Unit variance, mean 0: slope error of least squares is 1/√50.
      y.push_back(1 + 2 * x.back() + normal(random));
    }
    const double error = robust_line(x, y).b - 2;
    square += error * error;
  }
  EXPECT_LT(square / kTrials, 1.2 / 50);
}

TEST(RobustLine, NonnegativeLeavesTheWrongColumnOut) {
  std::vector<double> x, y;
  for (int i = 1; i <= 30; ++i) {
    x.push_back(i);
    y.push_back(-4 + 2.0 * i);
  }
  const LineFit fit = robust_line(x, y, {.weights = {}, .nonnegative = true});
  EXPECT_EQ(fit.a, 0);
  EXPECT_GT(fit.b, 1.5);
  const LineFit none = robust_line(x, std::vector<double>(30, -1.0), {.weights = {}, .nonnegative = true});
  EXPECT_EQ(none.a, 0);
  EXPECT_EQ(none.b, 0);
}

TEST(RobustLinearFit, SeveralColumnsOfVeryDifferentSize) {
  Random random(83);
  std::vector<double> design, y;
  for (int i = 0; i < 300; ++i) {
    const double kernels = 1 + static_cast<double>(random() % 30), bytes = uniform(random, 0, 1e8);
    design.insert(design.end(), {1.0, kernels, bytes});
    y.push_back(4 + 0.3 * kernels + 2e-6 * bytes + normal(random, 0, 0.05) + (i % 10 == 0 ? 300 : 0));
  }
  const LinearFit fit = robust_linear_fit(design, 3, y);
  EXPECT_NEAR(fit.coefficients[0], 4, 0.05);
  EXPECT_NEAR(fit.coefficients[1], 0.3, 0.005);
  EXPECT_NEAR(fit.coefficients[2], 2e-6, 1e-9);
}

TEST(RobustLinearFit, DependentColumnsGetNothing) {
  std::vector<double> design, y;
  for (int i = 0; i < 10; ++i) {
    design.insert(design.end(), {1.0, static_cast<double>(i), 2.0 * i + 3, 0.0});
    y.push_back(1 + 2.0 * i);
  }
  const LinearFit fit = robust_linear_fit(design, 4, y);
  EXPECT_NEAR(fit.coefficients[0], 1, 1e-6);
  EXPECT_NEAR(fit.coefficients[1], 2, 1e-6);
  EXPECT_EQ(fit.coefficients[2], 0);
  EXPECT_EQ(fit.coefficients[3], 0);
}

TEST(RobustLinearFit, ScalesWithBothUnits) {
  Random random(89);
  std::vector<double> x, y, x_ms, y_ms;
  for (int i = 0; i < 40; ++i) {
    x.push_back(uniform(random, 0, 10));
    y.push_back(1 + x.back() + normal(random));
    x_ms.push_back(x.back() / 1024);
    y_ms.push_back(y.back() / 256);
  }
  const LineFit fit = robust_line(x, y), scaled = robust_line(x_ms, y_ms);
  EXPECT_NEAR(scaled.a, fit.a / 256, 1e-8);
  EXPECT_NEAR(scaled.b, fit.b * 4, 1e-6);
}

TEST(TheilSen, LargeSamplesAndEqualX) {
  Random random(97);
  std::vector<double> x, y;
  for (int i = 0; i < 5000; ++i) {
    x.push_back(uniform(random, 0, 100));
    y.push_back(7 - 0.5 * x.back() + normal(random, 0, 1));
  }
  const LineFit fit = theil_sen(x, y);
  EXPECT_NEAR(fit.a, 7, 0.1);
  EXPECT_NEAR(fit.b, -0.5, 0.002);
  const LineFit flat = theil_sen(std::vector<double>(3, 2.0), std::vector<double>{1, 5, 2});
  EXPECT_EQ(flat.b, 0);
  EXPECT_EQ(flat.a, 2);
}

TEST(Regression, Mistakes) {
  const std::vector<double> one{1}, two{1, 2};
  EXPECT_THROW(robust_linear_fit(two, 1, one), Error);
  EXPECT_THROW(robust_linear_fit({}, 1, {}), Error);
  EXPECT_THROW(robust_linear_fit(one, 0, one), Error);
  EXPECT_THROW(robust_line(one, one, {.weights = {1, 2}, .nonnegative = false}), Error);
  EXPECT_THROW(robust_line(one, one, {.weights = {-1}, .nonnegative = false}), Error);
  EXPECT_THROW(theil_sen({}, {}), Error);
}

}  // namespace
}  // namespace mmt
