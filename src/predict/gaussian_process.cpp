#include "mmt/gaussian_process.h"

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "mmt/error.h"
#include "predict/gaussian_process_kernel.h"

namespace mmt {
namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstRows = Eigen::Map<const RowMatrix>;
using ConstVector = Eigen::Map<const Eigen::VectorXd>;

void require(bool condition, const std::string& what) {
  if (!condition) throw Error(ErrorCode::kInvalidArgument, "Gaussian process: " + what);
}

void require_finite(std::span<const double> values, const char* what) {
  for (const double value : values)
    require(std::isfinite(value), std::string(what) + " hold a value that is no number");
}

struct Spread {
  double mean, deviation;
};

Spread spread_of(const double* values, std::size_t count, std::size_t stride) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < count; ++i) sum += values[i * stride];
  const double mean = sum / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) squares += (values[i * stride] - mean) * (values[i * stride] - mean);
  return {mean, std::sqrt(squares / static_cast<double>(count - 1))};
}

Eigen::VectorXd to_eigen(std::span<const double> values) {
  return ConstVector(values.data(), static_cast<Eigen::Index>(values.size()));
}

}  // namespace

GaussianProcess GaussianProcess::fit(std::span<const double> features, int dims, std::span<const double> values,
                                     const GaussianProcessOptions& options) {
  constexpr std::size_t kMostRows = 2000;
  require(dims >= 1, "at least one feature is needed");
  require(values.size() >= 2 && values.size() <= kMostRows,
          "2…2000 rows are needed, not " + std::to_string(values.size()));
  require(features.size() == values.size() * static_cast<std::size_t>(dims), "features and values do not match");
  require(options.starts >= 1 && options.min_noise > 0 && options.usual_noise > 0 && options.usual_signal > 0,
          "starts must be at least 1, min_noise, usual_noise and usual_signal above 0");
  require_finite(features, "features");
  require_finite(values, "values");

  GaussianProcess process;
  process.dims_ = dims;
  process.features_.assign(features.begin(), features.end());
  process.values_.assign(values.begin(), values.end());
  for (int d = 0; d < dims; ++d) {
    const Spread spread = spread_of(features.data() + d, values.size(), static_cast<std::size_t>(dims));
    process.shift_.push_back(spread.mean);
    // What differs only by rounding is constant.
    process.scale_.push_back(spread.deviation > 1e-12 * std::abs(spread.mean) ? spread.deviation : 0.0);
  }
  const Spread spread = spread_of(values.data(), values.size(), 1);
  process.value_shift_ = spread.mean;
  process.value_scale_ = spread.deviation > 1e-12 * std::abs(spread.mean) ? spread.deviation : 1.0;
  process.lengths_.assign(dims, 1.0);
  process.solve();  // Fills the standardised rows.

  std::vector<double> standard_values;
  for (const double value : values) standard_values.push_back((value - process.value_shift_) / process.value_scale_);
  const bool separate = options.separate_lengths && values.size() >= 10 * static_cast<std::size_t>(dims);
  const gp::Objective objective(process.rows_, dims, standard_values, options.linear, separate, options.min_noise,
                                options.usual_noise, options.usual_signal);
  std::mt19937_64 random(options.seed);
  std::vector<double> best = objective.prior_mean();
  double best_value = -std::numeric_limits<double>::infinity();
  for (int start = 0; start < options.starts; ++start) {
    std::vector<double> from = objective.prior_mean();
    for (std::size_t k = 0; start > 0 && k < from.size(); ++k) {
      const double unit = static_cast<double>(random() >> 11) * 0x1.0p-53;
      from[k] += (3 * unit - 1.5) * objective.prior_deviation()[k];
    }
    double reached = 0;
    const std::vector<double> at = gp::maximise(objective, from, &reached);
    if (reached > best_value) {
      best_value = reached;
      best = at;
    }
  }
  const gp::Hyperparameters found = objective.decode(best);
  process.lengths_ = found.lengths;
  process.amplitude_ = found.amplitude;
  process.linear_ = found.linear;
  process.noise_ = found.noise;
  process.log_likelihood_ = objective.log_likelihood(best);
  process.solve();
  return process;
}

void GaussianProcess::solve() {
  const auto n = static_cast<Eigen::Index>(values_.size());
  rows_.clear();
  for (Eigen::Index i = 0; i < n; ++i) {
    const std::vector<double> row = standardised(std::span(features_).subspan(i * dims_, dims_));
    rows_.insert(rows_.end(), row.begin(), row.end());
  }
  const gp::Hyperparameters h{lengths_, amplitude_, linear_, noise_};
  const auto row_of = [&](Eigen::Index i) { return std::span<const double>(rows_).subspan(i * dims_, dims_); };
  Eigen::MatrixXd total(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) total(i, j) = total(j, i) = gp::covariance(h, row_of(i), row_of(j));
    total(i, i) += noise_ * noise_;
  }
  const Eigen::LLT<Eigen::MatrixXd> factor(total);
  if (factor.info() != Eigen::Success) throw Error(ErrorCode::kCorrupt, "Gaussian process: covariance is singular");
  const Eigen::VectorXd y = (to_eigen(values_).array() - value_shift_) / value_scale_;
  const Eigen::VectorXd weights = factor.solve(y);
  const RowMatrix lower = factor.matrixL();
  weights_.assign(weights.data(), weights.data() + n);
  factor_.assign(lower.data(), lower.data() + n * n);

  // Hyperparameters from few rows are too sure of themselves. Two corrections: what predictions of left-out rows show,
  // and the ratio of Student's to the normal 97.5 % quantile (first term of its series).
  widening_ = 1;
  double squares = 0;
  const std::vector<GaussianProcessPrediction> left_out = leave_one_out();
  for (Eigen::Index i = 0; i < n; ++i) {
    const double away = (values_[i] - left_out[i].mean) / left_out[i].standard_deviation;
    squares += away * away;
  }
  const double freedom = std::max<double>(1, static_cast<double>(n) - 2);
  widening_ = std::max(1.0, std::sqrt(squares / static_cast<double>(n))) * (1 + 1.21 / freedom);
}

std::vector<double> GaussianProcess::standardised(std::span<const double> row) const {
  std::vector<double> values(dims_);
  for (int d = 0; d < dims_; ++d) values[d] = scale_[d] > 0 ? (row[d] - shift_[d]) / scale_[d] : 0.0;
  return values;
}

GaussianProcessPrediction GaussianProcess::predict(std::span<const double> row) const {
  require(row.size() == static_cast<std::size_t>(dims_), "a row of " + std::to_string(dims_) + " features is needed");
  require_finite(row, "features");
  const auto n = static_cast<Eigen::Index>(values_.size());
  const gp::Hyperparameters h{lengths_, amplitude_, linear_, noise_};
  const std::vector<double> at = standardised(row);
  Eigen::VectorXd to_rows(n);
  for (Eigen::Index i = 0; i < n; ++i) to_rows[i] = gp::covariance(h, at, std::span(rows_).subspan(i * dims_, dims_));
  const Eigen::VectorXd half = ConstRows(factor_.data(), n, n).triangularView<Eigen::Lower>().solve(to_rows);
  const double variance = gp::covariance(h, at, at) - half.squaredNorm() + noise_ * noise_;
  return {value_shift_ + value_scale_ * to_rows.dot(ConstVector(weights_.data(), n)),
          widening_ * value_scale_ * std::sqrt(std::max(variance, 0.0))};
}

std::vector<GaussianProcessPrediction> GaussianProcess::predict_rows(std::span<const double> rows) const {
  require(rows.size() % static_cast<std::size_t>(dims_) == 0,
          "rows of " + std::to_string(dims_) + " features are needed");
  std::vector<GaussianProcessPrediction> predictions;
  for (std::size_t at = 0; at < rows.size(); at += dims_) predictions.push_back(predict(rows.subspan(at, dims_)));
  return predictions;
}

std::vector<GaussianProcessPrediction> GaussianProcess::leave_one_out() const {
  // Rasmussen and Williams (2006), equations 5.10 to 5.12: everything follows from the inverse covariance.
  const auto n = static_cast<Eigen::Index>(values_.size());
  const Eigen::MatrixXd inverse_factor =
      ConstRows(factor_.data(), n, n).triangularView<Eigen::Lower>().solve(Eigen::MatrixXd::Identity(n, n));
  std::vector<GaussianProcessPrediction> predictions(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const double precision = inverse_factor.col(i).squaredNorm();
    predictions[i] = {values_[i] - value_scale_ * weights_[i] / precision,
                      widening_ * value_scale_ / std::sqrt(precision)};
  }
  return predictions;
}

double GaussianProcess::noise() const { return noise_ * value_scale_; }

std::string GaussianProcess::to_json() const {
  nlohmann::json json;
  json["format"] = 1;
  json["dims"] = dims_;
  json["features"] = features_;
  json["values"] = values_;
  json["shift"] = shift_;
  json["scale"] = scale_;
  json["value_shift"] = value_shift_;
  json["value_scale"] = value_scale_;
  json["lengths"] = lengths_;
  json["amplitude"] = amplitude_;
  json["linear"] = linear_;
  json["noise"] = noise_;
  json["log_marginal_likelihood"] = log_likelihood_;
  return json.dump();
}

GaussianProcess GaussianProcess::from_json(const std::string& text) {
  const auto refuse = [](const std::string& what) { return Error(ErrorCode::kParse, "Gaussian process: " + what); };
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) throw refuse("the text is no JSON object");
  const auto number = [&](const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number()) throw refuse(std::string("key \"") + key + "\" must be a number");
    return found->get<double>();
  };
  const auto numbers = [&](const char* key, std::size_t size) {
    const auto found = json.find(key);
    const bool fits = found != json.end() && found->is_array() && (size == 0 || found->size() == size);
    const std::string wrong =
        std::string("key \"") + key + "\" must be a list" + (size ? " of " + std::to_string(size) : "") + " numbers";
    if (!fits) throw refuse(wrong);
    for (const auto& entry : *found) {
      if (!entry.is_number()) throw refuse(wrong);
    }
    return found->get<std::vector<double>>();
  };
  if (number("format") != 1) throw refuse("\"format\" is not 1; the file is from another version");
  GaussianProcess process;
  const double dims = number("dims");
  if (!(dims >= 1 && dims <= 1e6)) throw refuse("key \"dims\" must be at least 1");
  process.dims_ = static_cast<int>(dims);
  const auto width = static_cast<std::size_t>(process.dims_);
  process.values_ = numbers("values", 0);
  if (process.values_.size() < 2) throw refuse("key \"values\" needs at least 2 numbers");
  process.features_ = numbers("features", process.values_.size() * width);
  process.shift_ = numbers("shift", width);
  process.scale_ = numbers("scale", width);
  process.lengths_ = numbers("lengths", width);
  for (const double length : process.lengths_) {
    if (!(length > 0)) throw refuse("key \"lengths\" must hold numbers above 0");
  }
  process.value_shift_ = number("value_shift");
  process.value_scale_ = number("value_scale");
  process.amplitude_ = number("amplitude");
  process.linear_ = number("linear");
  process.noise_ = number("noise");
  process.log_likelihood_ = number("log_marginal_likelihood");
  if (!(process.noise_ > 0) || !(process.value_scale_ > 0))
    throw refuse("\"noise\" and \"value_scale\" must be above 0");
  process.solve();
  return process;
}

}  // namespace mmt
