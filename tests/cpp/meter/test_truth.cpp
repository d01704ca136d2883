// Whole models on a fake engine: what the machine does meanwhile is not in their times.
#include "mmt/truth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "meter/bench_of_fakes.h"
#include "mmt/error.h"
#include "mmt/stats.h"
#include "support/fake_engine.h"

namespace mmt::testing {
namespace {

MeterItem item_of(const std::string& path) {
  MeterItem item;
  item.fingerprint = item.label = item.path = path;
  return item;
}

struct Models {
  FakeClock clock;
  FakeEngine engine{clock};
  std::vector<MeterItem> items;
  TruthOptions options;

  /// A model whose run takes `us`.
  FakeModel& add(double us) {
    const std::string path = "model" + std::to_string(items.size()) + ".mnn";
    FakeModel model = fake_model({{"conv", "Convolution", us, us}});
    model.run_overhead_us = 0;
    engine.program(path, std::move(model));
    items.push_back(item_of(path));
    return engine.model(path);
  }
  TruthReport measure() { return measure_truth(engine, items, {}, options, clock); }
};

TEST(Truth, IsWhatModelsTakeOnAQuietMachine) {
  Models models;
  for (const double us : {1000.0, 2000.0, 3500.0}) models.add(us);
  models.options.rounds = 6;
  const TruthReport report = models.measure();
  ASSERT_EQ(report.models.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const Truth& truth = report.models[i];
    EXPECT_EQ(truth.reason, "");
    EXPECT_EQ(truth.label, models.items[i].label);
    EXPECT_EQ(truth.total.count, 6);
    for (const double us : {truth.total.median_us, truth.half_a_us, truth.half_b_us}) {
      EXPECT_NEAR(us, (std::vector{1000.0, 2000.0, 3500.0}[i]), 1);
    }
  }
}

TEST(Truth, EveryRoundVisitsEveryModelInAnOrderOfItsOwn) {
  Models models;
  for (int i = 0; i < 6; ++i) models.add(60'000);  // Long ones: a turn ends within a round.
  models.options.rounds = 5;
  const TruthReport report = models.measure();
  const auto& visits = models.engine.visits;
  ASSERT_EQ(visits.size(), 6u + 5 * 6);  // The opening runs first.
  std::vector<std::vector<std::string>> orders;
  for (int round = 0; round < 5; ++round) {
    orders.emplace_back(visits.begin() + 6 + 6 * round, visits.begin() + 12 + 6 * round);
    std::vector<std::string> sorted = orders.back();
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(std::unique(sorted.begin(), sorted.end()), sorted.end());
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_EQ(report.drift.size(), 5u) << "so few models share one factor a round";
  const RunRequest last = models.engine.requests[models.items[0].path].back();
  EXPECT_EQ(last.runs, models.options.warm_runs + models.options.runs);
  EXPECT_EQ(last.displace_bytes, 0) << "models run as a user runs them";
}

TEST(Truth, AMachineThatChangesWithinARoundMakesNoModelSlower) {
  Models models;
  for (int i = 0; i < 30; ++i) models.add(4000 + 100 * i);
  models.options.rounds = 12;
  // A round takes about 7 s, a stretch with a factor of its own 2 s.
  models.engine.set_drift([](double s) { return 1 + 0.3 * std::sin(2 * std::numbers::pi * s / 30); });
  const TruthReport report = models.measure();
  const auto [slowest, fastest] = std::minmax_element(report.drift.begin(), report.drift.end());
  EXPECT_GT(*fastest / *slowest, 1.3);
  std::vector<double> shares;
  for (int i = 0; i < 30; ++i) {
    shares.push_back(report.models[static_cast<std::size_t>(i)].total.median_us / (4000 + 100 * i));
  }
  const double typical = median(shares);
  for (const double share : shares) EXPECT_NEAR(share / typical, 1, 0.03);
}

TEST(Truth, WhatIsUncertainInSingleVisitsIsNoDrift) {
  Models models;
  for (int i = 0; i < 5; ++i) models.add(60'000).noise = 0.05;  // Each takes a turn of its own.
  models.options.rounds = 12;
  double floor = 0;
  for (const Truth& truth : models.measure().models) floor += std::abs(truth.half_b_us / truth.half_a_us - 1) / 5;
  EXPECT_GT(floor, 0.005);
  EXPECT_LT(floor, 0.06);
}

TEST(Truth, AModelThatFailsIsNamedAndTheOthersGoOn) {
  Models models;
  models.add(1000);
  FakeModel& broken = models.add(1000);
  broken.run_failure = ErrorCode::kCrashed;
  broken.fail_at_run = 12;
  broken.failures = 1;
  models.add(2000);
  models.options.rounds = 8;
  const TruthReport report = models.measure();
  EXPECT_EQ(models.engine.restarts, 1);
  EXPECT_NE(report.models[1].reason, "");
  EXPECT_NEAR(report.models[0].total.median_us, 1000, 1);
  EXPECT_NEAR(report.models[2].total.median_us, 2000, 1);
  EXPECT_EQ(report.models[2].total.count, 8);
}

TEST(Truth, TooFewRoundsToTellANoiseFloorAreRefused) {
  Models models;
  models.add(1000);
  models.options.rounds = 1;
  EXPECT_THROW(models.measure(), Error);
}

/// Models with operators that are measured in the same rounds. Each touches 1 MiB.
struct Companions : Models {
  std::vector<MeterItem> companions;

  Companions(int count, double hot_us, double cold_us) {
    for (int i = 0; i < count; ++i) {
      const std::string path = "operator" + std::to_string(i) + ".mnn";
      engine.program(path, fake_model({{"kernel" + std::to_string(i), "Convolution", hot_us, cold_us}}));
      companions.push_back(item_of(path));
    }
  }
  TruthReport measure() {
    metering::Hooks hooks;
    hooks.plan = &plan_by_name;
    return metering::measure_truth_with(hooks, engine, items, companions, options, clock, {}, {});
  }
};

TEST(Truth, CompanionsAreOpenedThreeTimesAndModelsOnce) {
  Companions models(3, 100, 150);
  models.add(1000);
  models.add(2000);
  models.options.rounds = 12;
  const TruthReport report = models.measure();
  EXPECT_EQ(models.engine.opens, 2 + 3 * 3) << "where a session's data lies, is another time by chance";
  EXPECT_EQ(models.engine.live_sessions, 0);
  EXPECT_FALSE(models.engine.last_options[models.companions[0].path].independent) << "fed as when the table was made";
  EXPECT_TRUE(models.engine.last_options[models.items[0].path].independent);
  ASSERT_EQ(report.kernels.size(), 3u);
  for (const FreshKernel& kernel : report.kernels) {
    EXPECT_NEAR(kernel.hot.median_us, 100, 0.1) << kernel.key;
    EXPECT_NEAR(kernel.cold.median_us, 150, 0.1) << kernel.key;
    EXPECT_EQ(kernel.cold.count, 12) << kernel.key;
  }
}

TEST(Truth, EveryRoundRunsAChainLikeEachModelButFewerWhereTheyTakeLong) {
  constexpr int kRounds = 4, kPoints = 6;  // As many bytes as each of two models, in four kinds of times.
  for (const auto& [operator_us, chains] : {std::pair{1e3, kPoints}, {400e3, 3}}) {
    Companions models(20, operator_us, operator_us);
    for (const double times : {8, 9}) models.add(times * operator_us).memory_mib = 8;
    models.options.rounds = kRounds;
    models.options.cache_bytes = 32 << 20;
    models.measure();
    EXPECT_EQ(models.engine.chains, kRounds * chains) << operator_us << " us";
  }
}

}  // namespace
}  // namespace mmt::testing
