#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "meter/cache_chains.h"
#include "meter/settling.h"

namespace mmt::metering {
namespace {

constexpr std::int64_t kCache = 32 << 20;

/// Bytes of the last chain's point.
double target_of(const CacheChains& chains) {
  const auto hot_and_cold = [](int) { return std::pair{1.0, 2.0}; };
  CacheChains copy = chains;
  copy.add(0, 0, 0, {1, 0, 0});
  return copy.curve(std::vector<double>{1.0}, hot_and_cold).bytes[static_cast<std::size_t>(chains.point())];
}

TEST(CacheChains, AChainTouchesItsPointsBytes) {
  std::vector<ChainCandidate> models(800, {300'000, 90});
  models[7].bytes = 0;  // Cannot be run.
  models[9].us = 100;   // Works longest on its bytes.
  CacheChains chains(kCache, 1);
  std::set<int> points;
  std::set<double> stretches;
  for (std::size_t i = 0; i < 2 * chains.points(); ++i) {
    const std::vector<int> chain = chains.next(models);
    ASSERT_FALSE(chain.empty());
    points.insert(chains.point());
    const double target = target_of(chains);
    const std::set<int> links(chain.begin(), chain.end());
    EXPECT_NEAR(0.3e6 * static_cast<double>(links.size()), target, 0.25 * target);
    EXPECT_FALSE(links.contains(7));
    const auto waits = std::count(chain.begin(), chain.end(), 9);
    const auto others = static_cast<double>(chain.size()) - static_cast<double>(waits);
    if (waits < 2) EXPECT_EQ(links.size(), chain.size()) << "none twice";
    stretches.insert(std::round((90 * others + 100 * static_cast<double>(waits)) / (90 * others)));
    EXPECT_EQ(chains.times(), settling_runs(90 * others + 100 * static_cast<double>(waits)) + 3);
  }
  EXPECT_EQ(points.size(), chains.points());
  EXPECT_EQ(stretches, (std::set<double>{1, 2, 4}));
}

TEST(CacheChains, WhatOnlyTakesTimeStandsBetweenTheOthersAndDoesNotCount) {
  std::vector<ChainCandidate> models(400, {300'000, 50});
  models[9].us = 100;
  CacheChains chains(kCache, 1);
  KernelPlan plan;
  plan.kernels.resize(1);
  plan.kernels[0].signature.weight_bytes = 1 << 20;
  bool stretched = false;
  for (std::size_t i = 0; i < chains.points(); ++i) {
    const std::vector<int> chain = chains.next(models);
    if (std::count(chain.begin(), chain.end(), 9) < 2) continue;
    stretched = true;
    EXPECT_NE(chain.front(), 9);
    std::size_t most = 0, row = 0;
    for (const int link : chain) most = std::max(most, row = link == 9 ? row + 1 : 0);
    EXPECT_LE(most, 3u) << "spread evenly";
    ChainSamples samples;
    for (int time = 0; time < chains.times(); ++time) {
      for (const int link : chain) samples.kernel_us.push_back(link == 9 ? 10 : 15);
    }
    chains.add_chain(samples, std::vector<const KernelPlan*>(chain.size(), &plan), 0, 0,
                     [](std::size_t, std::size_t) { return 0; });
  }
  ASSERT_TRUE(stretched);
  const CacheCurve curve = chains.curve(std::vector<double>{1.0}, [](int) { return std::pair{10.0, 20.0}; });
  for (std::size_t i = 0; i < curve.bytes.size(); ++i) {
    if (curve.cold_extra_us[i] > 0) EXPECT_NEAR(curve.extra_us[i] / curve.cold_extra_us[i], 0.5, 1e-6);
  }
}

TEST(CacheChains, LoopsLikeModelsTakeTheirTime) {
  const std::vector<ChainCandidate> operators(60, {300'000, 40});
  CacheChains chains(kCache, 1);
  chains.look_like({{8 << 20, 6000}, {0, 0}, {6 << 20, 3000}}, operators);
  EXPECT_EQ(chains.points(), 6u) << "each model's bytes and time, quicker and slower";
  KernelPlan plan;
  plan.kernels.resize(1);
  // In chains, links take 1.5 times of what they do alone.
  for (int i = 0; i < 40; ++i) {
    const std::vector<int> chain = chains.next(operators);
    ASSERT_FALSE(chain.empty());
    ChainSamples samples;
    samples.timed_us = 50.0 * static_cast<double>(chain.size()) * chains.times();
    samples.waited_us = 10.0 * static_cast<double>(chain.size()) * chains.times();
    samples.kernel_us.assign(chain.size() * static_cast<std::size_t>(chains.times()), 15);
    chains.add_chain(samples, std::vector<const KernelPlan*>(chain.size(), &plan), 0, 0,
                     [](std::size_t, std::size_t) { return -1; });
  }
  chains.add(0, 0, 0, {15, 0, 0});
  const CacheCurve curve = chains.curve(std::vector<double>{1.0}, [](int) { return std::pair{10.0, 20.0}; });
  const std::vector<double> want{3000, 3000, 6000, 6000, 2100, 8400};
  const std::vector<int> want_bytes{6 << 20, 6 << 20, 8 << 20, 8 << 20, 6 << 20, 8 << 20};
  ASSERT_EQ(curve.loop_us.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(curve.loop_us[i], want[i], 0.15 * want[i]);  // The first of each was too long.
    EXPECT_NEAR(curve.bytes[i], want_bytes[i], 1.5e6) << "what was touched";
  }
}

TEST(CacheChains, WhereOperatorsTakeLongerThanAModelBytesAndTimeAreEachMetByAChain) {
  const std::vector<ChainCandidate> operators(60, {300'000, 400});
  CacheChains chains(kCache, 1);
  chains.look_like({{9'000'000, 6000}}, operators);
  ASSERT_EQ(chains.points(), 4u);
  std::vector<std::size_t> links;
  for (int i = 0; i < 4; ++i) {
    links.push_back(chains.next(operators).size());
    EXPECT_EQ(chains.point(), i);
  }
  EXPECT_NEAR(static_cast<double>(links[0]), 28, 3) << "as many bytes, in 11 ms";
  EXPECT_EQ(links[1], 15u) << "as much time";
  EXPECT_NEAR(static_cast<double>(links[2]), 10.5, 0.5) << "less time";
  EXPECT_NEAR(static_cast<double>(links[3]), 28, 3);
}

TEST(CacheChains, ModelsThatStandForAllLieBetweenTheQuickestAndTheSlowest) {
  std::vector<ChainCandidate> models;
  for (int i = 0; i < 10; ++i) models.push_back({1 << 20, 1000.0 * ((7 * i) % 10 + 1)});
  models.push_back({0, 500});  // Cannot be run.
  models.push_back({1 << 20, 0});
  std::vector<double> times;
  for (const std::size_t place : CacheChains::representatives(models)) times.push_back(models[place].us);
  EXPECT_EQ(times, (std::vector<double>{1000, 4000, 7000, 10000}));
  EXPECT_EQ(CacheChains::representatives(std::span(models).first(3)).size(), 3u);
}

TEST(CacheChains, ModelsLargerThanAllOperatorsAreMetWithAllThatThereIs) {
  const std::vector<ChainCandidate> operators(10, {1 << 20, 200});
  CacheChains chains(kCache, 1);
  chains.look_like({{400 << 20, 60000}}, operators);
  EXPECT_GE(chains.next(operators).size(), 9u);
  CacheChains none(kCache, 1);
  none.look_like({}, operators);
  EXPECT_EQ(none.points(), CacheChains(kCache, 1).points()) << "without models, all points stay";
}

TEST(CacheChains, PointsThatTheModelsDoNotReachArePassedOver) {
  const std::vector<ChainCandidate> few(16, {600'000, 100});
  CacheChains chains(kCache, 1);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(chains.next(few).empty());
    EXPECT_LT(target_of(chains), 11e6);
  }
  EXPECT_TRUE(chains.next(std::vector<ChainCandidate>(3, {1000, 10})).empty());
  EXPECT_TRUE(chains.next({}).empty());
}

TEST(CacheChains, MemoryThatHoldsNoWeightsCountsLess) {
  KernelPlan plan;
  plan.kernels.resize(1);
  plan.kernels[0].signature.weight_bytes = plan.weight_bytes = 1 << 20;
  plan.kernels[0].signature.output_bytes = plan.kernels[0].signature.input_bytes = 1 << 20;
  EXPECT_EQ(bytes_of_a_run(plan, 1, 1), 1 << 20) << "the weights are all there is";
  const std::int64_t all = bytes_of_a_run(plan, 3, 1);
  EXPECT_GT(all, 2 << 20);
  EXPECT_LT(all, 3 << 20);
  EXPECT_EQ(bytes_of_a_run(plan, 0, 1), all) << "where the engine does not tell, the tensors do";
  KernelSignature& kernel = plan.kernels[0].signature;  // Winograd's weights are several times the file's.
  kernel.type = "Convolution";
  kernel.attributes = "pad_x=1,pad_y=1,kernel_x=3,kernel_y=3,pads=1x1x1x1";
  kernel.text = "Convolution{" + kernel.attributes + "} [1,64,28,28]c4 -> [1,64,28,28]c4";
  kernel.weight_bytes = plan.weight_bytes = 64 * 64 * 9 * 4;
  EXPECT_GT(bytes_of_a_run(plan, 3, 1), (3 << 20) * 7 / 10 + plan.weight_bytes / 3);
}

TEST(CacheChains, NoModelIsMostOfAChain) {
  const std::vector<ChainCandidate> models{{6 << 20, 9}, {1 << 20, 9}, {1 << 20, 9}, {1 << 20, 9}, {1 << 20, 9}};
  CacheChains chains(kCache, 1);
  std::vector<int> chain;
  do chain = chains.next(models);
  while (target_of(chains) != kCache / 8.0);
  EXPECT_EQ(chain.size(), 4u);
}

TEST(CacheChains, TheCurveIsTheShareOfTheColdExtra) {
  // Kernel 0: hot 10, cold 30; kernel 1: hot 100, cold 140. A chain at point p costs p / 4 of the difference.
  CacheChains chains(kCache, 1);
  const std::vector<double> factors{1.0, 2.0};
  for (int point = 0; point < 5; ++point) {
    for (int column = 0; column < 2; ++column) {
      const double factor = factors[static_cast<std::size_t>(column)];
      for (int i = 0; i < 6; ++i) {
        chains.add(point, i, 0, {static_cast<float>(factor * (10 + 20 * point / 4.0)), column, i});
        chains.add(point, i, 1, {static_cast<float>(factor * (100 + 40 * point / 4.0)), column, i});
        chains.add(point, i, 2, {55, column, i});  // Nobody knows its times.
      }
    }
  }
  const auto times = [](int kernel) {
    return kernel == 0 ? std::pair{10.0, 30.0} : kernel == 1 ? std::pair{100.0, 140.0} : std::pair{0.0, 0.0};
  };
  const CacheCurve curve = chains.curve(factors, times);
  ASSERT_EQ(curve.bytes.size(), chains.points());
  for (std::size_t point = 0; point < 5; ++point) {
    EXPECT_NEAR(curve.extra_us[point] / curve.cold_extra_us[point], static_cast<double>(point) / 4, 1e-6);
    EXPECT_NEAR(curve.cold_extra_us[point], 12 * (20 + 40), 1e-6);
  }
  chains.drop_column(1);
  EXPECT_NEAR(chains.curve(factors, times).cold_extra_us[3], 6 * (20 + 40), 1e-6);
  EXPECT_TRUE(CacheChains(kCache, 1).curve(factors, times).empty());
}

TEST(CacheChains, OneWildKernelIsHeldBack) {
  CacheChains chains(kCache, 1);
  for (int i = 0; i < 10; ++i) chains.add(2, 0, 0, {10, 0, i});
  chains.add(2, 0, 1, {100000, 0, 0});
  const CacheCurve curve = chains.curve(std::vector<double>{1.0}, [](int) { return std::pair{10.0, 20.0}; });
  EXPECT_LE(curve.extra_us[2] / curve.cold_extra_us[2], 0.2);
}

TEST(CacheChains, ColdMinutesCountForTheirShareOfTheTimeAndWildOnesNoFurther) {
  CacheChains chains(kCache, 1);
  const auto hot_and_cold = [](int) { return std::pair{10.0, 20.0}; };
  const auto share = [&] {
    const CacheCurve curve = chains.curve(std::vector<double>{1.0}, hot_and_cold);
    return curve.extra_us[2] / curve.cold_extra_us[2];
  };
  for (int chain = 0; chain < 5; ++chain) chains.add(2, chain, 0, {chain < 3 ? 12.0f : 20.0f, 0, chain});
  EXPECT_NEAR(share(), (3 * 0.2 + 2 * 0.7) / 5, 1e-6) << "no more than 0.5 from the median";
  for (int chain = 5; chain < 7; ++chain) chains.add(2, chain, 0, {16, 0, chain});
  EXPECT_NEAR(share(), (3 * 0.2 + 2 * 1 + 2 * 0.6) / 7, 1e-6);
}

TEST(CacheChains, AsksForAKernelsTimesOnce) {
  CacheChains chains(kCache, 1);
  for (int chain = 0; chain < 20; ++chain) {
    for (int kernel = 0; kernel < 3; ++kernel) chains.add(chain % 4, chain, kernel, {15, 0, chain});
  }
  int asked = 0;
  const auto times = [&](int) { return ++asked, std::pair{10.0, 20.0}; };
  EXPECT_FALSE(chains.curve(std::vector<double>{1.0}, times).empty());
  EXPECT_EQ(asked, 3) << "an answer summarizes all samples of a kernel";
}

TEST(CacheChains, KernelsThatReadTheirWeightsSeveralTimesTellOfThemselves) {
  CacheChains chains(kCache, 1);
  for (int chain = 0; chain < 4; ++chain) {
    chains.add(2, chain, 0, {18, 0, chain});
    chains.add(2, chain, 1, {125, 0, chain}, true);
  }
  const CacheCurve curve = chains.curve(std::vector<double>{1.0}, [](int kernel) {
    return kernel == 0 ? std::pair{10.0, 20.0} : std::pair{100.0, 200.0};
  });
  EXPECT_NEAR(curve.extra_us[2] / curve.cold_extra_us[2], 0.8, 1e-9);
  EXPECT_NEAR(curve.cold_extra_us[2], 4 * 10, 1e-9);
  EXPECT_NEAR(curve.reread_extra_us[2] / curve.reread_cold_extra_us[2], 0.25, 1e-9);
  EXPECT_NEAR(curve.reread_cold_extra_us[2], 4 * 100, 1e-9);
  EXPECT_EQ(curve.reread_cold_extra_us[0], 0);
  EXPECT_TRUE(curve.is_even());
}

TEST(CacheCurve, RereadSumsAddUpLikeTheOthers) {
  CacheCurve curve{{1}, {40}, {0}, {0}, {100}, {200}};
  curve.add_later({{1}, {80}, {0}, {0}, {50}, {200}});
  EXPECT_EQ(curve, (CacheCurve{{1}, {60 + 20.0 / 3}, {0}, {0}, {100}, {300}})) << "half of the earlier ones are kept";
  CacheCurve silent{{1}, {40}, {30}, {300}};
  silent.add_later(curve);
  EXPECT_EQ(silent.reread_extra_us, std::vector<double>{100});
  EXPECT_TRUE(silent.is_even());
}

TEST(CacheCurve, EarlierRunsFillUpWhatLaterOnesLack) {
  CacheCurve curve{{1, 2}, {40, 80}, {100, 200}, {400, 1000}};
  curve.add_later({{1, 2}, {70, 90}, {50, 60}, {100, 400}});
  // Half of the first point's earlier sums make its 300 us full; the second has 400 us of its own.
  EXPECT_EQ(curve, (CacheCurve{{1, 2}, {50, 90}, {100, 60}, {300, 400}}));
  curve.add_later({{1, 2}, {0, 0}, {0, 0}, {0, 0}});
  EXPECT_EQ(curve, (CacheCurve{{1, 2}, {50, 90}, {100, 45}, {300, 300}})) << "a run without chains takes nothing away";
  curve.add_later({});
  EXPECT_EQ(curve.bytes.size(), 2u);
  curve.add_later({{4}, {3}, {1}, {2}});
  EXPECT_EQ(curve, (CacheCurve{{4}, {3}, {1}, {2}}));
}

}  // namespace
}  // namespace mmt::metering
