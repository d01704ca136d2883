#include "mmt/space_table.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "mmt/error.h"
#include "predict/space_table_fixture.h"

namespace mmt {
namespace {

using testing::Everything;
using testing::make_space;
using testing::Pairs;
using testing::try_everything;

TEST(SpaceTable, EvaluationEqualsTheDefinition) {
  for (const Pairs pairs : {Pairs::kNone, Pairs::kNeighbours, Pairs::kAll}) {
    for (const int joint_limit : {1, 10, 100, 4096}) {
      const SpaceTable table = make_space({3, 1, 4, 2, 5, 3}, pairs, 7, joint_limit);
      const Everything all = try_everything(table);
      std::vector<double> from_int32(all.latency_us.size()), from_bytes(all.latency_us.size()),
          counted(all.latency_us.size());
      table.latency_us(std::span<const std::int32_t>(all.rows), from_int32);
      const std::vector<std::uint8_t> bytes(all.rows.begin(), all.rows.end());
      table.latency_us(std::span<const std::uint8_t>(bytes), from_bytes);
      table.enumerate_latency_us(0, counted);
      for (std::size_t r = 0; r < all.latency_us.size(); ++r) {
        ASSERT_NEAR(from_int32[r], all.latency_us[r], 2e-6 * all.latency_us[r]) << r;
        ASSERT_EQ(from_bytes[r], from_int32[r]);
        ASSERT_EQ(counted[r], from_int32[r]);
        const auto row = std::span<const std::int32_t>(all.rows).subspan(r * 6, 6);
        ASSERT_NEAR(table.latency_us(row), all.latency_us[r], 1e-9 * all.latency_us[r]);
      }
    }
  }
}

TEST(SpaceTable, LongMatricesAndManySlots) {
  // More rows than a block, more slots than a joint table's fast paths, from several threads.
  const std::vector<int> sizes(23, 2);
  const SpaceTable table = make_space(sizes, Pairs::kNeighbours, 9);
  std::mt19937_64 random(1);
  std::vector<std::int64_t> rows(3001 * sizes.size());
  for (auto& choice : rows) choice = static_cast<std::int64_t>(random() % 2);
  std::vector<double> latencies(3001), again(3001);
  std::thread other([&] { table.latency_us(std::span<const std::int64_t>(rows), again); });
  table.latency_us(std::span<const std::int64_t>(rows), latencies);
  other.join();
  EXPECT_EQ(latencies, again);
  for (std::size_t r = 0; r < latencies.size(); r += 97) {
    const std::vector<std::int32_t> row(rows.begin() + r * 23, rows.begin() + (r + 1) * 23);
    EXPECT_NEAR(latencies[r], testing::defined_latency(table, row), 1e-5 * latencies[r]);
  }
}

TEST(SpaceTable, FeatureSums) {
  SpaceTable table({2, 2}, {"a", "b"}, std::vector<double>{1, 10});
  table.set_choice(0, 1, std::vector<double>{2, 20});
  table.set_choice(1, 1, std::vector<double>{4, 40});
  table.set_pair(1, 1, 0, 1, std::vector<double>{0.5, -5});  // Slots in either order.
  std::vector<std::int32_t> rows(8);
  table.enumerate(0, rows);
  std::vector<double> sums(8);
  table.feature_sums(rows, std::vector<int>{1, 0}, sums);
  EXPECT_EQ(sums, (std::vector<double>{10, 1, 50, 5, 30, 3, 65, 7.5}));
  EXPECT_EQ(table.feature("b"), 1);
  EXPECT_EQ(table.configurations(), 4u);
}

TEST(SpaceTable, FormulaWithoutFeaturesOrCache) {
  SpaceTable table({2}, {"hot_us"}, std::vector<double>{5});
  table.set_choice(0, 1, std::vector<double>{3});
  LatencyFormula formula;
  formula.run_overhead_us = 1;
  formula.hot = 0;
  table.compile(formula);
  EXPECT_DOUBLE_EQ(table.latency_us(std::vector<std::int32_t>{0}), 6);
  EXPECT_DOUBLE_EQ(table.latency_us(std::vector<std::int32_t>{1}), 9);
  EXPECT_EQ(find_fastest(table, 5).latency_us, (std::vector<double>{6, 9}));
  EXPECT_EQ(sample_within(table, 6, 3, 1).rows, (std::vector<std::int32_t>{0, 0, 0}));
}

TEST(SpaceTable, EnumerationCountsLikeAnOdometer) {
  const SpaceTable table = make_space({2, 3}, Pairs::kNone, 1);
  std::vector<std::int32_t> rows(6);
  table.enumerate(2, rows);
  EXPECT_EQ(rows, (std::vector<std::int32_t>{0, 2, 1, 0, 1, 1}));
  EXPECT_THROW(table.enumerate(4, rows), Error);
  EXPECT_EQ(make_space(std::vector<int>(64, 2), Pairs::kNone, 1).configurations(),
            std::numeric_limits<std::uint64_t>::max());
}

TEST(SpaceTable, MistakesAreErrors) {
  const std::vector<double> one{1}, two{1, 2}, bad{std::nan("")};
  EXPECT_THROW(SpaceTable({}, {"a"}, one), Error);
  EXPECT_THROW(SpaceTable({0}, {"a"}, one), Error);
  EXPECT_THROW(SpaceTable({2}, {"a", "a"}, two), Error);
  EXPECT_THROW(SpaceTable({2}, {"a"}, two), Error);
  EXPECT_THROW(SpaceTable({2}, {"a"}, bad), Error);
  SpaceTable table({2, 3}, {"hot_us"}, one);
  EXPECT_THROW(table.set_choice(2, 0, one), Error);
  EXPECT_THROW(table.set_choice(0, 2, one), Error);
  EXPECT_THROW(table.set_choice(0, 0, two), Error);
  EXPECT_THROW(table.set_pair(0, 0, 0, 1, one), Error);
  EXPECT_THROW(table.feature("cold"), Error);
  std::vector<double> out(1);
  const std::vector<std::int32_t> row{0, 0};
  EXPECT_THROW(table.latency_us(row, out), Error);  // Not compiled.
  LatencyFormula formula;
  formula.hot = 4;
  EXPECT_THROW(table.compile(formula), Error);
  formula.hot = 0;
  table.compile(formula);
  table.latency_us(row, out);
  EXPECT_THROW(table.latency_us(std::vector<std::int32_t>{0}, out), Error);
  EXPECT_THROW(table.latency_us(std::vector<std::int32_t>{0, 3}, out), Error);
  EXPECT_THROW(table.latency_us(std::vector<std::int32_t>{-1, 0}, out), Error);
  EXPECT_THROW(table.latency_us(std::vector<std::int64_t>{0, std::int64_t{1} << 40}, out), Error);
  table.set_choice(0, 1, one);
  EXPECT_THROW(table.latency_us(row, out), Error);  // Changed since.
}

}  // namespace
}  // namespace mmt
