#include "mmt/predict.h"

#include <gtest/gtest.h>

#include "support/fake_table.h"

namespace mmt {
namespace {

using test::FakeTable;

ModelPlan plan_of(FakeTable& table, const std::vector<std::string>& keys, std::int64_t weight_bytes) {
  ModelPlan plan;
  plan.nodes.resize(1);
  for (const std::string& key : keys) {
    PlanKernel kernel;
    const auto row = table.find_kernel(key);
    kernel.signature.key = key;
    kernel.signature.type = row ? row->type : "Raster";
    kernel.signature.weight_bytes = weight_bytes;
    kernel.node = 0;
    plan.kernels.push_back(kernel);
  }
  return plan;
}

FakeTable table_with_overheads() {
  FakeTable table;
  table.config_.run_overhead_us = 10;
  table.config_.kernel_overhead_us = 0.5;
  table.config_.run.l2_bytes = 1 << 20;
  table.config_.run.l3_bytes = 32 << 20;
  return table;
}

TEST(Predict, ASmallModelStaysHotAndALargeOneIsCold) {
  FakeTable table = table_with_overheads();
  const std::string key = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  const Prediction small = predict(plan_of(table, {key, key}, 1000), table);
  EXPECT_DOUBLE_EQ(small.latency_us, 10 + 2 * 0.5 + 2 * 20);
  EXPECT_EQ(small.cold_share, 0);
  const Prediction large = predict(plan_of(table, {key, key}, 64 << 20), table);
  EXPECT_DOUBLE_EQ(large.latency_us, 10 + 2 * 0.5 + 2 * 30);
  EXPECT_EQ(large.cold_share, 1);
}

TEST(Predict, TheBreakdownAddsUpToTheWhole) {
  FakeTable table = table_with_overheads();
  const std::string a = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  const std::string b = table.add_kernel("BinaryOp", "", "[1] -> [1]", 3, 2);
  const Prediction prediction = predict(plan_of(table, {a, b, a}, 3 << 20), table);
  double sum = prediction.run_overhead_us;
  for (const KernelCost& cost : prediction.kernels) sum += cost.us;
  EXPECT_NEAR(sum, prediction.latency_us, 1e-9);
  EXPECT_NEAR(prediction.node_us[0] + prediction.run_overhead_us, prediction.latency_us, 1e-9);
  EXPECT_LT(prediction.low_us, prediction.latency_us);
  EXPECT_GT(prediction.high_us, prediction.latency_us);
}

TEST(Predict, AnAbsentKernelIsEstimatedFromItsLikesAndWidensTheInterval) {
  FakeTable table = table_with_overheads();
  table.add_kernel("Raster", "", "[1,8] -> [1,8]", 4, 4);
  const std::string known = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  const Prediction sure = predict(plan_of(table, {known}, 100), table);
  ModelPlan plan = plan_of(table, {known}, 100);
  PlanKernel absent;
  absent.signature.type = "Raster";
  absent.signature.key = "0123456789abcdef0123456789abcdef";
  absent.signature.input_bytes = absent.signature.output_bytes = 32;
  absent.node = 0;
  plan.kernels.push_back(absent);
  const Prediction unsure = predict(plan, table);
  EXPECT_TRUE(unsure.kernels[1].estimated);
  EXPECT_GT(unsure.kernels[1].us, 0);
  EXPECT_NE(unsure.flags.find("estimated"), std::string::npos);
  EXPECT_GT((unsure.high_us - unsure.low_us) / unsure.latency_us, (sure.high_us - sure.low_us) / sure.latency_us);
}

TEST(Predict, EstimatesAreNeverZeroEvenInAnEmptyTable) {
  FakeTable table = table_with_overheads();
  ModelPlan plan;
  plan.nodes.resize(1);
  PlanKernel absent;
  absent.signature.type = "Something";
  absent.node = 0;
  plan.kernels.push_back(absent);
  EXPECT_GT(predict(plan, table).kernels[0].us, 0);
}

}  // namespace
}  // namespace mmt
