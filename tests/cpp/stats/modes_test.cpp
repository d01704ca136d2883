#include <gtest/gtest.h>

#include "mmt/error.h"
#include "mmt/stats.h"
#include "stats/samples.h"

namespace mmt {
namespace {

using testing::draw;
using testing::Random;

TEST(Dip, SmallestAndLargest) {
  std::vector<double> grid(100), atoms(100);
  for (int i = 0; i < 100; ++i) {
    grid[i] = i;
    atoms[i] = i < 50 ? i * 1e-9 : 1 + i * 1e-9;
  }
  EXPECT_DOUBLE_EQ(dip_sorted(grid), 1.0 / 200);
  EXPECT_NEAR(dip_sorted(atoms), 0.25, 1e-6);
  EXPECT_EQ(dip_sorted(std::vector<double>(10, 3.0)), 0);
}

TEST(Dip, KnownSamples) {
  // Values that an independent implementation gives as well.
  EXPECT_NEAR(dip_sorted(std::vector<double>{1, 2, 3, 4, 10, 11, 12, 13}), 1.0 / 6, 1e-12);
  EXPECT_NEAR(dip_sorted(std::vector<double>{1, 1.5, 2, 2.2, 2.3, 2.4, 3, 5, 9}), 1.0 / 18, 1e-12);
  EXPECT_NEAR(dip_sorted(std::vector<double>{0, 1, 2, 3, 20, 21, 22, 23, 24, 50}), 0.17, 1e-12);
  EXPECT_NEAR(dip_sorted(std::vector<double>{1, 2, 4, 8, 16, 32, 64, 128}), 1.0 / 16, 1e-12);
}

TEST(Dip, QuantilesUnderTheUniformDistribution) {
  struct Row {
    int n;
    double q50, q95;
  };
  Random random(2);
  for (const Row& row : {Row{20, 0.0733, 0.1049}, Row{50, 0.0491, 0.0705}, Row{100, 0.0353, 0.0511}}) {
    std::vector<double> dips;
    for (int trial = 0; trial < 1500; ++trial) {
      std::vector<double> values = draw(row.n, random, [](Random& r) { return testing::uniform(r); });
      std::sort(values.begin(), values.end());
      dips.push_back(dip_sorted(values));
    }
    EXPECT_NEAR(quantile(dips, 0.5), row.q50, 0.03 * row.q50) << row.n;
    EXPECT_NEAR(quantile(dips, 0.95), row.q95, 0.05 * row.q95) << row.n;
  }
}

TEST(Modes, NoFalseAlarmOnUnimodalSamples) {
  const std::vector<std::pair<const char*, testing::Draw>> cases{
      {"normal", [](Random& r) { return testing::normal(r, 100, 10); }},
      {"lognormal", [](Random& r) { return 100 * std::exp(testing::normal(r, 0, 0.5)); }},
      {"shifted exponential", [](Random& r) { return 100 - 20 * std::log(1 - testing::uniform(r)); }},
      {"uniform", [](Random& r) { return testing::uniform(r, 100, 150); }},
      {"pareto tail", [](Random& r) { return 100 * std::pow(1 - testing::uniform(r), -0.5); }},
      {"clock steps", [](Random& r) { return std::round(testing::normal(r, 100, 3)); }},
      {"outliers", [](Random& r) {
         return testing::uniform(r) < 0.04 ? testing::uniform(r, 200, 900) : testing::normal(r, 100, 2);
       }}};
  Random random(23);
  for (const auto& [name, one] : cases) {
    int alarms = 0, trials = 0;
    for (const int count : {12, 20, 40, 100, 300}) {
      for (int trial = 0; trial < 200; ++trial, ++trials) alarms += find_modes(draw(count, random, one)).bimodal;
    }
    EXPECT_LE(alarms, trials / 100) << name;
  }
}

TEST(Modes, FindsTwoModesAndTheirShares) {
  Random random(29);
  for (const int count : {40, 100, 300}) {
    for (const double share : {0.3, 0.5}) {
      int found = 0;
      for (int trial = 0; trial < 200; ++trial) {
        const auto values = draw(count, random, [&](Random& r) {
          return testing::uniform(r) < share ? testing::normal(r, 130, 3) : testing::normal(r, 100, 2);
        });
        const Modes modes = find_modes(values);
        found += modes.bimodal;
        if (!modes.bimodal) continue;
        EXPECT_NEAR(modes.low, 100, 3);
        EXPECT_NEAR(modes.high, 130, 4);
        EXPECT_NEAR(modes.high_share, share, 0.3);
      }
      EXPECT_GE(found, count < 100 ? 120 : 190) << count << " samples, share " << share;
    }
  }
}

TEST(Modes, ModesThatHardlyDifferDoNotMatter) {
  Random random(31);
  const auto values = draw(200, random, [](Random& r) {
    return testing::uniform(r) < 0.5 ? testing::normal(r, 101, 0.05) : testing::normal(r, 100, 0.05);
  });
  EXPECT_FALSE(find_modes(values).bimodal);
  EXPECT_TRUE(find_modes(values, 0.005).bimodal);
}

TEST(Modes, ScaleOrderAndSmallSamples) {
  Random random(37);
  std::vector<double> values = draw(60, random, [](Random& r) {
    return testing::uniform(r) < 0.5 ? testing::normal(r, 150, 3) : testing::normal(r, 100, 2);
  });
  const Modes first = find_modes(values);
  std::shuffle(values.begin(), values.end(), random);
  EXPECT_EQ(find_modes(values).dip, first.dip);
  for (double& value : values) value *= 1024;
  EXPECT_DOUBLE_EQ(find_modes(values).dip, first.dip);
  EXPECT_DOUBLE_EQ(find_modes(values).high, 1024 * first.high);
  EXPECT_TRUE(first.bimodal);
  EXPECT_FALSE(find_modes(std::vector<double>{1, 1, 1, 9, 9, 9}).bimodal);
  EXPECT_FALSE(find_modes(std::vector<double>(50, 7.0)).bimodal);
  EXPECT_FALSE(find_modes({}).bimodal);
}

}  // namespace
}  // namespace mmt
