#include "mmt/predict.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

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

TEST(Predict, KernelsOfATypeThatTheTableLacksAreEstimatedFromOthers) {
  FakeTable table = table_with_overheads();
  const auto add = [&](const std::string& type, std::int64_t weights, std::int64_t moved, double us) {
    const auto row = table.find_kernel(table.add_kernel(type, "", "[1,16,8,8] -> [1,16,8,8]", us, us));
    const auto changed = std::const_pointer_cast<KernelRow>(row);
    changed->weight_bytes = weights;
    changed->input_bytes = changed->output_bytes = moved / 2;
  };
  add("BinaryOp", 0, 1'000'000, 50);  // 20 GB/s
  add("Convolution", 4 * 16 * 16, 8192, 16);
  const auto estimated = [&](const std::string& type, std::int64_t weights, std::int64_t moved) {
    ModelPlan plan;
    plan.nodes.resize(1);
    plan.kernels.resize(1);
    KernelSignature& signature = plan.kernels[0].signature;
    signature.key = "lacking";
    signature.type = type;
    signature.text = type + " [1,16,8,8] -> [1,16,8,8]";
    signature.weight_bytes = weights;
    signature.input_bytes = signature.output_bytes = moved / 2;
    plan.kernels[0].node = 0;
    return predict(plan, table).kernels.at(0).hot_us;
  };
  EXPECT_NEAR(estimated("ReLU", 0, 1'000'000), 50, 1) << "moves as many bytes as the addition";
  EXPECT_NEAR(estimated("Softmax", 0, 1'000'000), 250, 1) << "does more than moving";
  EXPECT_NEAR(estimated("ConvolutionDepthwise", 4 * 16 * 9, 8192), 16 * std::pow(9.0 / 16, 0.95) * 4, 1);
}

TEST(Predict, ASmallModelStaysHotAndALargeOneIsCold) {
  FakeTable table = table_with_overheads();
  const std::string key = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  const Prediction small = predict(plan_of(table, {key, key}, 1000), table);
  EXPECT_LT(small.cold_share, 0.001);
  EXPECT_NEAR(small.latency_us, 10 + 2 * 0.5 + 2 * 20, 0.01);
  const Prediction large = predict(plan_of(table, std::vector<std::string>(16, key), 6 << 20), table);
  EXPECT_GT(large.cold_share, 0.999);
  EXPECT_NEAR(large.latency_us, 10 + 16 * 0.5 + 16 * 20 + 16 * 10, 0.02);
}

TEST(Predict, KernelsThatBranchOnValuesAreNamedAndWidenTheInterval) {
  FakeTable table = table_with_overheads();
  const std::string select = table.add_kernel("Select", "", "[8] -> [8]", 100, 100);
  const std::string other = table.add_kernel("ReLU", "", "[8] -> [8]", 100, 100);
  const Prediction unsure = predict(plan_of(table, {select}, 0), table);
  const Prediction sure = predict(plan_of(table, {other}, 0), table);
  EXPECT_EQ(unsure.flags, "values");
  EXPECT_EQ(sure.flags, "");
  EXPECT_NEAR(unsure.latency_us, sure.latency_us, 1e-9);
  EXPECT_GT(unsure.high_us - unsure.low_us, 0.9 * 100);
  EXPECT_LT(sure.high_us - sure.low_us, 0.2 * 100);
}

TEST(Predict, WeightsThatARunReadsAgainAreLessCold) {
  FakeTable table = table_with_overheads();
  // The same weights of 2 MB in Winograd's form, for 4 tiles and for 64.
  const auto add = [&](const std::string& edge) {
    const std::string image = "[1,96," + edge + "," + edge + "]c4";
    return table.add_kernel("Convolution", "kernel_x=3,kernel_y=3,pads=1x1x1x1", image + " -> " + image, 300, 200);
  };
  const std::string small = add("8"), large = add("48");
  const auto predicted = [&](const std::string& key) {
    ModelPlan plan = plan_of(table, std::vector<std::string>(12, key), 4 * 96 * 96 * 9);
    for (PlanKernel& kernel : plan.kernels) kernel.signature.text = table.find_kernel(key)->text;
    for (PlanKernel& kernel : plan.kernels) kernel.signature.attributes = table.find_kernel(key)->attributes;
    return predict(plan, table);
  };
  const Prediction once = predicted(small), again = predicted(large);
  ASSERT_GT(once.cold_share, 0.05);
  ASSERT_LT(once.cold_share, 0.95);
  EXPECT_NEAR(once.sums.cold_extra_us, 1200, 1e-6);
  EXPECT_NEAR(again.sums.reread_extra_us, 1200, 1e-6);
  EXPECT_EQ(again.sums.cold_extra_us, 0);
  EXPECT_GT(again.reread_share, 0);
  EXPECT_LT(again.reread_share, again.cold_share);
  EXPECT_NEAR(once.latency_us, 10 + 12 * 200.5 + once.cold_share * 1200, 1e-6);
  EXPECT_NEAR(again.latency_us, 10 + 12 * 200.5 + again.reread_share * 1200, 1e-6);
  double kernels = again.run_overhead_us;
  for (const KernelCost& cost : again.kernels) kernels += cost.us;
  EXPECT_NEAR(kernels, again.latency_us, 1e-6);
}

TEST(Predict, TablesOfEarlierVersionsAreNamed) {
  FakeTable table = table_with_overheads();
  const std::string key = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  EXPECT_EQ(predict(plan_of(table, {key}, 1000), table).flags, "");
  table.config_.run.displace_bytes = 0;
  EXPECT_EQ(predict(plan_of(table, {key}, 1000), table).flags, "earlier_version");
}

TEST(CostModel, AColdKernelAddsWhatItsColdRunTakesBeyondItsHotOne) {
  CostModel model;
  EXPECT_EQ(model.cold_extra_us(100, 130), 30);
  EXPECT_EQ(model.cold_extra_us(100, 90), 0) << "colder is never quicker";
  model.cold_kernel_extra_us = 0.5;
  EXPECT_EQ(model.cold_extra_us(100, 130), 30.5);
}

TEST(Predict, MemoryThatAKernelIsTheFirstToUseIsAsColdAsWeights) {
  FakeTable table = table_with_overheads();
  const std::string key = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  ModelPlan plan = plan_of(table, {key, key}, 30 << 20);
  plan.kernels[0].signature.output_bytes = plan.kernels[1].signature.output_bytes = 2 << 20;
  const Prediction without = predict(plan, table);
  table.config_.cold_us_per_mib = 40;
  const Prediction with = predict(plan, table);
  EXPECT_GT(with.cold_share, 0.9);
  EXPECT_NEAR(with.latency_us - without.latency_us, with.cold_share * 12, 0.03) << "two MiB at 0.15 of the price";
  EXPECT_NEAR(with.kernels[0].memory_us, 12, 1e-9);
  EXPECT_EQ(with.kernels[1].memory_us, 0);
  double sum = with.run_overhead_us;
  for (const KernelCost& cost : with.kernels) sum += cost.us;
  EXPECT_NEAR(sum, with.latency_us, 1e-9);
}

TEST(Predict, ATensorThatIsReadAgainLongAfterItWasWrittenIsCold) {
  FakeTable table = table_with_overheads();
  const std::string key = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  ModelPlan plan = plan_of(table, {key, key, key, key}, 30 << 20);
  for (PlanKernel& kernel : plan.kernels) kernel.signature.input_bytes = kernel.signature.output_bytes = 1 << 20;
  table.config_.cold_us_per_mib = 40;
  for (std::size_t k = 1; k < 4; ++k) plan.kernels[k].reads = {static_cast<int>(k) - 1};
  const Prediction straight = predict(plan, table);
  for (const KernelCost& cost : straight.kernels) EXPECT_EQ(cost.return_us, 0) << "what was just written";
  plan.kernels[3].reads = {0, 2};
  const Prediction skipping = predict(plan, table);
  EXPECT_NEAR(skipping.kernels[3].return_us, 0.5 * 40 * CostModel::from(table.config_).cold.share(30 << 20), 0.3)
      << "one MiB, last read 30 before";
  EXPECT_NEAR(skipping.latency_us - straight.latency_us, skipping.kernels[3].return_us, 1e-3);
  plan.kernels[1].reads = {};
  plan.kernels[3].reads = {0, 1, 2};
  const Prediction twice = predict(plan, table);
  EXPECT_NEAR(twice.kernels[3].return_us, 0.5 * 40, 0.3) << "60 MiB after it was written";
  plan.kernels[2].reads = {0, 1};
  EXPECT_EQ(predict(plan, table).kernels[3].return_us, 0) << "just read";
  double sum = twice.run_overhead_us;
  for (const KernelCost& cost : twice.kernels) sum += cost.us;
  EXPECT_NEAR(sum, twice.latency_us, 1e-9);
}

TEST(Predict, WhatTakesLongerIsColder) {
  FakeTable table = table_with_overheads();
  const std::string quick = table.add_kernel("Convolution", "", "[1] -> [1]", 30, 20);
  const std::string slow = table.add_kernel("Convolution", "", "[1] -> [2]", 3010, 3000);
  const Prediction a = predict(plan_of(table, {quick, quick}, 8 << 20), table);
  const Prediction b = predict(plan_of(table, {slow, slow}, 8 << 20), table);
  EXPECT_DOUBLE_EQ(a.sums.footprint_bytes, b.sums.footprint_bytes);
  EXPECT_GT(b.cold_share, a.cold_share + 0.1) << "others use the caches too";
}

/// Chains at these points whose kernels pay what `curve` says.
CacheCurve chains_of(const ColdCurve& curve, double weight_us) {
  CacheCurve chains;
  for (const double mib : {2, 4, 8, 16, 32}) {
    for (const double us_per_mib : {150, 300, 600}) {
      chains.bytes.push_back(mib * 1024 * 1024);
      chains.loop_us.push_back(us_per_mib * mib);
      const double others = curve.others_bytes_per_us * chains.loop_us.back();
      chains.extra_us.push_back(weight_us * curve.share(chains.bytes.back() + others));
      chains.cold_extra_us.push_back(weight_us);
    }
  }
  return chains;
}

TEST(ColdCurve, RisesFromNothingToAll) {
  const ColdCurve curve{3000, 2e7, 1.6};
  EXPECT_EQ(curve.share(0), 0);
  EXPECT_NEAR(curve.share(2e7), 1 - std::exp(-1.0), 1e-12);
  EXPECT_NEAR(curve.share(1e9), 1, 1e-12);
  double last = 0;
  for (double bytes = 1e4; bytes < 1e10; bytes *= 1.3) {
    EXPECT_GE(curve.share(bytes), last);
    last = curve.share(bytes);
  }
  EXPECT_EQ(ColdCurve{}.share(1e12), 0);
}

/// How far λ of the curve that is fitted to chains lies from that of the one that made them, at worst.
double largest_miss(const ColdCurve& made) {
  const CacheCurve chains = chains_of(made, 5000);
  const ColdCurve fitted = ColdCurve::fit(chains, 32 << 20);
  double largest = 0;
  for (std::size_t i = 0; i < chains.bytes.size(); ++i) {
    const double made_share = made.share(chains.bytes[i] + made.others_bytes_per_us * chains.loop_us[i]);
    const double share = fitted.share(chains.bytes[i] + fitted.others_bytes_per_us * chains.loop_us[i]);
    largest = std::max(largest, std::abs(share - made_share));
  }
  return largest;
}

TEST(ColdCurve, ChainsGiveBackTheScaleThatMadeThem) {
  for (const double scale : {1.2e7, 1.8e7, 2.5e7, 3.5e7, 5e7}) EXPECT_LT(largest_miss({2500, scale, 2}), 0.04) << scale;
  for (const double scale : {1.8e7, 2.5e7, 3.5e7}) EXPECT_LT(largest_miss({2500, scale, 2}), 0.02) << scale;
}

TEST(ColdCurve, WeightsThatAreReadSeveralTimesTellWhereNoOthersDo) {
  for (const ColdCurve& made : {ColdCurve{2500, 2.5e7, 2, 3}, ColdCurve{5000, 2e7, 3, 2}, ColdCurve{1500, 3e7, 2, 5}}) {
    CacheCurve chains = chains_of(made, 0);
    for (std::size_t i = 0; i < chains.bytes.size(); ++i) {
      const double others = made.others_bytes_per_us * chains.loop_us[i];
      chains.reread_extra_us.push_back(5000 * made.reread_share(chains.bytes[i] + others));
      chains.reread_cold_extra_us.push_back(5000);
    }
    const ColdCurve fitted = ColdCurve::fit(chains, 32 << 20);
    for (std::size_t i = 0; i < chains.bytes.size(); ++i) {
      const double bytes = chains.bytes[i] + fitted.others_bytes_per_us * chains.loop_us[i];
      EXPECT_NEAR(fitted.reread_share(bytes), chains.reread_extra_us[i] / 5000, 0.06) << i;
    }
  }
}

TEST(ColdCurve, ChainsThatAreQuickerThanHotRunsTellOfALittleAtMost) {
  const CacheCurve made = chains_of({2500, 2.5e7, 2}, 5000);
  const auto with_small_ones_at = [&](double share) {
    CacheCurve chains = made;
    for (std::size_t i = 0; i < 6; ++i) chains.extra_us[i] = share * chains.cold_extra_us[i];
    return ColdCurve::fit(chains, 32 << 20);
  };
  EXPECT_EQ(with_small_ones_at(-0.5), with_small_ones_at(-0.3)) << "no more is told by how much";
  const ColdCurve quicker = with_small_ones_at(-0.3), little = with_small_ones_at(-0.03);
  EXPECT_GT(quicker.depth, little.depth);
  EXPECT_LT(quicker.share(2e6), 0);
  EXPECT_GT(quicker.share(2e6), -0.1);
  EXPECT_NEAR(quicker.share(1e9), 1, 1e-9);
  EXPECT_GE(quicker.reread_share(2e6), 0);
  EXPECT_LT(with_small_ones_at(0).depth, 0.5 * quicker.depth);
}

TEST(ColdCurve, OtherTrafficAndSteepnessAreMetAsFarAsTheScaleCan) {
  for (const ColdCurve& made : {ColdCurve{1800, 2.6e7, 1.6}, ColdCurve{3500, 3.5e7, 2.5}, ColdCurve{1500, 2.7e7, 2.6},
                                ColdCurve{2500, 3.4e7, 3}}) {
    EXPECT_LT(largest_miss(made), 0.1) << made.scale_bytes;
  }
}

/// What is left of the distance between the usual curve and that of chains once it is fitted to them.
double left_of_distance(const ColdCurve& made) {
  constexpr double kCache = 32 << 20;
  const CacheCurve chains = chains_of(made, 5000);
  const ColdCurve usual = ColdCurve::fit({}, kCache), fitted = ColdCurve::fit(chains, kCache);
  double apart = 0, usually_apart = 0;
  for (std::size_t i = 0; i < chains.bytes.size(); ++i) {
    const auto share_of = [&](const ColdCurve& curve) {
      return curve.share(chains.bytes[i] + curve.others_bytes_per_us * chains.loop_us[i]);
    };
    EXPECT_NEAR(share_of(fitted), share_of(made), 0.15);
    apart += std::abs(share_of(fitted) - share_of(made));
    usually_apart += std::abs(share_of(usual) - share_of(made));
  }
  return apart / usually_apart;
}

TEST(ColdCurve, UnusualChainsMoveItTowardsThem) {
  for (const ColdCurve& made : {ColdCurve{1000, 1.5e7, 1.1}, ColdCurve{5000, 1.7e7, 3}, ColdCurve{800, 7e7, 2.2},
                                ColdCurve{1000, 1.5e7, 1.2}, ColdCurve{4000, 2e7, 1.6}, ColdCurve{10000, 7e7, 2.2}}) {
    EXPECT_LT(left_of_distance(made), 0.5);
  }
}

TEST(ColdCurve, ChainsThatHardlyToldAnythingLeaveWhatIsUsual) {
  constexpr double kCache = 32 << 20;
  const ColdCurve usual = ColdCurve::fit({}, kCache);
  const ColdCurve fitted = ColdCurve::fit(chains_of({10000, 4.5e7, 2.2}, 0.01), kCache);
  EXPECT_NEAR(fitted.scale_bytes / usual.scale_bytes, 1, 0.01);
  EXPECT_NEAR(fitted.others_bytes_per_us / usual.others_bytes_per_us, 1, 0.01);
  CacheCurve without_time = chains_of({10000, 4.5e7, 2.2}, 5000);
  without_time.loop_us.clear();
  EXPECT_EQ(ColdCurve::fit(without_time, kCache), usual) << "as tables of earlier versions have it";
  EXPECT_NEAR(ColdCurve::fit({}, 2 * kCache).scale_bytes, 2 * usual.scale_bytes, 1) << "it goes with the cache's size";
}

TEST(ColdCurve, StaysSaneWhateverChainsSay) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> any(-3, 3);
  for (int trial = 0; trial < 200; ++trial) {
    CacheCurve chains = chains_of({3000, 3e7, 1.6}, 1000);
    for (double& extra : chains.extra_us) extra *= any(random);
    for (double& us : chains.loop_us) us *= std::exp(any(random));
    if (trial % 3 == 0) chains.cold_extra_us[2] = 0;
    const ColdCurve fitted = ColdCurve::fit(chains, 32 << 20);
    EXPECT_TRUE(std::isfinite(fitted.others_bytes_per_us) && fitted.others_bytes_per_us >= 0);
    EXPECT_GT(fitted.scale_bytes, 0);
    for (const double bytes : {0.0, 1e3, 1e7, 1e12}) {
      EXPECT_GE(fitted.share(bytes), -0.1);
      EXPECT_LE(fitted.share(bytes), 1);
    }
  }
}

TEST(CostModel, TheTablesChainsTellHowColdARunIs) {
  ConfigRow config;
  config.run.l3_bytes = 32 << 20;
  const CostModel usual = CostModel::from(config);
  config.cache = chains_of({9000, 2.5e7, 2}, 5000);
  const CostModel measured = CostModel::from(config);
  PlanSums sums;
  sums.hot_us = 2000;
  sums.footprint_bytes = 6e6;
  EXPECT_GT(measured.cold_share(sums).once, usual.cold_share(sums).once + 0.1);
  EXPECT_EQ(CostModel::from(config).cold_share(sums).once, measured.cold_share(sums).once);
}

KernelSignature convolution(const std::string& attributes, const std::string& shapes) {
  KernelSignature kernel;
  kernel.type = "Convolution";
  kernel.attributes = attributes;
  kernel.text = "Convolution{" + attributes + "} " + shapes;
  return kernel;
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
