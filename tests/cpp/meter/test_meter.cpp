#include "mmt/meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "meter/bench_of_fakes.h"
#include "mmt/stats.h"

namespace mmt {
namespace {

using testing::Bench;
using testing::FakeKernel;
using ::testing::HasSubstr;
using ::testing::Not;

/// Twelve models of different sizes.
void add_a_dozen(Bench& bench) {
  for (int i = 0; i < 12; ++i) {
    const std::string name = "m" + std::to_string(i);
    const double us = 100.0 * (i + 1);
    bench.add(name,
              {FakeKernel(name + "/conv", "Convolution", us, 1.5 * us), FakeKernel(name + "/relu", "ReLU", 10, 12)});
  }
}

void expect_near_share(double value, double truth, double share) {
  EXPECT_NEAR(value / truth, 1.0, share) << value << " against " << truth;
}

TEST(Meter, RecoversKnownCostsExactly) {
  Bench bench;
  add_a_dozen(bench);
  const MeterResult result = bench.run();
  EXPECT_EQ(result.measured, 12);
  EXPECT_EQ(result.failed, 0);
  ASSERT_EQ(bench.profiles.size(), 12u);
  for (int i = 0; i < 12; ++i) {
    const ModelProfile& profile = bench.profile("m" + std::to_string(i));
    const double us = 100.0 * (i + 1);
    EXPECT_EQ(profile.status, "ok");
    EXPECT_EQ(profile.flags, "");
    // Times pass through single precision and the scale of an undisturbed run.
    expect_near_share(profile.hot.median_us, us + 10 + 2, 1e-5);
    expect_near_share(profile.cold.median_us, 1.5 * us + 12 + 2, 1e-5);
    ASSERT_EQ(profile.kernels.size(), 2u);
    expect_near_share(profile.kernels[0].hot.median_us, us, 1e-5);
    expect_near_share(profile.kernels[0].cold.median_us, 1.5 * us, 1e-5);
    expect_near_share(profile.kernels[1].cold.median_us, 12, 1e-5);
    EXPECT_GE(profile.cold.count, bench.options.min_times);
    EXPECT_LE(profile.cold.count, bench.options.times);
    EXPECT_DOUBLE_EQ(profile.memory_mib, 1);
    EXPECT_DOUBLE_EQ(profile.resident_mib, 1);
    EXPECT_EQ(profile.weight_bytes, 2 << 20);
  }
}

TEST(Meter, DriftNoiseOutliersAndStealAreRemoved) {
  Bench bench;
  add_a_dozen(bench);
  for (int i = 0; i < 12; ++i) bench.engine.model("m" + std::to_string(i)).noise = 0.02;
  bench.options.min_times = 24;
  // Slow drift of 4 %, and every second a fifth of a second that is 40 % slower with CPU time stolen.
  bench.engine.set_drift([](double s) { return (1 + 0.04 * std::sin(s)) * (std::fmod(s, 1.0) > 0.8 ? 1.4 : 1.0); });
  bench.engine.set_steal([](double s) { return std::fmod(s, 1.0) > 0.8 ? 0.3 : 0.0; });
  bench.run();
  // All rows stand on one scale: the ratio to the truth is the same for all of them.
  std::vector<double> ratios;
  for (int i = 0; i < 12; ++i) {
    const ModelProfile& profile = bench.profile("m" + std::to_string(i));
    const double us = 100.0 * (i + 1);
    ratios.push_back(profile.hot.median_us / (us + 12));
    ratios.push_back(profile.cold.median_us / (1.5 * us + 14));
    ratios.push_back(profile.kernels[0].cold.median_us / (1.5 * us));
  }
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  EXPECT_LT(*high / *low, 1.03);
  EXPECT_NEAR(*low, 1.0, 0.06);
}

TEST(Meter, RunsCountAsHotOnceTheDataHasSettled) {
  Bench bench;
  add_a_dozen(bench);
  for (int i = 0; i < 12; ++i) bench.engine.model("m" + std::to_string(i)).settling = 1.4;
  bench.run();
  for (int i = 0; i < 12; ++i) {
    const double us = 100.0 * (i + 1);
    const ModelProfile& profile = bench.profile("m" + std::to_string(i));
    expect_near_share(profile.hot.median_us, us + 12, 0.001);
    expect_near_share(profile.kernels[0].hot.median_us, us, 0.001);
    expect_near_share(profile.cold.median_us, 1.5 * us + 14, 0.001);
  }
}

TEST(Meter, AStepInSpeedDoesNotSplitTheTable) {
  Bench bench;
  add_a_dozen(bench);
  // Half of the models need many more rounds and are finished after the machine became 30 % slower.
  for (int i = 6; i < 12; ++i) bench.engine.model("m" + std::to_string(i)).noise = 0.03;
  bench.engine.set_drift([](double s) { return s > 1.0 ? 1.3 : 1.0; });
  const MeterResult result = bench.run();
  EXPECT_GT(result.wall_s, 1.0);
  for (int i = 0; i < 12; ++i) {
    const double us = 100.0 * (i + 1);
    expect_near_share(bench.profile("m" + std::to_string(i)).hot.median_us, us + 12, 0.02);
  }
}

TEST(Meter, StopsEarlyWhenQuietAndAtTimesWhenNot) {
  Bench quiet;
  add_a_dozen(quiet);
  quiet.run();
  Bench loud;
  add_a_dozen(loud);
  loud.options.times = 40;
  for (int i = 0; i < 12; ++i) loud.engine.model("m" + std::to_string(i)).noise = 0.3;
  loud.run();
  EXPECT_LT(quiet.engine.runs * 2, loud.engine.runs);
  for (const ModelProfile& profile : loud.profiles) {
    EXPECT_EQ(profile.cold.count, 40);
    EXPECT_TRUE(profile.cold.noisy);
    EXPECT_THAT(profile.flags, HasSubstr("noisy"));
    EXPECT_THAT(profile.flags, Not(HasSubstr("few")));
  }
}

TEST(Meter, VisitsThatOnlyWantAColdTimeMakeOneRun) {
  Bench bench;
  add_a_dozen(bench);
  bench.options.hot_runs = 20;  // Rounds take long, and hot times are known after the fourth.
  bench.run();
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_GE(profile.cold.count, 8) << "one each visit";
    EXPECT_GE(profile.hot.count, 4 * 20) << "twenty each visit, until they are known";
    EXPECT_LT(profile.hot.count, 15 * profile.cold.count);
  }
}

TEST(Meter, ColdTimesMayBeWiderThanHotOnes) {
  Bench bench;
  add_a_dozen(bench);
  bench.options.times = 2000;
  for (int i = 0; i < 12; ++i) bench.engine.model("m" + std::to_string(i)).noise = 0.05;
  bench.run();
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_LE(relative_half_width(profile.hot), 0.01);
    EXPECT_LE(relative_half_width(profile.cold), 0.04);
    EXPECT_GT(profile.hot.count, 3 * profile.cold.count);
    EXPECT_FALSE(profile.cold.noisy);
  }
}

TEST(Meter, WhatIsKnownOfOpenModelsIsGivenAwayMeanwhile) {
  const auto measure = [](bool keep) {
    Bench bench;
    add_a_dozen(bench);
    for (int i = 0; i < 12; ++i) bench.engine.model("m" + std::to_string(i)).noise = 0.3;
    bench.options.times = 400;
    if (keep) bench.hooks.unfinished = [&](const ModelProfile& profile) { bench.unfinished.push_back(profile); };
    EXPECT_GT(bench.run().wall_s, 4);
    return bench;
  };
  const Bench with = measure(true), without = measure(false);
  EXPECT_EQ(with.engine.visits, without.engine.visits);
  std::map<std::string, int> counts, lines;
  for (const ModelProfile& profile : with.unfinished) {
    EXPECT_TRUE(has_flag(profile.flags, "unfinished") && has_flag(profile.flags, "few"));
    EXPECT_FALSE(is_final(profile));
    EXPECT_EQ(profile.kernels.size(), 2u);
    const int samples = profile.cold.count + profile.kernels[0].cold.count;
    EXPECT_GT(samples, counts[profile.fingerprint]);
    counts[profile.fingerprint] = samples;
    ++lines[profile.fingerprint];
  }
  EXPECT_EQ(counts.size(), 12u);
  for (const auto& [name, count] : lines) EXPECT_LE(count, 9) << "tripled visits";
  ASSERT_EQ(with.profiles.size(), 12u);
  for (const ModelProfile& profile : with.profiles) EXPECT_TRUE(is_final(profile));
}

TEST(Meter, TinyKernelsAreJudgedByWhatATimerCanTell) {
  Bench bench;
  for (int i = 0; i < 4; ++i) {
    const std::string name = "tiny" + std::to_string(i);
    bench.add(name, {FakeKernel(name, "ReLU", 0.5, 0.6)}, false).noise = 0.05;
  }
  bench.run();
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_LT(profile.kernels[0].cold.count, bench.options.times);
    EXPECT_EQ(profile.flags, "");
  }
}

TEST(Meter, SharedKernelsAreMeasuredOnce) {
  const auto measure = [](bool share) {
    Bench bench;
    for (int i = 0; i < 10; ++i) {
      const std::string name = "p" + std::to_string(i);
      bench.add(name, {FakeKernel("common", "Convolution", 200, 300), FakeKernel("also", "Pooling", 50, 60)}, false)
          .noise = 0.02;
    }
    bench.options.share_kernels = share;
    const MeterResult result = bench.run();
    EXPECT_EQ(bench.profiles.size(), 10u);
    EXPECT_EQ(result.kernels_total, 20);
    std::vector<double> medians;
    for (const ModelProfile& profile : bench.profiles) {
      if (profile.kernels[0].cold.count >= 4) medians.push_back(profile.kernels[0].cold.median_us);
      EXPECT_EQ(profile.flags, "");
    }
    EXPECT_FALSE(medians.empty());
    for (const double value : medians) EXPECT_NEAR(value, 300, 20);
    return std::pair(bench.engine.runs, result.kernels_shared);
  };
  const auto [runs_shared, spared] = measure(true);
  const auto [runs_alone, none] = measure(false);
  EXPECT_LT(runs_shared * 3, runs_alone);
  EXPECT_GE(spared, 14);
  EXPECT_EQ(none, 0);
}

TEST(Meter, KnownKernelsAndStubsCostNoVisit) {
  Bench bench;
  bench.add("known", {FakeKernel("stub", "Stub", 5, 5), FakeKernel("k", "Convolution", 100, 120)}, false);
  bench.hooks.known_kernels = {"k"};
  const MeterResult result = bench.run();
  ASSERT_EQ(bench.profiles.size(), 1u);
  EXPECT_EQ(bench.visits_of("known"), 1);  // The first, uncounted run.
  EXPECT_EQ(bench.profiles[0].kernels.size(), 2u);
  EXPECT_EQ(bench.profiles[0].kernels[1].cold.count, 0);
  EXPECT_EQ(bench.profiles[0].kernels[0].kernel.role, KernelRole::kStub);
  EXPECT_EQ(result.kernels_total, 1);
  EXPECT_EQ(result.kernels_shared, 1);
}

TEST(Meter, PackedItemsGetNoPlainRunsButTheirKernels) {
  Bench bench;
  add_a_dozen(bench);
  bench.add("packed", {FakeKernel("own", "Convolution", 70, 90)}, false);
  bench.run();
  const ModelProfile& profile = bench.profile("packed");
  EXPECT_EQ(profile.context, "packed");
  EXPECT_EQ(profile.cold.count, 0);
  EXPECT_NEAR(profile.kernels[0].cold.median_us, 90, 0.01);
  EXPECT_NEAR(profile.kernels[0].hot.median_us, 70, 0.01);
}

TEST(Meter, EnginesWithoutKernelTimesGiveWholeRuns) {
  FakeClock clock;
  EngineFacts facts = testing::FakeEngine::default_facts();
  facts.per_kernel = false;
  testing::FakeEngine engine(clock, facts);
  engine.program("a", testing::fake_model({FakeKernel("k", "Convolution", 100, 150)}));
  engine.program("b", testing::fake_model({FakeKernel("l", "Convolution", 300, 350)}));
  std::vector<MeterItem> items(2);
  items[0].path = items[0].fingerprint = items[0].label = "a";
  items[1].path = items[1].fingerprint = items[1].label = "b";
  std::vector<ModelProfile> profiles;
  metering::Hooks hooks;
  hooks.plan = &testing::plan_by_name;
  metering::meter_with(hooks, engine, items, {}, clock, [&](const ModelProfile& p) { profiles.push_back(p); }, {}, {});
  ASSERT_EQ(profiles.size(), 2u);
  for (const ModelProfile& profile : profiles) {
    EXPECT_TRUE(profile.kernels.empty());
    EXPECT_NEAR(profile.hot.median_us, profile.fingerprint == "a" ? 102 : 302, 0.01);
  }
}

TEST(Meter, TheSameSeedGivesTheSameOrder) {
  const auto visits = [](std::uint64_t seed) {
    Bench bench;
    add_a_dozen(bench);
    bench.options.seed = seed;
    bench.run();
    return bench.engine.visits;
  };
  EXPECT_EQ(visits(7), visits(7));
  EXPECT_NE(visits(7), visits(8));
}

TEST(Meter, RoundsAreInRandomOrderWithTheReferenceInEach) {
  Bench bench;
  add_a_dozen(bench);
  bench.engine.program("ref", testing::fake_model({FakeKernel("r", "Convolution", 40, 50)}));
  bench.options.reference = "ref";
  bench.run();
  EXPECT_EQ(bench.profiles.size(), 12u);  // The reference is not one of them.
  for (const ModelProfile& profile : bench.profiles) EXPECT_NEAR(profile.reference_us, 42, 0.01);
  EXPECT_GE(bench.visits_of("ref"), bench.profiles[0].rounds);
  std::set<std::string> first_after_reference;
  for (std::size_t i = 0; i + 1 < bench.engine.visits.size(); ++i) {
    if (bench.engine.visits[i] == "ref") first_after_reference.insert(bench.engine.visits[i + 1]);
  }
  EXPECT_GT(first_after_reference.size(), 3u);
}

TEST(Meter, NoModelIsColdAfterItself) {
  Bench bench;
  bench.add("a", {FakeKernel("a", "Convolution", 100, 200)});
  bench.add("b", {FakeKernel("b", "Convolution", 100, 200)});
  bench.run();
  for (const ModelProfile& profile : bench.profiles) {
    EXPECT_NEAR(profile.cold.min_us, 202, 0.01);
    EXPECT_NEAR(profile.hot.max_us, 102, 0.01);
  }
}

TEST(Meter, EnoughBytesPassBeforeAColdRun) {
  const auto visits = [](std::int64_t evict_bytes) {
    Bench bench;
    add_a_dozen(bench);
    bench.options.evict_bytes = evict_bytes;
    bench.run();
    EXPECT_EQ(bench.profiles.size(), 12u);
    return bench.engine.visits.size();
  };
  // Each model touches 2 MiB: visits that come too early are put off by runs of others that nobody records.
  EXPECT_GT(visits(8 << 20), visits(0) + 10);
  // What no order of these models can touch between two visits is not waited for.
  EXPECT_EQ(visits(std::int64_t{1} << 40), visits(std::int64_t{1} << 41));
}

TEST(Meter, BatchesRespectTheMemoryLimit) {
  Bench bench;
  add_a_dozen(bench);
  for (int i = 0; i < 12; ++i) bench.engine.model("m" + std::to_string(i)).memory_mib = 100;
  bench.options.batch_memory_mib = 400;
  bench.run();
  EXPECT_EQ(bench.profiles.size(), 12u);
  EXPECT_LE(bench.engine.memory().peak_mib, 100 + 500);  // One reference stays open.
  EXPECT_EQ(bench.engine.live_sessions, 0);
  for (int i = 0; i < 12; ++i) {
    expect_near_share(bench.profile("m" + std::to_string(i)).hot.median_us, 100.0 * (i + 1) + 12, 1e-4);
  }
}

TEST(Meter, ProgressCountsUpToTheEnd) {
  Bench bench;
  add_a_dozen(bench);
  bench.run();
  ASSERT_FALSE(bench.progress.empty());
  for (std::size_t i = 1; i < bench.progress.size(); ++i) {
    EXPECT_GE(bench.progress[i].done, bench.progress[i - 1].done);
    EXPECT_GE(bench.progress[i].elapsed_s, bench.progress[i - 1].elapsed_s);
  }
  EXPECT_EQ(bench.progress.back().done, 12);
  EXPECT_EQ(bench.progress.back().total, 12);
  EXPECT_GT(bench.progress.back().engine_share, 0.9);
}

TEST(Meter, NonsenseOptionsAreRefused) {
  Bench bench;
  add_a_dozen(bench);
  bench.options.times = 0;
  EXPECT_THROW(bench.run(), Error);
  bench.options = {};
  bench.options.hot_runs = -1;
  EXPECT_THROW(bench.run(), Error);
}

TEST(Duration, IsANumberWithAUnit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(parse_duration("90"), 90s);
  EXPECT_EQ(parse_duration("10m"), 10min);
  EXPECT_EQ(parse_duration("1.5h"), 90min);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  for (const char* text : {"", "s", "-3s", "3 days", "nan", "1e99h", "3s "})
    EXPECT_THROW(parse_duration(text), Error) << text;
}

TEST(Meter, NothingToMeasureIsNoError) {
  Bench bench;
  const MeterResult result = bench.run();
  EXPECT_EQ(result.measured, 0);
  EXPECT_EQ(result.rounds, 0);
}

}  // namespace
}  // namespace mmt
