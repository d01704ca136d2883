#include "mmt/cold_curve.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <unsupported/Eigen/NonLinearOptimization>
#include <unsupported/Eigen/NumericalDiff>

namespace mmt {
namespace {

// What is usual, and how far devices lie apart: natural logarithms, except for the steepness.
constexpr double kUsualTurnoverUs = 12e3, kTurnoverSpread = 0.5;  // In which others fill the cache once.
constexpr double kUsualScale = 1, kScaleSpread = 0.4;             // Of the largest cache.
constexpr double kUsualSteepness = 4, kSteepnessSpread = 1;
constexpr double kFlattest = 1, kSteepest = 8;
// A point's λ has this error where it rests on so much cold time. More time than the second makes it no surer, since
// other operators would have told something else.
constexpr double kPointError = 0.15, kPointUs = 300, kMostUs = 3000;
constexpr int kParameters = 3;

/// Of parameters: logarithm of the time in which others fill the cache, logarithm of the scale, steepness.
ColdCurve curve_of(const Eigen::VectorXd& parameters) {
  return {std::exp(parameters[1] - parameters[0]), std::exp(parameters[1]),
          std::clamp(parameters[2], kFlattest, kSteepest)};
}

struct Residuals {
  using Scalar = double;
  using InputType = Eigen::VectorXd;
  using ValueType = Eigen::VectorXd;
  using JacobianType = Eigen::MatrixXd;
  enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };

  const CacheCurve& chains;
  Eigen::Vector3d usual;

  int inputs() const { return kParameters; }
  int values() const { return static_cast<int>(chains.bytes.size()) + kParameters; }

  int operator()(const Eigen::VectorXd& parameters, Eigen::VectorXd& residuals) const {
    const ColdCurve curve = curve_of(parameters);
    for (std::size_t i = 0; i < chains.bytes.size(); ++i) {
      const auto row = static_cast<Eigen::Index>(i);
      residuals[row] = 0;
      const double cold_us = chains.cold_extra_us[i];
      if (!(cold_us > 0)) continue;
      // Quicker than hot: in small chains data is left in the level-2 cache. No more is told by how much.
      const double told = std::max(0.0, chains.extra_us[i] / cold_us);
      const double expected = curve.share(chains.bytes[i] + curve.others_bytes_per_us * chains.loop_us[i]);
      residuals[row] = (expected - told) / kPointError * std::sqrt(std::min(cold_us, kMostUs) / kPointUs);
    }
    const std::array<double, kParameters> spread{kTurnoverSpread, kScaleSpread, kSteepnessSpread};
    for (int i = 0; i < kParameters; ++i) {
      residuals[static_cast<Eigen::Index>(chains.bytes.size()) + i] =
          (parameters[i] - usual[i]) / spread[static_cast<std::size_t>(i)];
    }
    return 0;
  }
};

}  // namespace

ColdCurve ColdCurve::fit(const CacheCurve& chains, double cache_bytes) {
  const Residuals residuals{chains, {std::log(kUsualTurnoverUs), std::log(kUsualScale * cache_bytes), kUsualSteepness}};
  Eigen::VectorXd parameters = residuals.usual;
  if (chains.empty()) return curve_of(parameters);
  Eigen::NumericalDiff<Residuals> differentiated(residuals);
  Eigen::LevenbergMarquardt<Eigen::NumericalDiff<Residuals>> search(differentiated);
  search.minimize(parameters);
  return curve_of(parameters);
}

}  // namespace mmt
