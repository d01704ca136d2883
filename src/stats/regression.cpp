#include <algorithm>
#include <cmath>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

constexpr int kMostColumns = 16;

/// Weighted least squares by normal equations on columns scaled to unit length; columns that depend on earlier ones,
/// or that are switched off, get 0.
std::vector<double> weighted_least_squares(std::span<const double> design, int dims, std::span<const double> y,
                                           const std::vector<double>& weights, const std::vector<bool>& on) {
  const std::size_t rows = y.size();
  const auto d = static_cast<std::size_t>(dims);
  std::vector<double> matrix(d * d, 0), right(d, 0), scale(d, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    const double* line = design.data() + r * d;
    for (std::size_t a = 0; a < d; ++a) {
      const double weighted = weights[r] * line[a];
      for (std::size_t b = 0; b <= a; ++b) matrix[a * d + b] += weighted * line[b];
      right[a] += weighted * y[r];
    }
  }
  for (std::size_t a = 0; a < d; ++a) scale[a] = std::sqrt(matrix[a * d + a]);
  // Cholesky decomposition that skips columns without anything of their own.
  constexpr double kOwnShare = 1e-10;
  std::vector<bool> used(d, false);
  for (std::size_t a = 0; a < d; ++a) {
    if (!on[a] || !(scale[a] > 0)) continue;
    double pivot = 1;
    for (std::size_t b = 0; b <= a; ++b) {
      if (b != a && !used[b]) continue;
      double sum = matrix[a * d + b] / (scale[a] * scale[b]);
      for (std::size_t c = 0; c < b; ++c) {
        if (used[c]) sum -= matrix[c * d + a] * matrix[c * d + b];  // Factors live in the upper triangle: (c, a).
      }
      if (b < a) {
        matrix[b * d + a] = sum / matrix[b * d + b];
      } else {
        pivot = sum;
      }
    }
    if (pivot <= kOwnShare) continue;
    used[a] = true;
    // The diagonal entry was read for the last time above.
    matrix[a * d + a] = std::sqrt(pivot);
  }
  std::vector<double> solution(d, 0);
  for (std::size_t a = 0; a < d; ++a) {
    if (!used[a]) continue;
    double sum = right[a] / scale[a];
    for (std::size_t c = 0; c < a; ++c) {
      if (used[c]) sum -= matrix[c * d + a] * solution[c];
    }
    solution[a] = sum / matrix[a * d + a];
  }
  for (std::size_t a = d; a-- > 0;) {
    if (!used[a]) continue;
    double sum = solution[a];
    for (std::size_t b = a + 1; b < d; ++b) {
      if (used[b]) sum -= matrix[a * d + b] * solution[b];
    }
    solution[a] = sum / matrix[a * d + a];
  }
  for (std::size_t a = 0; a < d; ++a) solution[a] = used[a] ? solution[a] / scale[a] : 0.0;
  return solution;
}

/// Residuals times their rows' weights; rows of weight 0 stay out.
std::vector<double> weighted_residuals(std::span<const double> design, int dims, std::span<const double> y,
                                       const std::vector<double>& row_weights, const std::vector<double>& solution) {
  std::vector<double> residuals(y.size());
  for (std::size_t r = 0; r < y.size(); ++r) {
    double value = y[r];
    for (int a = 0; a < dims; ++a) value -= design[r * dims + a] * solution[a];
    residuals[r] = value * row_weights[r];
  }
  return residuals;
}

double robust_scale(const std::vector<double>& residuals, const std::vector<double>& row_weights) {
  std::vector<double> sizes;
  for (std::size_t r = 0; r < residuals.size(); ++r) {
    if (row_weights[r] > 0) sizes.push_back(std::abs(residuals[r]));
  }
  return sizes.empty() ? 0.0 : kNormalMad * median_in_place(sizes);
}

LinearFit fit_columns(std::span<const double> design, int dims, std::span<const double> y,
                      const std::vector<double>& row_weights, const std::vector<bool>& on) {
  LinearFit fit;
  std::vector<double> weights(y.size());
  double size = 0;
  for (std::size_t r = 0; r < y.size(); ++r) {
    weights[r] = row_weights[r] * row_weights[r];
    size = std::max(size, std::abs(y[r]) * row_weights[r]);
  }
  fit.coefficients = weighted_least_squares(design, dims, y, weights, on);
  const double smallest = std::max(1e-13 * size, 1e-300);
  constexpr int kAbsoluteSteps = 50, kBoundedSteps = 50;
  constexpr double kBound = 4.685;  // Bisquare: 95 % efficient on normal residuals.
  double scale = 0;
  for (int step = 0; step < kAbsoluteSteps + kBoundedSteps; ++step) {
    const auto residuals = weighted_residuals(design, dims, y, row_weights, fit.coefficients);
    const bool absolute = step < kAbsoluteSteps;
    // The scale of the first stage stays: were it estimated again, the second stage could run away from its start.
    if (step <= kAbsoluteSteps) scale = robust_scale(residuals, row_weights);
    if (scale <= smallest) break;  // More than half of the rows fit exactly.
    for (std::size_t r = 0; r < y.size(); ++r) {
      const double away = std::abs(residuals[r]) / scale;
      double factor;
      if (absolute) {
        factor = 1 / std::max(away, 1e-3);
      } else {
        const double rest = 1 - (away / kBound) * (away / kBound);
        factor = rest > 0 ? rest * rest : 0.0;
      }
      weights[r] = row_weights[r] * row_weights[r] * factor;
    }
    const auto next = weighted_least_squares(design, dims, y, weights, on);
    double moved = 0;
    for (int a = 0; a < dims; ++a) {
      moved = std::max(moved, std::abs(next[a] - fit.coefficients[a]) / std::max(std::abs(next[a]), 1e-300));
    }
    fit.coefficients = next;
    ++fit.iterations;
    if (moved < 1e-9) {
      if (!absolute) break;
      step = kAbsoluteSteps - 1;
    }
  }
  fit.scale = robust_scale(weighted_residuals(design, dims, y, row_weights, fit.coefficients), row_weights);
  return fit;
}

}  // namespace

LinearFit robust_linear_fit(std::span<const double> design, int dims, std::span<const double> y,
                            const LinearFitOptions& options) {
  require(dims >= 1 && dims <= kMostColumns, "a linear fit takes 1 to 16 columns");
  require(!y.empty(), "a linear fit needs at least one row");
  require(design.size() == y.size() * static_cast<std::size_t>(dims), "design and values of a linear fit do not match");
  require(options.weights.empty() || options.weights.size() == y.size(),
          "weights and values of a linear fit do not match");
  require_finite(design);
  require_finite(y);
  require_finite(options.weights);
  for (const double weight : options.weights) require(weight >= 0, "a weight of a linear fit is negative");
  const std::vector<double> weights = options.weights.empty() ? std::vector<double>(y.size(), 1.0) : options.weights;
  std::vector<bool> on(dims, true);
  for (;;) {
    LinearFit fit = fit_columns(design, dims, y, weights, on);
    if (!options.nonnegative) return fit;
    // Leaves out the column that is wrong by most of the values' size, then fits the others again.
    int worst = -1;
    double worst_pull = 0;
    for (int a = 0; a < dims; ++a) {
      if (fit.coefficients[a] >= 0) continue;
      double length = 0;
      for (std::size_t r = 0; r < y.size(); ++r) length += std::abs(design[r * dims + a]) * weights[r];
      if (-fit.coefficients[a] * length >= worst_pull) {
        worst_pull = -fit.coefficients[a] * length;
        worst = a;
      }
    }
    if (worst < 0) return fit;
    on[worst] = false;
  }
}

LineFit robust_line(std::span<const double> x, std::span<const double> y, const LinearFitOptions& options) {
  require(x.size() == y.size(), "the two sides of a line fit differ in number");
  std::vector<double> design(2 * x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    design[2 * i] = 1;
    design[2 * i + 1] = x[i];
  }
  const LinearFit fit = robust_linear_fit(design, 2, y, options);
  return {fit.coefficients[0], fit.coefficients[1], fit.scale};
}

LineFit theil_sen(std::span<const double> x, std::span<const double> y) {
  require(x.size() == y.size(), "the two sides of a line fit differ in number");
  require(!x.empty(), "a line fit needs at least one point");
  require_finite(x);
  require_finite(y);
  const std::size_t n = x.size();
  // Two million pairs are enough for any precision that timings have; strides that grow keep the selection spread out.
  constexpr std::size_t kAllPairs = 2000;
  std::vector<double> slopes;
  const std::size_t per_point = n <= kAllPairs ? n : kAllPairs / 2;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 1; k < per_point; ++k) {
      const std::size_t j = n <= kAllPairs ? i + k : i + 1 + k * (n - 1) / per_point;
      if (j >= n) break;
      if (x[i] != x[j]) slopes.push_back((y[j] - y[i]) / (x[j] - x[i]));
    }
  }
  LineFit fit;
  if (!slopes.empty()) fit.b = median_in_place(slopes);
  std::vector<double> rest(n);
  for (std::size_t i = 0; i < n; ++i) rest[i] = y[i] - fit.b * x[i];
  fit.a = median_in_place(rest);
  for (double& value : rest) value = std::abs(value - fit.a);
  fit.scale = kNormalMad * median_in_place(rest);
  return fit;
}

}  // namespace mmt
