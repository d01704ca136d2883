#include "predict/gaussian_process_kernel.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

namespace mmt::gp {
namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const Eigen::VectorXd> as_vector(std::span<const double> values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}

}  // namespace

double covariance(const Hyperparameters& h, std::span<const double> a, std::span<const double> b) {
  double distance = 0, product = 1;
  for (std::size_t d = 0; d < a.size(); ++d) {
    const double away = (a[d] - b[d]) / h.lengths[d];
    distance += away * away;
    product += a[d] * b[d];
  }
  return h.amplitude * h.amplitude * std::exp(-0.5 * distance) +
         h.linear * h.linear * product / (1 + static_cast<double>(a.size()));
}

struct Objective::Data {
  Eigen::VectorXd y;
  bool linear = true;
  double min_noise = 0;
  int dims = 0;
  std::vector<Eigen::MatrixXd> squares;  ///< Squared differences, per length.
  Eigen::MatrixXd products;

  std::size_t first_length() const { return linear ? 3 : 2; }
};

Objective::Objective(std::span<const double> rows, int dims, std::span<const double> values, bool linear,
                     bool separate_lengths, double min_noise, double usual_noise, double usual_signal)
    : data_(std::make_unique<Data>()) {
  const auto n = static_cast<Eigen::Index>(values.size());
  const Eigen::Map<const RowMatrix> x(rows.data(), n, dims);
  data_->y = as_vector(values);
  data_->linear = linear;
  data_->min_noise = min_noise;
  data_->dims = dims;
  for (int d = 0; d < dims; ++d) {
    Eigen::MatrixXd square =
        (x.col(d).replicate(1, n) - x.col(d).transpose().replicate(n, 1)).array().square().matrix();
    if (d == 0 || separate_lengths) {
      data_->squares.push_back(std::move(square));
    } else {
      data_->squares.front() += square;
    }
  }
  data_->products = ((x * x.transpose()).array() + 1).matrix() / (1.0 + dims);
  // Weak priors on the logarithms, over standardised data: values vary by about 1, and lengths grow with the number of
  // features (as distances do).
  const double length = std::log(2.0) + 0.5 * std::log(static_cast<double>(dims));
  prior_mean_ = {std::log(usual_signal), std::log(usual_noise)};
  if (linear) prior_mean_.push_back(std::log(usual_signal));
  prior_mean_.insert(prior_mean_.end(), data_->squares.size(), length);
  prior_deviation_.assign(prior_mean_.size(), 1.0);
}

Objective::~Objective() = default;

Hyperparameters Objective::decode(std::span<const double> parameters) const {
  Hyperparameters h;
  h.amplitude = std::exp(parameters[0]);
  h.noise = std::hypot(std::exp(parameters[1]), data_->min_noise);
  h.linear = data_->linear ? std::exp(parameters[2]) : 0.0;
  for (int d = 0; d < data_->dims; ++d) {
    h.lengths.push_back(std::exp(parameters[data_->first_length() + (data_->squares.size() > 1 ? d : 0)]));
  }
  return h;
}

double Objective::log_prior(std::span<const double> parameters) const {
  double sum = 0;
  for (std::size_t k = 0; k < size(); ++k) {
    const double away = (parameters[k] - prior_mean_[k]) / prior_deviation_[k];
    sum -= 0.5 * away * away;
  }
  return sum;
}

double Objective::value(std::span<const double> parameters, std::span<double> gradient) const {
  const Eigen::Index n = data_->y.size();
  const std::size_t first = data_->first_length();
  const Hyperparameters h = decode(parameters);
  Eigen::MatrixXd distance = Eigen::MatrixXd::Zero(n, n);
  for (std::size_t k = 0; k < data_->squares.size(); ++k) {
    distance += std::exp(-2 * parameters[first + k]) * data_->squares[k];
  }
  const Eigen::MatrixXd smooth = h.amplitude * h.amplitude * (-0.5 * distance.array()).exp().matrix();
  const Eigen::MatrixXd straight = h.linear * h.linear * data_->products;
  Eigen::MatrixXd total = smooth + straight;
  total.diagonal().array() += h.noise * h.noise;
  const Eigen::LLT<Eigen::MatrixXd> factor(total);
  std::fill(gradient.begin(), gradient.end(), 0.0);
  if (factor.info() != Eigen::Success) return -std::numeric_limits<double>::infinity();
  const Eigen::VectorXd alpha = factor.solve(data_->y);
  const Eigen::MatrixXd inverse = factor.solve(Eigen::MatrixXd::Identity(n, n));
  // d/dθ = ½ tr((ααᵀ − K⁻¹) dK/dθ); all factors below are symmetric.
  const Eigen::MatrixXd pull = alpha * alpha.transpose() - inverse;
  const Eigen::MatrixXd smooth_pull = pull.cwiseProduct(smooth);
  gradient[0] = smooth_pull.sum();
  gradient[1] = pull.trace() * std::exp(2 * parameters[1]);
  if (data_->linear) gradient[2] = pull.cwiseProduct(straight).sum();
  for (std::size_t k = 0; k < data_->squares.size(); ++k) {
    gradient[first + k] =
        0.5 * smooth_pull.cwiseProduct(data_->squares[k]).sum() * std::exp(-2 * parameters[first + k]);
  }
  for (std::size_t k = 0; k < size(); ++k) {
    gradient[k] -= (parameters[k] - prior_mean_[k]) / (prior_deviation_[k] * prior_deviation_[k]);
  }
  const double log_determinant = 2 * factor.matrixLLT().diagonal().array().log().sum();
  return -0.5 * (data_->y.dot(alpha) + log_determinant + static_cast<double>(n) * std::log(2 * M_PI)) +
         log_prior(parameters);
}

double Objective::log_likelihood(std::span<const double> parameters) const {
  std::vector<double> gradient(size());
  return value(parameters, gradient) - log_prior(parameters);
}

std::vector<double> maximise(const Objective& objective, const std::vector<double>& start, double* best) {
  const auto evaluate = [&](const Eigen::VectorXd& at, Eigen::VectorXd& gradient) {
    gradient.resize(at.size());
    return objective.value({at.data(), objective.size()}, {gradient.data(), objective.size()});
  };
  struct Step {
    Eigen::VectorXd moved, turned;
  };
  constexpr int kMostSteps = 150;
  constexpr std::size_t kMemory = 8;
  std::deque<Step> memory;
  Eigen::VectorXd at = as_vector(start), gradient, next_gradient;
  double value = evaluate(at, gradient);
  for (int step = 0; step < kMostSteps && gradient.norm() > 1e-5 && std::isfinite(value); ++step) {
    Eigen::VectorXd direction = gradient;
    std::vector<double> parts(memory.size());
    for (std::size_t i = memory.size(); i-- > 0;) {
      parts[i] = memory[i].moved.dot(direction) / memory[i].moved.dot(memory[i].turned);
      direction -= parts[i] * memory[i].turned;
    }
    if (!memory.empty()) {
      direction *= memory.back().moved.dot(memory.back().turned) / memory.back().turned.squaredNorm();
    }
    for (std::size_t i = 0; i < memory.size(); ++i) {
      const double part = memory[i].turned.dot(direction) / memory[i].moved.dot(memory[i].turned);
      direction += (parts[i] - part) * memory[i].moved;
    }
    if (!(direction.dot(gradient) > 0)) {
      direction = gradient;
      memory.clear();
    }
    // No more than a factor of e² at once: far away the covariance degenerates.
    direction *= std::min(1.0, 2.0 / direction.cwiseAbs().maxCoeff());
    double length = 1, next = -std::numeric_limits<double>::infinity();
    for (int half = 0; half < 25; ++half, length *= 0.5) {
      next = evaluate(at + length * direction, next_gradient);
      if (next >= value + 1e-4 * length * direction.dot(gradient)) break;
    }
    if (!(next > value)) break;
    const Step taken{length * direction, gradient - next_gradient};
    if (taken.moved.dot(taken.turned) > 1e-12 * taken.moved.norm() * taken.turned.norm()) {
      memory.push_back(taken);
      if (memory.size() > kMemory) memory.pop_front();
    }
    const double gained = next - value;
    at += taken.moved;
    gradient = next_gradient;
    value = next;
    if (gained < 1e-9 * (1 + std::abs(value))) break;
  }
  *best = value;
  return {at.data(), at.data() + at.size()};
}

}  // namespace mmt::gp
