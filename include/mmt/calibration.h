// Calibration: what a few measured models tell about a table's errors.
//
// A prediction is a sum of rows, and each row is off by a share of its own that all models with that row have in
// common, beside what is off for the whole table (the machine's speed) and for how cold models run:
//   log(measured / predicted) = scale + Σ share of the row · its error + cold share · error of λ + noise
// Errors of rows and of λ are small and as likely too high as too low; the scale may be anything. How large the errors
// of rows are against the noise of the measured models, these models tell themselves (restricted maximum likelihood,
// with weak priors that keep a handful of models from being explained by absurd ones). Models that have no row in
// common with the measured ones get the scale alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mmt/plan.h"
#include "mmt/predict.h"

namespace mmt {

/// What a prediction is made of.
struct PredictionParts {
  /// Of the latency, by kernel key; by operator in tables that hold whole runs only.
  std::map<std::string, double> shares;
  double cold = 0;  ///< What the latency grows by when λ grows by 1, as a share of it.
};

PredictionParts parts_of(const ModelPlan& plan, const Prediction& prediction);

/// What predictions of a table are to be multiplied by.
class Calibration {
 public:
  struct Factor {
    double factor = 1;
    /// Standard deviation of the logarithm of a new measurement around it.
    double deviation = 0;
  };

  /// `ratios`: measured over predicted latency, one per model. At least one model, at most 2,000. Throws
  /// Error(kInvalidArgument) where lists differ in length and for ratios that are not above 0.
  static Calibration fit(const std::vector<PredictionParts>& models, const std::vector<double>& ratios);

  Factor factor(const PredictionParts& parts) const;
  /// For each of the models that it was made of: what the others alone tell.
  std::vector<Factor> leave_one_out() const;

  double noise() const { return noise_; }          ///< Standard deviation of a measured model, as a share.
  double row_error() const { return row_error_; }  ///< The same of a row.
  int count() const { return static_cast<int>(logs_.size()); }

  /// Everything that from_json needs to give the same factors.
  std::string to_json() const;
  /// Throws Error(kParse) that names the key.
  static Calibration from_json(const std::string& text);

 private:
  void find_sizes();  ///< Of the noise and of rows' errors.
  void solve();
  double covariance(const PredictionParts& a, const PredictionParts& b) const;

  std::vector<PredictionParts> models_;
  std::vector<double> logs_;  ///< Of the ratios.
  double noise_ = 0, row_error_ = 0;
  // Solved: the scale and its variance, inverse covariance · (logs - scale), · 1, and itself (row-major).
  double scale_ = 0, scale_variance_ = 0, widening_ = 1;
  std::vector<double> weights_, ones_, inverse_;
};

}  // namespace mmt
