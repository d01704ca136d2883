#include "mmt/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace mmt {
namespace {

std::vector<float> filled(std::size_t count, float low, float high, std::uint64_t seed) {
  std::vector<float> values(count);
  fill_weights(values, low, high, seed);
  return values;
}

TEST(Weights, AreTheSameOnEveryMachine) {
  // Two parts of each of the first two numbers of the generator's default seed: 14514284786278117030,
  // 4620546740167642908.
  EXPECT_EQ(filled(4, 0.0F, 1.0F, 5489),
            (std::vector<float>{0xf6aea6p-24F, 0x6d191cp-24F, 0xc80f1cp-24F, 0x1f7ac7p-24F}));
}

TEST(Weights, FollowFromTheSeedAndAShorterListIsTheBeginningOfALongerOne) {
  const auto values = filled(1001, -0.5F, 0.5F, 7);
  EXPECT_EQ(values, filled(1001, -0.5F, 0.5F, 7));
  EXPECT_NE(values, filled(1001, -0.5F, 0.5F, 8));
  const auto fewer = filled(500, -0.5F, 0.5F, 7);
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), values.begin()));
  EXPECT_TRUE(filled(0, 0, 1, 1).empty());
}

TEST(Weights, AreUniformWithinTheirBoundsAndAwayFromZero) {
  for (const auto& [low, high] : {std::pair{-0.01F, 0.01F}, {0.5F, 1.5F}, {-3.0F, 1.0F}}) {
    const auto values = filled(100'000, low, high, 3);
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    EXPECT_GE(*least, low);
    EXPECT_LE(*most, high);
    const double width = high - low;
    EXPECT_LT(*least, low + 0.001 * width);
    EXPECT_GT(*most, high - 0.001 * width);
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 1e5;
    EXPECT_NEAR(mean, (low + high) / 2, 0.01 * width);  // four standard errors are 0.004 of the width
    EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float x) { return std::abs(x) >= kSmallestWeight; }));
    // Neighbours come from one draw of the generator and must not follow each other.
    double together = 0;
    for (std::size_t i = 0; i < values.size(); i += 2) together += (values[i] - mean) * (values[i + 1] - mean);
    EXPECT_NEAR(together / 5e4 / (width * width / 12), 0.0, 0.03);
  }
}

}  // namespace
}  // namespace mmt
