#include <gtest/gtest.h>

#include "mmt/error.h"
#include "mmt/stats.h"
#include "stats/samples.h"

namespace mmt {
namespace {

using testing::normal;
using testing::Random;
using testing::uniform;

struct Drifting {
  std::vector<double> rows, columns;
  std::vector<Cell> cells;
};

/// Quantities of 1 to 10,000 µs under a drift that wanders by some per cent per round, with noise, outliers and gaps.
Drifting make_drifting(Random& random, int rows, int columns, double noise, double outliers, double missing) {
  Drifting data;
  for (int i = 0; i < rows; ++i) data.rows.push_back(std::exp(uniform(random, 0, std::log(10000.0))));
  double drift = 0;
  for (int j = 0; j < columns; ++j) data.columns.push_back(std::exp(drift += normal(random, 0, 0.03)));
  const double level = median(data.columns);
  for (double& factor : data.columns) factor /= level;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      if (uniform(random) < missing) continue;
      double value = data.rows[i] * data.columns[j] * std::exp(normal(random, 0, noise));
      if (uniform(random) < outliers) value *= uniform(random, 1.3, 8);
      data.cells.push_back({i, j, value});
    }
  }
  return data;
}

double worst_ratio(const std::vector<double>& found, const std::vector<double>& real) {
  double worst = 0;
  for (std::size_t i = 0; i < real.size(); ++i) worst = std::max(worst, std::abs(std::log(found[i] / real[i])));
  return worst;
}

TEST(TwoWayFit, ExactDataIsRecoveredExactly) {
  Random random(1);
  const Drifting data = make_drifting(random, 12, 9, 0, 0, 0.3);
  const TwoWayFit fit = two_way_fit(data.cells, 12, 9);
  ASSERT_EQ(fit.components, 1);
  EXPECT_TRUE(fit.converged);
  EXPECT_LT(worst_ratio(fit.row_value, data.rows), 1e-6);
  EXPECT_LT(worst_ratio(fit.column_factor, data.columns), 1e-6);
  for (const double spread : fit.row_spread) EXPECT_LT(spread, 1e-6);
}

TEST(TwoWayFit, DriftIsRecoveredUnderNoiseOutliersAndGaps) {
  for (int seed = 0; seed < 10; ++seed) {
    Random random(100 + seed);
    const Drifting data = make_drifting(random, 60, 40, 0.01, 0.1, 0.2);
    const TwoWayFit fit = two_way_fit(data.cells, 60, 40);
    EXPECT_LT(worst_ratio(fit.column_factor, data.columns), 0.012) << seed;
    EXPECT_LT(worst_ratio(fit.row_value, data.rows), 0.015) << seed;
    EXPECT_NEAR(median(fit.row_spread), 0.01, 0.004) << seed;
  }
}

TEST(TwoWayFit, BetterThanIgnoringTheDrift) {
  double plain = 0, fitted = 0;
  for (int seed = 0; seed < 10; ++seed) {
    Random random(300 + seed);
    const Drifting data = make_drifting(random, 30, 30, 0.01, 0.05, 0.5);
    const TwoWayFit fit = two_way_fit(data.cells, 30, 30);
    for (int i = 0; i < 30; ++i) {
      std::vector<double> values;
      for (const Cell& cell : data.cells) {
        if (cell.row == i) values.push_back(cell.value);
      }
      plain += std::abs(std::log(median(values) / data.rows[i]));
      fitted += std::abs(std::log(fit.row_value[i] / data.rows[i]));
    }
  }
  EXPECT_LT(fitted, 0.35 * plain);
}

TEST(TwoWayFit, QuietRowsDecide) {
  // Three rows with 0.2 % noise among forty with 10 %: the drift comes out far better than the noisy rows would allow.
  Random random(43);
  Drifting data = make_drifting(random, 43, 30, 0, 0, 0);
  for (Cell& cell : data.cells) cell.value *= std::exp(normal(random, 0, cell.row < 3 ? 0.002 : 0.1));
  const TwoWayFit fit = two_way_fit(data.cells, 43, 30);
  EXPECT_LT(worst_ratio(fit.column_factor, data.columns), 0.03);
}

TEST(TwoWayFit, BatchesLinkedOnlyByAReferenceRow) {
  Random random(47);
  const int rows = 101, columns = 40;
  Drifting data = make_drifting(random, rows, columns, 0.01, 0.05, 0);
  // Row 0 is in all rounds, rows 1–50 in the first half, rows 51–100 in the second, where the machine is 20 % slower.
  for (int j = 20; j < columns; ++j) data.columns[j] *= 1.2;
  std::vector<Cell> cells;
  for (Cell cell : data.cells) {
    if (cell.column >= 20) cell.value *= 1.2;
    if (cell.row == 0 || (cell.row <= 50) == (cell.column < 20)) cells.push_back(cell);
  }
  const TwoWayFit fit = two_way_fit(cells, rows, columns);
  EXPECT_EQ(fit.components, 1);
  double low = 0, high = 0;
  for (int j = 0; j < columns; ++j) (j < 20 ? low : high) += std::log(fit.column_factor[j] / data.columns[j]) / 20;
  EXPECT_NEAR(high, low, 0.015);
}

TEST(TwoWayFit, SeparateComponentsAreToldAndEmptyRowsAreNaN) {
  const std::vector<Cell> cells{{0, 0, 10}, {0, 1, 20}, {2, 3, 5}, {2, 4, 10}, {3, 4, 30}};
  const TwoWayFit fit = two_way_fit(cells, 4, 6);
  EXPECT_EQ(fit.components, 2);
  EXPECT_EQ(fit.component[0], 0);
  EXPECT_EQ(fit.component[1], -1);
  EXPECT_EQ(fit.component[2], fit.component[3]);
  EXPECT_NE(fit.component[0], fit.component[2]);
  EXPECT_TRUE(std::isnan(fit.row_value[1]));
  EXPECT_EQ(fit.column_factor[2], 1);
  EXPECT_EQ(fit.column_factor[5], 1);
  EXPECT_NEAR(fit.column_factor[1] / fit.column_factor[0], 2, 1e-6);
  EXPECT_NEAR(fit.column_factor[4] / fit.column_factor[3], 2, 1e-6);
  EXPECT_EQ(two_way_fit({}, 2, 2).components, 0);
}

TEST(TwoWayFit, ScaleAndPermutationInvariance) {
  Random random(53);
  Drifting data = make_drifting(random, 15, 12, 0.02, 0.1, 0.3);
  const TwoWayFit first = two_way_fit(data.cells, 15, 12);
  std::vector<Cell> changed = data.cells;
  std::shuffle(changed.begin(), changed.end(), random);
  for (Cell& cell : changed) cell.value *= 1000;
  const TwoWayFit second = two_way_fit(changed, 15, 12);
  for (int i = 0; i < 15; ++i) EXPECT_NEAR(second.row_value[i] / first.row_value[i], 1000, 1e-3);
  for (int j = 0; j < 12; ++j) EXPECT_NEAR(second.column_factor[j], first.column_factor[j], 1e-6);
}

TEST(TwoWayFit, WrongCellsAreErrors) {
  EXPECT_THROW(two_way_fit(std::vector<Cell>{{2, 0, 1}}, 2, 2), Error);
  EXPECT_THROW(two_way_fit(std::vector<Cell>{{0, -1, 1}}, 2, 2), Error);
  EXPECT_THROW(two_way_fit(std::vector<Cell>{{0, 0, 0}}, 2, 2), Error);
  EXPECT_THROW(two_way_fit({}, -1, 2), Error);
}

}  // namespace
}  // namespace mmt
