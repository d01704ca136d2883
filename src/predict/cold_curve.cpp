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
constexpr double kUsualLonger = 3, kLongerSpread = 0.5;  // For weights that are read several times.
// A point's λ has this error where it rests on so much cold time. More time than the second makes it no surer, since
// other operators would have told something else.
constexpr double kPointError = 0.15, kPointUs = 300, kMostUs = 3000;
// Quicker than hot: part of the data is left in the level-2 cache, less of it in models than in chains of as many
// bytes.
constexpr double kUsualDepth = 0, kDepthSpread = 0.05, kDeepest = 0.08;
constexpr int kParameters = 5;

/// Of parameters: logarithm of the time in which others fill the cache, logarithm of the scale, steepness, logarithm of
/// how much longer weights stay that are read several times, depth.
ColdCurve curve_of(const Eigen::VectorXd& parameters) {
  return {std::exp(parameters[1] - parameters[0]), std::exp(parameters[1]),
          std::clamp(parameters[2], kFlattest, kSteepest), std::exp(parameters[3]),
          std::clamp(parameters[4], 0.0, kDeepest)};
}

struct Residuals {
  using Scalar = double;
  using InputType = Eigen::VectorXd;
  using ValueType = Eigen::VectorXd;
  using JacobianType = Eigen::MatrixXd;
  enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };

  const CacheCurve& chains;
  Eigen::Matrix<double, kParameters, 1> usual;

  int inputs() const { return kParameters; }
  int values() const { return 2 * static_cast<int>(chains.bytes.size()) + kParameters; }

  int operator()(const Eigen::VectorXd& parameters, Eigen::VectorXd& residuals) const {
    const ColdCurve curve = curve_of(parameters);
    const auto residual = [](double expected, double least, double extra_us, double cold_us) {
      if (!(cold_us > 0)) return 0.0;
      const double told = std::max(least, extra_us / cold_us);
      return (expected - told) / kPointError * std::sqrt(std::min(cold_us, kMostUs) / kPointUs);
    };
    Eigen::Index row = 0;
    for (std::size_t i = 0; i < chains.bytes.size(); ++i) {
      const double bytes = chains.bytes[i] + curve.others_bytes_per_us * chains.loop_us[i];
      residuals[row++] = residual(curve.share(bytes), -kDeepest, chains.extra_us[i], chains.cold_extra_us[i]);
      residuals[row++] = chains.tells_of_rereading() ? residual(curve.reread_share(bytes), 0, chains.reread_extra_us[i],
                                                                chains.reread_cold_extra_us[i])
                                                     : 0.0;
    }
    const std::array<double, kParameters> spread{kTurnoverSpread, kScaleSpread, kSteepnessSpread, kLongerSpread,
                                                 kDepthSpread};
    for (int i = 0; i < kParameters; ++i) {
      residuals[row++] = (parameters[i] - usual[i]) / spread[static_cast<std::size_t>(i)];
    }
    return 0;
  }
};

}  // namespace

ColdCurve ColdCurve::fit(const CacheCurve& chains, double cache_bytes) {
  const Residuals residuals{chains,
                            {std::log(kUsualTurnoverUs), std::log(kUsualScale * cache_bytes), kUsualSteepness,
                             std::log(kUsualLonger), kUsualDepth}};
  Eigen::VectorXd parameters = residuals.usual;
  if (chains.empty()) return curve_of(parameters);
  Eigen::NumericalDiff<Residuals> differentiated(residuals);
  Eigen::LevenbergMarquardt<Eigen::NumericalDiff<Residuals>> search(differentiated);
  search.minimize(parameters);
  return curve_of(parameters);
}

}  // namespace mmt
