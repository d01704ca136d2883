#include "mmt/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "mmt/error.h"

namespace mmt {
namespace {

double normal(std::mt19937_64& random, double deviation) {
  return std::normal_distribution<double>(0, deviation)(random);
}

struct Drawn {
  std::vector<PredictionParts> models;
  std::vector<double> ratios;
};

/// A search space of `kSlots` slots with `kChoices` rows each; every row is off by a share of its own.
class Space {
 public:
  static constexpr int kSlots = 8, kChoices = 3;

  Space(std::uint64_t seed, double row_error, double noise, double scale = 1, double cold_error = 0)
      : random_(seed), noise_(noise), scale_(scale), cold_error_(cold_error) {
    for (int row = 0; row < kSlots * kChoices; ++row) errors_.push_back(normal(random_, row_error));
  }

  Drawn draw(int count) {
    Drawn drawn;
    for (int i = 0; i < count; ++i) {
      PredictionParts& parts = drawn.models.emplace_back();
      double off = 0;
      for (int slot = 0; slot < kSlots; ++slot) {
        const int row = slot * kChoices + static_cast<int>(random_() % kChoices);
        const double share = 1.0 / kSlots;
        parts.shares["row " + std::to_string(row)] = share;
        off += share * errors_[static_cast<std::size_t>(row)];
      }
      parts.cold = 0.1 + 0.4 * static_cast<double>(random_() % 100) / 100;
      off += cold_error_ * parts.cold;
      drawn.ratios.push_back(scale_ * std::exp(off + normal(random_, noise_)));
    }
    return drawn;
  }

 private:
  std::mt19937_64 random_;
  double noise_, scale_, cold_error_;
  std::vector<double> errors_;
};

double mean_error(const Calibration& calibration, const std::vector<PredictionParts>& models,
                  const std::vector<double>& ratios) {
  double sum = 0;
  for (std::size_t i = 0; i < models.size(); ++i)
    sum += std::abs(std::log(calibration.factor(models[i]).factor / ratios[i]));
  return sum / static_cast<double>(models.size());
}

TEST(Calibration, WhatAllHaveInCommonIsTakenAsItIs) {
  const auto [models, ratios] = Space(1, 0, 0, 2.5).draw(5);
  const Calibration calibration = Calibration::fit(models, ratios);
  for (const PredictionParts& model : models) EXPECT_NEAR(calibration.factor(model).factor, 2.5, 1e-9);
  PredictionParts stranger;
  stranger.shares["another"] = 1;
  EXPECT_NEAR(calibration.factor(stranger).factor, 2.5, 1e-9);
  EXPECT_GT(calibration.factor(stranger).deviation, calibration.factor(models[0]).deviation);
}

TEST(Calibration, FewModelsTellTheErrorsOfRowsInPart) {
  double with = 0, without = 0, many = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Space space(seed, 0.03, 0.002, 1.2);
    const auto [models, ratios] = space.draw(8);
    const auto [more, more_ratios] = space.draw(100);
    const auto [others, truth] = space.draw(50);
    with += mean_error(Calibration::fit(models, ratios), others, truth);
    many += mean_error(Calibration::fit(more, more_ratios), others, truth);
    double scale = 0;
    for (const double ratio : ratios) scale += std::log(ratio) / 8;
    for (const double ratio : truth) without += std::abs(std::log(ratio) - scale) / 50;
  }
  EXPECT_LT(with, 0.9 * without);
  EXPECT_LT(many, 0.25 * without);
}

TEST(Calibration, ErrorsOfHowColdModelsRunAreLearned) {
  Space space(3, 0, 0.001, 1, 0.1);
  const auto [models, ratios] = space.draw(8);
  const auto [others, truth] = space.draw(50);
  EXPECT_LT(mean_error(Calibration::fit(models, ratios), others, truth), 0.003);  // They are up to 0.05 apart.
}

TEST(Calibration, IntervalsHoldNewMeasurements) {
  int inside = 0, all = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Space space(seed, 0.02, 0.005);
    const auto [models, ratios] = space.draw(8);
    const auto [others, truth] = space.draw(25);
    const Calibration calibration = Calibration::fit(models, ratios);
    for (std::size_t i = 0; i < others.size(); ++i, ++all) {
      const Calibration::Factor factor = calibration.factor(others[i]);
      inside += std::abs(std::log(truth[i] / factor.factor)) <= 1.96 * factor.deviation ? 1 : 0;
    }
  }
  EXPECT_GT(inside, 0.92 * all);
  EXPECT_LT(inside, all);
}

TEST(Calibration, LeaveOneOutEqualsLeavingOut) {
  Space space(5, 0.02, 0.004, 1.1, 0.05);
  const auto [models, ratios] = space.draw(7);
  const Calibration all = Calibration::fit(models, ratios);
  const std::vector<Calibration::Factor> others = all.leave_one_out();
  ASSERT_EQ(others.size(), models.size());
  for (std::size_t left = 0; left < models.size(); ++left) {
    nlohmann::json json = nlohmann::json::parse(all.to_json());  // Keeps the sizes of the errors.
    json["models"].erase(left);
    EXPECT_NEAR(others[left].factor, Calibration::from_json(json.dump()).factor(models[left]).factor, 1e-9);
  }
}

TEST(Calibration, OneModelAndConflictingOnes) {
  std::vector<PredictionParts> one(1);
  one[0].shares["row"] = 1;
  const Calibration single = Calibration::fit(one, {1.3});
  EXPECT_NEAR(single.factor(one[0]).factor, 1.3, 1e-9);
  EXPECT_GT(single.factor(one[0]).deviation, 0.005);
  EXPECT_TRUE(std::isinf(single.leave_one_out()[0].deviation));
  const std::vector<PredictionParts> twins(2, one[0]);
  const Calibration two = Calibration::fit(twins, {1.0, 1.1});
  EXPECT_NEAR(two.factor(one[0]).factor, std::sqrt(1.1), 1e-6);
  EXPECT_GT(two.factor(one[0]).deviation, 0.03);
}

TEST(Calibration, ManyModelsTakeNoLongerToJudge) {
  Space space(7, 0.02, 0.004);
  const auto [models, ratios] = space.draw(450);
  const auto [others, truth] = space.draw(50);
  const Calibration calibration = Calibration::fit(models, ratios);
  EXPECT_EQ(calibration.count(), 450);
  EXPECT_LT(mean_error(calibration, others, truth), 0.005);
  EXPECT_NEAR(std::log(calibration.noise() / 0.004), 0, 0.4);
}

TEST(Calibration, RefusesWhatMakesNoSense) {
  const auto refused = [](const std::vector<PredictionParts>& models, const std::vector<double>& ratios) {
    try {
      Calibration::fit(models, ratios);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInvalidArgument;
    }
    return false;
  };
  const std::vector<PredictionParts> two(2);
  EXPECT_TRUE(refused({}, {}));
  EXPECT_TRUE(refused(two, {1.0}));
  EXPECT_TRUE(refused(two, {1.0, 0.0}));
  EXPECT_TRUE(refused(two, {1.0, std::nan("")}));
  EXPECT_TRUE(refused(std::vector<PredictionParts>(2001), std::vector<double>(2001, 1.0)));
}

TEST(Calibration, JsonKeepsEveryFactorAndIsChecked) {
  Space space(9, 0.02, 0.004, 0.8, 0.05);
  const auto [models, ratios] = space.draw(6);
  const Calibration calibration = Calibration::fit(models, ratios);
  const std::string text = calibration.to_json();
  const Calibration again = Calibration::from_json(text);
  for (const PredictionParts& model : models) {
    EXPECT_DOUBLE_EQ(again.factor(model).factor, calibration.factor(model).factor);
    EXPECT_DOUBLE_EQ(again.factor(model).deviation, calibration.factor(model).deviation);
  }
  const auto damaged = [&](const auto& change) {
    nlohmann::json json = nlohmann::json::parse(text);
    change(json);
    try {
      Calibration::from_json(json.dump());
    } catch (const Error& error) {
      return error.code() == ErrorCode::kParse;
    }
    return false;
  };
  for (const char* key : {"format", "noise", "row_error", "models"}) {
    EXPECT_TRUE(damaged([&](nlohmann::json& json) { json.erase(key); })) << key;
    EXPECT_TRUE(damaged([&](nlohmann::json& json) { json[key] = "text"; })) << key;
  }
  for (const char* key : {"log_ratio", "cold", "shares"}) {
    EXPECT_TRUE(damaged([&](nlohmann::json& json) { json["models"][1].erase(key); })) << key;
  }
  EXPECT_TRUE(damaged([](nlohmann::json& json) { json["models"][0]["shares"]["row"] = "much"; }));
  EXPECT_TRUE(damaged([](nlohmann::json& json) { json["models"] = nlohmann::json::array(); }));
  EXPECT_TRUE(damaged([](nlohmann::json& json) { json["models"][0] = 3; }));
  EXPECT_TRUE(damaged([](nlohmann::json& json) { json["noise"] = 0; }));
  EXPECT_TRUE(damaged([](nlohmann::json& json) { json["format"] = 2; }));
  EXPECT_THROW(Calibration::from_json("no json"), Error);
}

TEST(Calibration, PartsAreSharesOfTheLatency) {
  ModelPlan plan;
  Prediction prediction;
  for (const char* key : {"a", "b", "a"}) {
    PlanKernel& kernel = plan.kernels.emplace_back();
    kernel.signature.key = key;
  }
  prediction.kernels = {{.us = 10}, {.us = 20}, {.us = 50}};
  prediction.latency_us = 100;
  prediction.sums.cold_extra_us = 15;
  prediction.sums.reread_extra_us = 5;
  const PredictionParts parts = parts_of(plan, prediction);
  EXPECT_DOUBLE_EQ(parts.shares.at("a"), 0.6);
  EXPECT_DOUBLE_EQ(parts.shares.at("b"), 0.2);
  EXPECT_DOUBLE_EQ(parts.cold, 0.2);

  ModelPlan whole;  // Of a table of whole runs.
  whole.nodes.resize(2);
  whole.nodes[0].fingerprint = "conv";
  whole.nodes[1].fingerprint = "linear";
  Prediction runs;
  runs.node_us = {30, 60};
  runs.latency_us = 90;
  EXPECT_DOUBLE_EQ(parts_of(whole, runs).shares.at("linear"), 60.0 / 90);
}

}  // namespace
}  // namespace mmt
