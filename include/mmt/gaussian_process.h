// Gaussian process regression for small calibration sets: how far whole models lie from their predictions.
//
// Typical use: x = features of a prediction (its parts' shares, size, …), y = log(measured / predicted), n ≤ 200
// models. Features and values are standardised inside; the covariance is
//   amplitude² · exp(−½ Σ ((x − x')/length)²) + linear² · (1 + x·x')/(1 + d) + noise² (on the diagonal)
// with one length per feature (or one for all) and hyperparameters at the maximum of the marginal likelihood times weak
// priors, which keep a handful of points from being explained by absurd ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mmt {

struct GaussianProcessOptions {
  bool linear = true;            ///< With the linear part, which goes on beyond the measured range.
  bool separate_lengths = true;  ///< One length per feature; false (also used where n < 10·d): one for all.
  int starts = 6;                ///< Starting points of the maximisation, spread deterministically from `seed`.
  std::uint64_t seed = 1;
  double min_noise = 1e-3;  ///< Least noise, as a share of the values' standard deviation.
  /// Where the priors expect the noise and the size of what can be learned (smooth and linear part), as the same share.
  double usual_noise = 0.3, usual_signal = 0.6;
};

struct GaussianProcessPrediction {
  double mean = 0;
  /// Of a new measurement: noise included, and widened for what few rows cannot tell about the hyperparameters, so that
  /// mean ± 1.96 standard deviations holds about 95 % of new measurements (some per cent fewer
  /// below twenty rows).
  double standard_deviation = 0;
};

class GaussianProcess {
 public:
  /// `features`: row-major, `dims` columns; `values`: one per row. At least 2 rows and at most 2,000; duplicates are
  /// fine, constant columns are ignored. Throws Error(kInvalidArgument) for lengths that do not fit and values that
  /// are not finite.
  static GaussianProcess fit(std::span<const double> features, int dims, std::span<const double> values,
                             const GaussianProcessOptions& options = {});

  int dims() const { return dims_; }
  int count() const { return static_cast<int>(values_.size()); }

  /// One row of features.
  GaussianProcessPrediction predict(std::span<const double> row) const;
  /// Several rows, row-major.
  std::vector<GaussianProcessPrediction> predict_rows(std::span<const double> rows) const;
  /// For each fitted row: the prediction of a process that has not seen it (same hyperparameters). For honest errors.
  std::vector<GaussianProcessPrediction> leave_one_out() const;

  double log_marginal_likelihood() const { return log_likelihood_; }
  /// In units of the standardised features (infinity-like for features that do not matter), one per feature.
  const std::vector<double>& lengths() const { return lengths_; }
  double noise() const;  ///< Standard deviation of the noise, in units of the values.

  /// Everything that `from_json` needs to predict the same numbers.
  std::string to_json() const;
  /// Throws Error(kParse) that names the key.
  static GaussianProcess from_json(const std::string& text);

 private:
  void solve();  ///< From data and hyperparameters to what predictions need.
  std::vector<double> standardised(std::span<const double> row) const;

  int dims_ = 0;
  std::vector<double> features_, values_;  ///< As given.
  std::vector<double> shift_, scale_;      ///< Standardisation of the features; scale 0 for a constant column.
  double value_shift_ = 0, value_scale_ = 1;
  std::vector<double> lengths_;
  double amplitude_ = 1, linear_ = 0, noise_ = 1;
  double log_likelihood_ = 0;
  // Solved: standardised rows, inverse covariance · values, lower Cholesky factor (row-major).
  std::vector<double> rows_, weights_, factor_;
  double widening_ = 1;
};

}  // namespace mmt
