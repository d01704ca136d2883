#include "mmt/predict.h"

#include <gtest/gtest.h>

#include <cmath>

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
  EXPECT_EQ(large.cold_share, 0.92);
  EXPECT_DOUBLE_EQ(large.latency_us, 10 + 2 * 0.5 + 2 * 20 + 0.92 * (0.8 + 1) * 10) << "the first reads the input";
}

TEST(CostModel, TheTablesChainsTellHowColdARunIs) {
  ConfigRow config;
  config.run.l3_bytes = 32 << 20;
  const CostModel usual = CostModel::from(config);
  config.cache.bytes = {4 << 20, 8 << 20, 16 << 20, 32 << 20, 64 << 20};
  config.cache.extra_us = {0, 0.1e6, 0.5e6, 0.4e6, 1.3e6};
  config.cache.cold_extra_us = {1e6, 1e6, 1e6, 1e6, 1e6};
  const CostModel measured = CostModel::from(config);
  EXPECT_NEAR(measured.cold_share(8 << 20), 0.1, 0.01);
  EXPECT_NEAR(measured.cold_share(16 << 20), 0.45, 0.01);
  EXPECT_NEAR(measured.cold_share(12 << 20), 0.1 + 0.35 * std::log2(1.5), 0.01);
  EXPECT_NEAR(measured.cold_share(32 << 20), 0.45, 0.01) << "more bytes never make anything warmer";
  EXPECT_DOUBLE_EQ(measured.cold_share(1e12), 1);
  EXPECT_EQ(measured.cold_share(0), 0);
  double last = 0;
  for (double bytes = 1e4; bytes < 1e10; bytes *= 1.3) {
    EXPECT_GE(measured.cold_share(bytes), last);
    last = measured.cold_share(bytes);
  }
  config.run.config.threads = 2;
  EXPECT_EQ(CostModel::from(config).cold_share(64 << 20), 0) << "cold times hold the pool's wake-up";
  config.run.config.threads = 1;
  // Chains that hardly told anything leave what is usual.
  config.cache.extra_us.assign(5, 1);
  config.cache.cold_extra_us.assign(5, 1);
  EXPECT_NEAR(CostModel::from(config).cold_share(16 << 20), usual.cold_share(16 << 20), 0.01);
}

KernelSignature convolution(const std::string& attributes, const std::string& shapes) {
  KernelSignature kernel;
  kernel.type = "Convolution";
  kernel.attributes = attributes;
  kernel.text = "Convolution{" + attributes + "} " + shapes;
  return kernel;
}

TEST(CostModel, WeightsAreColdAndWhatWasJustWrittenIsNot) {
  const CostModel model;
  KernelSignature kernel;
  kernel.type = "BinaryOp";
  EXPECT_EQ(model.still_cold(kernel), 0);
  kernel.output_bytes = 4096;
  EXPECT_LT(model.still_cold(kernel), 0.5);
  EXPECT_GT(model.still_cold(kernel, true), 0.7) << "the model's input was written before its run";
  double last = model.still_cold(kernel);
  for (kernel.weight_bytes = 512; kernel.weight_bytes < 1 << 20; kernel.weight_bytes *= 2) {
    EXPECT_GT(model.still_cold(kernel), last);
    last = model.still_cold(kernel);
  }
  EXPECT_GT(last, 0.95);
  kernel.attributes = "kernel_x=5,kernel_y=3";
  EXPECT_LT(model.still_cold(kernel), last) << "its scratch has a part in the difference";
}

// A Winograd convolution of 64 to 64 channels holds 16 to 36 numbers for each 9 of the file.
TEST(CostModel, WeightsCountInTheFormThatTheEngineKeeps) {
  const CostModel model;
  KernelSignature kernel =
      convolution("pad_x=1,pad_y=1,kernel_x=3,kernel_y=3,pads=1x1x1x1", "[1,64,28,28]c4 -> [1,64,28,28]c4");
  kernel.weight_bytes = 64 * 64 * 9 * 4;
  EXPECT_GT(model.footprint_bytes(kernel), 1.7 * static_cast<double>(kernel.weight_bytes));
  kernel = convolution("pad_x=1,pad_y=1,kernel_x=3,kernel_y=3,stride_x=2,stride_y=2,pads=1x1x1x1",
                       "[1,64,28,28]c4 -> [1,64,14,14]c4");
  kernel.weight_bytes = 64 * 64 * 9 * 4;
  EXPECT_LT(model.footprint_bytes(kernel), 1.1 * static_cast<double>(kernel.weight_bytes));
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
