#include "mmt/gaussian_process.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "mmt/error.h"
#include "predict/gaussian_process_kernel.h"

namespace mmt {
namespace {

double normal(std::mt19937_64& random, double deviation = 1) {
  return std::normal_distribution<double>(0, deviation)(random);
}

struct Data {
  std::vector<double> x, y;
};

template <typename Function>
Data make_data(int count, int dims, double noise, std::mt19937_64& random, Function function) {
  Data data;
  for (int i = 0; i < count; ++i) {
    std::vector<double> row(dims);
    for (double& value : row) value = std::uniform_real_distribution<double>(-2, 2)(random);
    data.x.insert(data.x.end(), row.begin(), row.end());
    data.y.push_back(function(row) + normal(random, noise));
  }
  return data;
}

TEST(Objective, GradientEqualsDifferences) {
  std::mt19937_64 random(1);
  const Data data = make_data(15, 3, 0.1, random, [](const auto& r) { return std::sin(r[0]) + r[1]; });
  for (const bool linear : {false, true}) {
    for (const bool separate : {false, true}) {
      const gp::Objective objective(data.x, 3, data.y, linear, separate, 1e-3);
      ASSERT_EQ(objective.size(), 2u + linear + (separate ? 3 : 1));
      std::vector<double> at = objective.prior_mean(), gradient(at.size()), ignored(at.size());
      for (double& parameter : at) parameter += 0.3 * normal(random);
      objective.value(at, gradient);
      for (std::size_t k = 0; k < at.size(); ++k) {
        std::vector<double> up = at, down = at;
        up[k] += 1e-5;
        down[k] -= 1e-5;
        const double difference = (objective.value(up, ignored) - objective.value(down, ignored)) / 2e-5;
        EXPECT_NEAR(gradient[k], difference, 1e-4 * (1 + std::abs(difference))) << k;
      }
    }
  }
}

TEST(GaussianProcess, LearnsASmoothFunction) {
  std::mt19937_64 random(2);
  const auto function = [](const std::vector<double>& r) { return 3 + std::sin(2 * r[0]) * std::cos(r[1]); };
  const Data data = make_data(80, 2, 0.01, random, function), test = make_data(200, 2, 0, random, function);
  const GaussianProcess process = GaussianProcess::fit(data.x, 2, data.y);
  double squares = 0;
  const auto predictions = process.predict_rows(test.x);
  for (int i = 0; i < 200; ++i) squares += std::pow(predictions[i].mean - test.y[i], 2);
  EXPECT_LT(std::sqrt(squares / 200), 0.06);
  EXPECT_NEAR(process.noise(), 0.01, 0.01);
}

TEST(GaussianProcess, LinearPartGoesOnOutside) {
  std::mt19937_64 random(3);
  const auto function = [](const std::vector<double>& r) { return 1 + 2 * r[0] - r[1]; };
  const Data data = make_data(20, 2, 0.01, random, function);
  const GaussianProcess process = GaussianProcess::fit(data.x, 2, data.y);
  EXPECT_NEAR(process.predict(std::vector<double>{6, -6}).mean, 19, 1.0);
  const GaussianProcess without = GaussianProcess::fit(data.x, 2, data.y, {.linear = false});
  EXPECT_GT(without.predict(std::vector<double>{60, -60}).standard_deviation,
            3 * without.predict(std::vector<double>{0, 0}).standard_deviation);
}

TEST(GaussianProcess, FeaturesWithoutInfluenceGetLongLengths) {
  std::mt19937_64 random(4);
  const Data data = make_data(60, 3, 0.02, random, [](const auto& r) { return std::sin(3 * r[1]); });
  const GaussianProcess process = GaussianProcess::fit(data.x, 3, data.y);
  EXPECT_GT(process.lengths()[0], 3 * process.lengths()[1]);
  EXPECT_GT(process.lengths()[2], 3 * process.lengths()[1]);
}

TEST(GaussianProcess, IntervalsCoverAndFewPointsAreNotOverfitted) {
  // Sixteen models whose ratios depend weakly on the features: what calibration sees.
  int inside = 0, total = 0;
  double plain = 0, fitted = 0;
  for (int trial = 0; trial < 25; ++trial) {
    std::mt19937_64 random(500 + trial);
    const auto function = [](const std::vector<double>& r) { return 0.03 + 0.01 * r[0] + 0.005 * std::sin(r[1]); };
    const Data data = make_data(16, 5, 0.004, random, function), test = make_data(40, 5, 0.004, random, function);
    const GaussianProcess process = GaussianProcess::fit(data.x, 5, data.y);
    for (int i = 0; i < 40; ++i) {
      const auto prediction = process.predict(std::span(test.x).subspan(i * 5, 5));
      inside += std::abs(prediction.mean - test.y[i]) <= 1.96 * prediction.standard_deviation;
      plain += std::abs(test.y[i] - 0.03);
      fitted += std::abs(test.y[i] - prediction.mean);
      ++total;
    }
  }
  EXPECT_NEAR(static_cast<double>(inside) / total, 0.95, 0.04);
  EXPECT_LT(fitted, 0.6 * plain);
}

TEST(GaussianProcess, LeaveOneOutEqualsLeavingOut) {
  std::mt19937_64 random(6);
  const Data data = make_data(12, 2, 0.1, random, [](const auto& r) { return r[0] * r[1]; });
  const GaussianProcess process = GaussianProcess::fit(data.x, 2, data.y);
  const auto predictions = process.leave_one_out();
  // The definition: the same hyperparameters and standardisation, one row less. JSON lets us make exactly that.
  for (int left = 0; left < 12; left += 5) {
    auto x = data.x, y = data.y;
    x.erase(x.begin() + 2 * left, x.begin() + 2 * left + 2);
    y.erase(y.begin() + left);
    const auto list = [](const std::vector<double>& values) {
      std::string text;
      for (const double value : values) {
        char number[40];
        std::snprintf(number, sizeof number, "%s%.17g", text.empty() ? "" : ",", value);
        text += number;
      }
      return "[" + text + "]";
    };
    std::string json = process.to_json();
    const auto replace = [&](const std::string& key, const std::string& with) {
      const std::size_t at = json.find("\"" + key + "\":[") + key.size() + 3;
      json.replace(at, json.find(']', at) + 1 - at, with);
    };
    replace("features", list(x));
    replace("values", list(y));
    const auto direct = GaussianProcess::from_json(json).predict(std::span(data.x).subspan(2 * left, 2));
    EXPECT_NEAR(direct.mean, predictions[left].mean, 1e-8);
    // How far the deviation is widened depends on the rows that are there.
    EXPECT_NEAR(direct.standard_deviation, predictions[left].standard_deviation, 0.05 * direct.standard_deviation);
  }
}

TEST(GaussianProcess, ShiftAndScaleOfTheDataDoNotMatter) {
  std::mt19937_64 random(7);
  const Data data = make_data(20, 2, 0.05, random, [](const auto& r) { return std::exp(r[0] / 3) + r[1]; });
  Data moved = data;
  for (std::size_t i = 0; i < moved.x.size(); ++i) moved.x[i] = 1e6 + 4096 * moved.x[i];
  for (double& value : moved.y) value = 5 + 1024 * value;
  const GaussianProcess a = GaussianProcess::fit(data.x, 2, data.y), b = GaussianProcess::fit(moved.x, 2, moved.y);
  const auto first = a.predict(std::vector<double>{0.5, -0.5});
  const auto second = b.predict(std::vector<double>{1e6 + 2048, 1e6 - 2048});
  EXPECT_NEAR(second.mean, 5 + 1024 * first.mean, 1e-2);
  EXPECT_NEAR(second.standard_deviation, 1024 * first.standard_deviation, 1e-2);
}

TEST(GaussianProcess, DegenerateData) {
  const std::vector<double> x{1, 5, 1, 5, 1, 5}, same{2, 2, 2};
  const GaussianProcess flat = GaussianProcess::fit(x, 2, same);  // Equal rows, equal values.
  EXPECT_NEAR(flat.predict(std::vector<double>{1, 5}).mean, 2, 1e-6);
  const std::vector<double> conflicting{1, 2, 3};
  EXPECT_NEAR(GaussianProcess::fit(x, 2, conflicting).predict(std::vector<double>{1, 5}).mean, 2, 0.05);
  const GaussianProcess two = GaussianProcess::fit(std::vector<double>{0, 1}, 1, std::vector<double>{0, 1});
  EXPECT_LT(two.predict(std::vector<double>{0}).mean, two.predict(std::vector<double>{1}).mean);
}

TEST(GaussianProcess, JsonKeepsEveryPrediction) {
  std::mt19937_64 random(8);
  const Data data = make_data(16, 4, 0.05, random, [](const auto& r) { return r[0] + std::sin(r[3]); });
  const GaussianProcess process = GaussianProcess::fit(data.x, 4, data.y);
  const GaussianProcess again = GaussianProcess::from_json(process.to_json());
  const std::vector<double> row{0.1, -0.7, 1.2, 0.4};
  EXPECT_DOUBLE_EQ(again.predict(row).mean, process.predict(row).mean);
  EXPECT_DOUBLE_EQ(again.predict(row).standard_deviation, process.predict(row).standard_deviation);
  EXPECT_EQ(again.to_json(), process.to_json());
  EXPECT_EQ(GaussianProcess::fit(data.x, 4, data.y).to_json(), process.to_json());  // Deterministic.
}

TEST(GaussianProcess, MistakesAreErrors) {
  const std::vector<double> one{1}, two{1, 2}, bad{1, std::nan("")};
  EXPECT_THROW(GaussianProcess::fit(one, 1, one), Error);
  EXPECT_THROW(GaussianProcess::fit(one, 1, two), Error);
  EXPECT_THROW(GaussianProcess::fit(two, 0, two), Error);
  EXPECT_THROW(GaussianProcess::fit(two, 1, bad), Error);
  EXPECT_THROW(GaussianProcess::fit(two, 1, two).predict(two), Error);
  const std::string json = GaussianProcess::fit(two, 1, two).to_json();
  for (const std::string& text : {std::string("{"), std::string("[]"), std::string("{\"format\":2}"),
                                  json.substr(0, json.size() / 2), std::string("{\"format\":1,\"dims\":1}")}) {
    try {
      GaussianProcess::from_json(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kParse);
    }
  }
}

}  // namespace
}  // namespace mmt
