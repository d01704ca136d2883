// Failures, disturbances, budgets and interruptions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "meter/bench_of_fakes.h"
#include "meter/drift.h"

namespace mmt {
namespace {

using testing::Bench;
using testing::FakeKernel;
using ::testing::HasSubstr;
using ::testing::StartsWith;

void add_models(Bench& bench, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string name = "m" + std::to_string(i);
    bench.add(name, {FakeKernel(name, "Convolution", 100 + i, 150 + i)});
  }
}

struct Failure {
  const char* name;
  ErrorCode code;
  bool at_open;
  int fail_at_run;
};

class MeterFailures : public ::testing::TestWithParam<Failure> {};

TEST_P(MeterFailures, OneModelFailsAndTheRunGoesOn) {
  const Failure& failure = GetParam();
  for (const int bad : {0, 3}) {  // Number 0 is the reference.
    Bench bench;
    add_models(bench, 6);
    testing::FakeModel& model = bench.engine.model("m" + std::to_string(bad));
    (failure.at_open ? model.open_failure : model.run_failure) = failure.code;
    model.fail_at_run = failure.fail_at_run;
    const MeterResult result = bench.run();
    EXPECT_EQ(result.failed, 1);
    EXPECT_EQ(result.measured, 5);
    ASSERT_EQ(bench.profiles.size(), 6u);
    const ModelProfile& profile = bench.profile("m" + std::to_string(bad));
    EXPECT_EQ(profile.status, "failed");
    EXPECT_THAT(profile.reason, StartsWith(error_code_name(failure.code)));
    EXPECT_THAT(profile.reason, HasSubstr("m" + std::to_string(bad)));
    const bool loses_worker = failure.code == ErrorCode::kCrashed || failure.code == ErrorCode::kTimeout;
    EXPECT_EQ(bench.engine.restarts, loses_worker ? 2 : 0);
    for (int i = 0; i < 6; ++i) {
      if (i == bad) continue;
      EXPECT_NEAR(bench.profile("m" + std::to_string(i)).hot.median_us, 102 + i, 0.01);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Meter, MeterFailures,
                         ::testing::Values(Failure{"refused", ErrorCode::kEngine, true, 0},
                                           Failure{"missing", ErrorCode::kNotFound, true, 0},
                                           Failure{"crash_at_open", ErrorCode::kCrashed, true, 0},
                                           Failure{"hang_at_open", ErrorCode::kTimeout, true, 0},
                                           Failure{"first_run", ErrorCode::kEngine, false, 0},
                                           Failure{"later_run", ErrorCode::kEngine, false, 9},
                                           Failure{"crash_at_first_run", ErrorCode::kCrashed, false, 0},
                                           Failure{"crash_later", ErrorCode::kCrashed, false, 12},
                                           Failure{"hang_later", ErrorCode::kTimeout, false, 12}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(MeterTrouble, WarmingUpLeavesASlowDeviceTimeToMeasure) {
  Bench bench;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "m" + std::to_string(i);
    bench.add(name, {FakeKernel(name, "Convolution", 1e6, 1.2e6)});
  }
  bench.options.budget = std::chrono::seconds(1000);  // A round of all takes 576.
  const MeterResult result = bench.run();
  EXPECT_TRUE(result.budget_ended);
  EXPECT_EQ(result.measured, 40);
}

TEST(MeterTrouble, OneCrashIsForgiven) {
  Bench bench;
  add_models(bench, 5);
  bench.engine.model("m2").run_failure = ErrorCode::kCrashed;
  bench.engine.model("m2").fail_at_run = 7;
  bench.engine.model("m2").failures = 1;
  const MeterResult result = bench.run();
  EXPECT_EQ(result.failed, 0);
  EXPECT_EQ(result.measured, 5);
  EXPECT_EQ(bench.engine.restarts, 1);
  EXPECT_NEAR(bench.profile("m2").hot.median_us, 104, 0.01);
}

// Wherever a model crashes once, in a visit or in a chain, all are measured; only a chain's crash ends the chains.
TEST(MeterTrouble, ACrashInAChainEndsTheChainsAndNothingElse) {
  std::set<double> chained_us;  // Cold time that the chains looked at.
  for (int fail_at_run = 0; fail_at_run < 40; ++fail_at_run) {
    Bench bench;
    for (int i = 0; i < 12; ++i) {
      const std::string name = "m" + std::to_string(i);
      bench.add(name, {{name + "_conv", "Convolution", 100, 150}});
    }
    bench.options.cache_bytes = 4 << 20;  // A model takes 1 MiB: chains of 1, 2, 4 and 8.
    auto& broken = bench.engine.model("m" + std::to_string(fail_at_run % 12));  // Not all are part of a chain.
    broken.run_failure = ErrorCode::kCrashed;
    broken.fail_at_run = fail_at_run;
    broken.failures = 1;
    const MeterResult result = bench.run();
    EXPECT_EQ(result.measured, 12) << fail_at_run;
    EXPECT_EQ(result.failed, 0);
    EXPECT_EQ(bench.engine.restarts, 1);
    chained_us.insert(std::accumulate(result.cache.cold_extra_us.begin(), result.cache.cold_extra_us.end(), 0.0));
  }
  ASSERT_GT(chained_us.size(), 1u);
  EXPECT_LT(*chained_us.begin(), *chained_us.rbegin() / 2) << "one of the crashes was in an early chain";
}

TEST(MeterTrouble, AReferenceThatDoesNotRunIsReplaced) {
  Bench bench;
  add_models(bench, 4);
  bench.options.reference = "nowhere.mnn";
  const MeterResult result = bench.run();
  EXPECT_EQ(result.measured, 4);
  EXPECT_EQ(result.failed, 0);
  for (const ModelProfile& profile : bench.profiles) EXPECT_GT(profile.reference_us, 0);
}

TEST(MeterTrouble, AHangingModelThatIsAlsoTheReferenceHangsOnlyTwice) {
  Bench bench;
  add_models(bench, 4);
  bench.options.reference = "m0";
  bench.engine.model("m0").open_failure = ErrorCode::kTimeout;
  const MeterResult result = bench.run();
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(result.measured, 3);
  EXPECT_EQ(bench.engine.restarts, 2);
}

TEST(MeterTrouble, EveryModelMayFail) {
  Bench bench;
  add_models(bench, 3);
  for (int i = 0; i < 3; ++i) bench.engine.model("m" + std::to_string(i)).open_failure = ErrorCode::kEngine;
  const MeterResult result = bench.run();
  EXPECT_EQ(result.failed, 3);
  EXPECT_EQ(bench.profiles.size(), 3u);
}

TEST(MeterTrouble, ConstantStealIsFlaggedAndDoesNotTakeForever) {
  Bench calm, stolen;
  for (Bench* bench : {&calm, &stolen}) {
    for (int i = 0; i < 8; ++i) {
      const std::string name = "m" + std::to_string(i);
      bench->add(name, {FakeKernel(name, "Convolution", 3000, 4000)});
    }
  }
  stolen.engine.set_steal([](double) { return 0.15; });
  stolen.engine.set_migrations([](double) { return 1; });
  calm.run();
  const MeterResult result = stolen.run();
  EXPECT_EQ(result.measured, 8);
  EXPECT_LT(stolen.engine.runs, 6 * calm.engine.runs);
  for (const ModelProfile& profile : stolen.profiles) EXPECT_EQ(profile.flags, "steal,migrated");
}

TEST(MeterTrouble, ThrottlingIsWaitedOut) {
  Bench bench;
  for (int i = 0; i < 8; ++i) {
    const std::string name = "m" + std::to_string(i);
    bench.add(name, {FakeKernel(name, "Convolution", 2000, 3000)});
  }
  const auto throttles = [&] {
    const double s = std::chrono::duration<double>(bench.clock.now()).count();
    return s > 0.4 && s < 20;
  };
  bench.engine.set_drift([&](double) { return throttles() ? 2.0 : 1.0; });
  bench.hooks.throttled = throttles;
  bench.options.cooldown = std::chrono::seconds(60);
  const MeterResult result = bench.run();
  EXPECT_GT(result.wall_s, 19);
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_EQ(profile.flags, "");
    EXPECT_NEAR(profile.hot.median_us, 2002, 2);
  }
}

TEST(MeterTrouble, ThrottlingIsFlaggedWhereNobodyWaits) {
  Bench bench;
  add_models(bench, 8);
  bench.hooks.throttled = [] { return true; };
  bench.run();
  for (const ModelProfile& profile : bench.profiles) EXPECT_EQ(profile.flags, "throttled");
}

TEST(MeterTrouble, TwoModesAreFlagged) {
  Bench bench;
  add_models(bench, 4);
  // All others drift alike; this one has two speeds of its own.
  int toggle = 0;
  bench.add("two", {FakeKernel("two", "Convolution", 1000, 1000)});
  bench.options.min_times = 30;
  bench.engine.set_drift([&](double) { return 1.0; });
  bench.engine.model("two").kernels[0].hot_us = 1000;
  bench.stop = [&] {
    bench.engine.model("two").kernels[0].hot_us = bench.engine.model("two").kernels[0].cold_us =
        toggle++ % 2 ? 1000 : 1300;
    return false;
  };
  bench.run();
  EXPECT_THAT(bench.profile("two").flags, HasSubstr("bimodal"));
  EXPECT_TRUE(bench.profile("two").hot.noisy);
  EXPECT_EQ(bench.profile("m1").flags, "");
}

TEST(MeterTrouble, TheBudgetEndsTheRunWithWhatThereIs) {
  Bench bench;
  add_models(bench, 40);
  for (int i = 0; i < 40; ++i) bench.engine.model("m" + std::to_string(i)).noise = 0.2;
  bench.options.times = 1000;
  bench.options.budget = std::chrono::milliseconds(1200);
  const MeterResult result = bench.run();
  EXPECT_TRUE(result.budget_ended);
  EXPECT_NEAR(result.wall_s, 1.2, 0.02);
  EXPECT_EQ(result.measured, 40);
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_THAT(profile.flags, HasSubstr("few"));
    EXPECT_GE(profile.cold.count, 3);
  }
}

TEST(MeterTrouble, ABudgetTooSmallForOneRoundLeavesTheRestForLater) {
  Bench bench;
  add_models(bench, 40);
  bench.options.budget = std::chrono::milliseconds(45);
  const MeterResult result = bench.run();
  EXPECT_TRUE(result.budget_ended);
  EXPECT_LT(result.measured, 40);
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_GE(profile.cold.count, 1);
    EXPECT_GE(profile.kernels[0].cold.count, 1);
  }
}

TEST(MeterTrouble, SlowOpeningLeavesHalfOfTheBudgetForRuns) {
  Bench bench;
  add_models(bench, 40);
  // A backend that compiles and tunes: opening all takes twice the budget.
  for (int i = 0; i < 40; ++i) bench.engine.model("m" + std::to_string(i)).open_us = 50'000;
  bench.options.budget = std::chrono::seconds(1);
  const MeterResult result = bench.run();
  EXPECT_TRUE(result.budget_ended);
  EXPECT_GE(result.measured, 10);
  EXPECT_LT(result.measured, 40);
  EXPECT_NEAR(result.wall_s, 1, 0.06);
}

TEST(MeterTrouble, ABudgetIsSpentWhereItHelps) {
  Bench bench;
  for (int i = 0; i < 10; ++i) {
    const std::string name = "m" + std::to_string(i);
    bench.add(name, {FakeKernel(name, "Convolution", 1000, 1500)}).noise = i < 5 ? 0.03 : 0.3;
  }
  bench.options.times = 100000;
  bench.options.target_ci = 0.0001;
  bench.options.budget = std::chrono::seconds(9);
  bench.run();
  int quiet = 0, loud = 0;
  for (int i = 0; i < 10; ++i) (i < 5 ? quiet : loud) += bench.profile("m" + std::to_string(i)).hot.count;
  EXPECT_GT(loud, 2 * quiet);
}

TEST(MeterTrouble, InterruptionKeepsWhatIsFinished) {
  Bench bench;
  add_models(bench, 10);
  for (int i = 5; i < 10; ++i) bench.engine.model("m" + std::to_string(i)).noise = 0.5;
  bench.stop = [&] { return bench.profiles.size() >= 5; };
  const MeterResult result = bench.run();
  EXPECT_TRUE(result.interrupted);
  EXPECT_GE(result.measured, 5);
  EXPECT_LT(result.measured, 10);
  EXPECT_EQ(bench.engine.live_sessions, 0);
  for (const ModelProfile& profile : bench.profiles) EXPECT_EQ(profile.flags, "");
}

TEST(MeterTrouble, AnEarlierRunsScaleIsKept) {
  Bench bench;
  add_models(bench, 8);
  bench.engine.set_drift([](double) { return 1.25; });  // The machine is slower today.
  bench.hooks.reference_us = 102;                       // Then, the first model took this.
  bench.run();
  for (int i = 0; i < 8; ++i) EXPECT_NEAR(bench.profile("m" + std::to_string(i)).hot.median_us, 102 + i, 0.05);
  EXPECT_NEAR(bench.profile("m3").reference_us, 127.5, 0.1);
}

TEST(Drift, AnOutlyingStretchIsDroppedAndARealChangeAccepted) {
  metering::DriftScale scale({0.02, 3, false});
  for (int row = 0; row < 12; ++row) scale.add_row();
  const auto stretch = [&](double speed) {
    scale.begin_column();
    for (int row = 0; row < 12; ++row) scale.add_cell(row, (10.0 + row) * speed);
    const bool accepted = scale.close_column();
    scale.fit();
    return accepted;
  };
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(stretch(1.0 + 0.001 * i));
  EXPECT_FALSE(stretch(1.5));
  EXPECT_TRUE(stretch(1.0));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(stretch(1.5));
  EXPECT_TRUE(stretch(1.5));  // It stays so: the scale follows.
  EXPECT_TRUE(scale.disturbance(scale.column()).drift);
  EXPECT_NEAR(scale.factors()[static_cast<std::size_t>(scale.column())], 1.5, 0.01);
  EXPECT_EQ(scale.rejected_columns(), 4);
}

TEST(Drift, AFitWhileAStretchBeginsIsTheFitBeforeIt) {
  const auto fitted = [](bool has_begun) {
    metering::DriftScale scale({0.02, 3, false});
    for (int row = 0; row < 12; ++row) scale.add_row();
    for (const double speed : {1.0, 1.05, 1.1, 1.08}) {
      scale.begin_column();
      for (int row = 0; row < 12; ++row) scale.add_cell(row, (10.0 + row) * speed);
      EXPECT_TRUE(scale.close_column());
      if (has_begun) scale.begin_column();
      scale.fit();
      scale.fix_anchor();  // After the first stretch: its level stays.
    }
    return std::vector<double>(scale.factors().begin(), scale.factors().end());
  };
  const std::vector<double> before = fitted(false), begun = fitted(true);
  ASSERT_EQ(before.size(), 4u);
  EXPECT_NEAR(before.front(), 1, 1e-9);
  EXPECT_NEAR(before.back(), 1.08, 1e-3);
  ASSERT_EQ(begun.size(), 5u);
  EXPECT_EQ(begun.back(), begun[3]) << "it begins where the one before it ended";
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(begun[i], before[i], 1e-9);
}

}  // namespace
}  // namespace mmt
