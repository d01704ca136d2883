#include "engine/input_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace mmt {
namespace {

std::vector<double> values(double low, double high, std::uint64_t seed, int count) {
  InputValues source(low, high, seed);
  std::vector<double> list;
  for (int i = 0; i < count; ++i) list.push_back(source.next());
  return list;
}

TEST(InputValues, FillTheirRangeEvenlyAroundItsMiddle) {
  for (const auto& [low, high] : {std::pair{-1.0, 1.0}, {0.0, 6.0}, {2.0, 2.0}, {-5.0, -4.0}}) {
    const std::vector<double> list = values(low, high, 1, 1 << 18);
    double sum = 0;
    for (const double value : list) {
      ASSERT_GE(value, low);
      ASSERT_TRUE(value < high || low == high);
      sum += value;
    }
    EXPECT_NEAR(sum / static_cast<double>(list.size()), (low + high) / 2, 0.02 * (high - low));
    EXPECT_LE(*std::min_element(list.begin(), list.end()) - low, 0.02 * (high - low));
    EXPECT_LE(high - *std::max_element(list.begin(), list.end()), 0.02 * (high - low));
  }
}

TEST(InputValues, SignsComeInRuns) {
  const std::vector<double> list = values(-1, 1, 7, 1 << 18);
  int same = 0;
  for (std::size_t i = 1; i < list.size(); ++i) same += (list[i] < 0) == (list[i - 1] < 0) ? 1 : 0;
  // An offset o in [0, kUsualShared) leaves a value negative with the chance (0.5 - o) / (1 - kUsualShared), all alike
  // where that is beyond 0 or 1; two of one offset are alike with p² + (1 - p)².
  double expected = 0;
  constexpr int kSteps = 10000;
  for (int i = 0; i < kSteps; ++i) {
    const double offset = kUsualShared * (i + 0.5) / kSteps;
    const double p = std::clamp((0.5 - offset) / (1 - kUsualShared), 0.0, 1.0);
    expected += (p * p + (1 - p) * (1 - p)) / kSteps;
  }
  EXPECT_GT(expected, 0.53);
  EXPECT_NEAR(same / static_cast<double>(list.size()), expected, 0.02);
  int both = 0;  // Further apart than an offset is shared they know nothing of each other.
  for (std::size_t i = InputValues::kShared; i < list.size(); ++i)
    both += (list[i] < 0) == (list[i - InputValues::kShared] < 0) ? 1 : 0;
  EXPECT_NEAR(both / static_cast<double>(list.size()), 0.5, 0.03);
}

TEST(InputValues, WithoutAnOffsetNeighboursKnowNothingOfEachOther) {
  InputValues source(-1, 1, 7, 0);
  int same = 0, positive = 0;
  bool before = source.next() < 0;
  constexpr int kValues = 1 << 16;
  for (int i = 0; i < kValues; ++i) {
    const bool now = source.next() < 0;
    same += now == before ? 1 : 0;
    positive += now ? 0 : 1;
    before = now;
  }
  EXPECT_NEAR(same / static_cast<double>(kValues), 0.5, 0.01);
  EXPECT_NEAR(positive / static_cast<double>(kValues), 0.5, 0.01);
}

TEST(InputValues, AreTheSameForASeed) {
  EXPECT_EQ(values(-1, 1, 3, 1000), values(-1, 1, 3, 1000));
  EXPECT_NE(values(-1, 1, 3, 1000), values(-1, 1, 4, 1000));
  const std::vector<double> longer = values(-1, 1, 3, 2000), shorter = values(-1, 1, 3, 1000);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin())) << "however many are asked for";
}

}  // namespace
}  // namespace mmt
