#include "mmt/calibration.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "mmt/error.h"

namespace mmt {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int kFormat = 1;
constexpr std::size_t kMostModels = 2000, kEnoughModels = 200;
/// Of λ: standard deviation of its error. Chains of one minute differ by as much.
constexpr double kColdError = 0.1;
/// What is usual, and how far from it (standard deviation of the logarithm): a settled model's measured time, and a row
/// against what the kernel takes inside a model.
constexpr double kUsualNoise = 0.004, kNoiseSpread = 0.7;
constexpr double kUsualRowError = 0.015, kRowSpread = 0.7;

double dot(const PredictionParts& a, const PredictionParts& b) {
  const PredictionParts& few = a.shares.size() <= b.shares.size() ? a : b;
  const PredictionParts& many = &few == &a ? b : a;
  double sum = 0;
  for (const auto& [name, share] : few.shares) {
    if (const auto other = many.shares.find(name); other != many.shares.end()) sum += share * other->second;
  }
  return sum;
}

struct Fit {
  Eigen::LLT<MatrixXd> covariance;
  VectorXd ones, weights;  ///< Inverse covariance · 1, and · (logs - scale).
  double scale = 0, scale_variance = 0;
  double log_likelihood = 0;  ///< Restricted: whatever the scale is.
};

Fit fit_scale(const MatrixXd& covariance, const VectorXd& logs) {
  Fit fit;
  fit.covariance.compute(covariance);
  fit.ones = fit.covariance.solve(VectorXd::Ones(logs.size()));
  fit.scale_variance = 1 / fit.ones.sum();
  fit.scale = fit.ones.dot(logs) * fit.scale_variance;
  const VectorXd off = logs.array() - fit.scale;
  fit.weights = fit.covariance.solve(off);
  const VectorXd diagonal = fit.covariance.matrixLLT().diagonal();
  fit.log_likelihood = -diagonal.array().log().sum() + 0.5 * std::log(fit.scale_variance) - 0.5 * off.dot(fit.weights);
  return fit;
}

double log_prior(double value, double usual, double spread) {
  const double away = std::log(value / usual) / spread;
  return -0.5 * away * away;
}

}  // namespace

PredictionParts parts_of(const ModelPlan& plan, const Prediction& prediction) {
  PredictionParts parts;
  const double total = prediction.latency_us;
  if (!(total > 0)) return parts;
  for (std::size_t i = 0; i < plan.kernels.size(); ++i) {
    parts.shares[plan.kernels[i].signature.key] += prediction.kernels[i].us / total;
  }
  if (plan.kernels.empty()) {
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      parts.shares[plan.nodes[i].fingerprint] += prediction.node_us[i] / total;
    }
  }
  parts.cold = (prediction.sums.cold_extra_us + prediction.sums.reread_extra_us) / total;
  return parts;
}

double Calibration::covariance(const PredictionParts& a, const PredictionParts& b) const {
  return row_error_ * row_error_ * dot(a, b) + kColdError * kColdError * a.cold * b.cold;
}

Calibration Calibration::fit(const std::vector<PredictionParts>& models, const std::vector<double>& ratios) {
  const auto demand = [](bool fine, const std::string& what) {
    if (!fine) throw Error(ErrorCode::kInvalidArgument, "calibration: " + what);
  };
  demand(!models.empty() && models.size() <= kMostModels,
         "1 to 2000 models are needed, not " + std::to_string(models.size()));
  demand(models.size() == ratios.size(), "models and ratios differ in number");
  Calibration calibration;
  calibration.models_ = models;
  for (const double ratio : ratios) {
    demand(std::isfinite(ratio) && ratio > 0, "each measured and predicted latency must be above 0");
    calibration.logs_.push_back(std::log(ratio));
  }
  calibration.find_sizes();
  calibration.solve();
  return calibration;
}

void Calibration::find_sizes() {
  // Of many models some suffice for two numbers.
  std::vector<std::size_t> chosen;
  const std::size_t every = (models_.size() + kEnoughModels - 1) / kEnoughModels;
  for (std::size_t i = 0; i < models_.size(); i += every) chosen.push_back(i);
  const auto n = static_cast<Eigen::Index>(chosen.size());
  MatrixXd rows(n, n), cold(n, n);
  VectorXd logs(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const PredictionParts& model = models_[chosen[i]];
    logs[i] = logs_[chosen[i]];
    for (Eigen::Index j = 0; j <= i; ++j) {
      const PredictionParts& other = models_[chosen[j]];
      rows(i, j) = rows(j, i) = dot(model, other);
      cold(i, j) = cold(j, i) = kColdError * kColdError * model.cold * other.cold;
    }
  }
  // Two numbers, smooth in both: a grid finds what there is to find.
  constexpr int kRowSteps = 10, kNoiseSteps = 14;
  double best = -std::numeric_limits<double>::infinity();
  for (int r = 0; r < kRowSteps; ++r) {
    const double row_error = 0.002 * std::pow(1.5, r);
    for (int e = 0; e < kNoiseSteps; ++e) {
      const double noise = 0.001 * std::pow(1.45, e);
      const MatrixXd covariance = row_error * row_error * rows + cold + noise * noise * MatrixXd::Identity(n, n);
      const double likelihood = fit_scale(covariance, logs).log_likelihood +
                                log_prior(noise, kUsualNoise, kNoiseSpread) +
                                log_prior(row_error, kUsualRowError, kRowSpread);
      if (likelihood <= best) continue;
      best = likelihood;
      row_error_ = row_error;
      noise_ = noise;
    }
  }
}

void Calibration::solve() {
  const auto n = static_cast<Eigen::Index>(models_.size());
  MatrixXd total(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) total(i, j) = total(j, i) = covariance(models_[i], models_[j]);
    total(i, i) += noise_ * noise_;
  }
  const VectorXd logs = Eigen::Map<const VectorXd>(logs_.data(), n);
  const Fit fit = fit_scale(total, logs);
  scale_ = fit.scale;
  scale_variance_ = fit.scale_variance;
  const auto keep = [](std::vector<double>& to, const auto& from) {
    to.assign(from.data(), from.data() + from.size());
  };
  keep(weights_, fit.weights);
  keep(ones_, fit.ones);
  keep(inverse_, MatrixXd(fit.covariance.solve(MatrixXd::Identity(n, n))));  // Symmetric: the order does not matter.
  // Two corrections for what few models cannot tell about the two numbers: what predictions of left-out models show,
  // and the ratio of Student's to the normal 97.5 % quantile (first term of its series).
  widening_ = 1;
  double squares = 0;
  const std::vector<Factor> others = leave_one_out();
  for (Eigen::Index i = 0; i < n; ++i) {
    const double away = (logs_[i] - std::log(others[i].factor)) / others[i].deviation;
    squares += away * away;
  }
  constexpr double kSeries = 1.21, kLeastFreedom = 0.5;
  const double freedom = std::max(static_cast<double>(n - 1), kLeastFreedom);
  widening_ = std::max(1.0, std::sqrt(squares / static_cast<double>(n))) * (1 + kSeries / freedom);
}

Calibration::Factor Calibration::factor(const PredictionParts& parts) const {
  const auto n = static_cast<Eigen::Index>(models_.size());
  VectorXd shared(n);
  for (Eigen::Index i = 0; i < n; ++i) shared[i] = covariance(parts, models_[i]);
  const Eigen::Map<const VectorXd> weights(weights_.data(), n), ones(ones_.data(), n);
  const Eigen::Map<const MatrixXd> inverse(inverse_.data(), n, n);
  const double unexplained = 1 - shared.dot(ones);
  const double variance = covariance(parts, parts) - shared.dot(inverse * shared) +
                          unexplained * unexplained * scale_variance_ + noise_ * noise_;
  return {std::exp(scale_ + shared.dot(weights)), widening_ * std::sqrt(std::max(variance, noise_ * noise_))};
}

std::vector<Calibration::Factor> Calibration::leave_one_out() const {
  // With the scale unknown: the inverse covariance less what estimating the scale takes. Its rows tell how far each
  // model lies from what the others say (Dubrule 1983).
  const auto n = static_cast<Eigen::Index>(models_.size());
  const Eigen::Map<const VectorXd> ones(ones_.data(), n), weights(weights_.data(), n);
  const Eigen::Map<const MatrixXd> inverse(inverse_.data(), n, n);
  std::vector<Factor> factors;
  for (Eigen::Index i = 0; i < n; ++i) {
    const double precision = inverse(i, i) - ones[i] * ones[i] * scale_variance_;
    // Of one model alone the others tell nothing.
    if (n < 2 || !(precision > 0)) {
      factors.push_back({1, std::numeric_limits<double>::infinity()});
      continue;
    }
    factors.push_back({std::exp(logs_[i] - weights[i] / precision), widening_ / std::sqrt(precision)});
  }
  return factors;
}

std::string Calibration::to_json() const {
  nlohmann::json models = nlohmann::json::array();
  for (std::size_t i = 0; i < models_.size(); ++i) {
    models.push_back({{"log_ratio", logs_[i]}, {"cold", models_[i].cold}, {"shares", models_[i].shares}});
  }
  return nlohmann::json{{"format", kFormat}, {"noise", noise_}, {"row_error", row_error_}, {"models", models}}.dump();
}

Calibration Calibration::from_json(const std::string& text) {
  const auto refuse = [](const std::string& what) { return Error(ErrorCode::kParse, "calibration: " + what); };
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) throw refuse("the text is no JSON object");
  const auto number = [&](const nlohmann::json& from, const char* key) {
    const auto found = from.find(key);
    if (found == from.end() || !found->is_number() || !std::isfinite(found->get<double>()))
      throw refuse(std::string("key \"") + key + "\" must be a number");
    return found->get<double>();
  };
  if (number(json, "format") != kFormat) throw refuse("\"format\" is not 1; the file is from another version");
  Calibration calibration;
  calibration.noise_ = number(json, "noise");
  calibration.row_error_ = number(json, "row_error");
  if (!(calibration.noise_ > 0) || !(calibration.row_error_ >= 0))
    throw refuse("\"noise\" must be above 0, \"row_error\" not below");
  const auto models = json.find("models");
  if (models == json.end() || !models->is_array() || models->empty() || models->size() > kMostModels)
    throw refuse("key \"models\" must be a list of 1 to 2000 objects");
  for (const nlohmann::json& model : *models) {
    if (!model.is_object()) throw refuse("key \"models\" must be a list of objects");
    calibration.logs_.push_back(number(model, "log_ratio"));
    PredictionParts& parts = calibration.models_.emplace_back();
    parts.cold = number(model, "cold");
    const auto shares = model.find("shares");
    if (shares == model.end() || !shares->is_object()) throw refuse("key \"shares\" must be an object of numbers");
    for (const auto& [name, share] : shares->items()) {
      if (!share.is_number()) throw refuse("key \"shares\" must be an object of numbers");
      parts.shares[name] = share.get<double>();
    }
  }
  calibration.solve();
  return calibration;
}

}  // namespace mmt
