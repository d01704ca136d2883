// The covariance of the Gaussian process and its marginal likelihood with gradients (private).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace mmt::gp {

struct Hyperparameters {
  std::vector<double> lengths;
  double amplitude = 1, linear = 0, noise = 0.1;
};

/// Between two standardised points, without noise.
double covariance(const Hyperparameters& h, std::span<const double> a, std::span<const double> b);

/// Logarithm of the marginal likelihood plus weak priors, over logarithms of the hyperparameters in the order
/// amplitude, noise, [linear,] lengths (one, or one per feature).
class Objective {
 public:
  /// `rows`: standardised features, row-major; `values`: standardised.
  Objective(std::span<const double> rows, int dims, std::span<const double> values, bool linear, bool separate_lengths,
            double min_noise, double usual_noise = 0.3, double usual_signal = 0.6);
  ~Objective();

  std::size_t size() const { return prior_mean_.size(); }
  /// −infinity where the covariance is not positive definite. `gradient`: as long as `parameters`.
  double value(std::span<const double> parameters, std::span<double> gradient) const;
  Hyperparameters decode(std::span<const double> parameters) const;
  /// Without the priors.
  double log_likelihood(std::span<const double> parameters) const;

  const std::vector<double>& prior_mean() const { return prior_mean_; }
  const std::vector<double>& prior_deviation() const { return prior_deviation_; }

 private:
  struct Data;
  double log_prior(std::span<const double> parameters) const;
  std::unique_ptr<Data> data_;
  std::vector<double> prior_mean_, prior_deviation_;
};

/// Maximises by limited-memory quasi-Newton steps with backtracking; `best` receives the value reached.
std::vector<double> maximise(const Objective& objective, const std::vector<double>& start, double* best);

}  // namespace mmt::gp
