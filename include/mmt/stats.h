// Statistics of measurements: pure functions without state, clock or randomness; the same input gives the same output.
//
// Samples are times in any unit unless a name says otherwise. Values that are not finite, and lengths that do not fit
// together, throw Error(kInvalidArgument). Nothing here depends on the order of samples except where it says so.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mmt/summary.h"

namespace mmt {

// ---- one sample ----------------------------------------------------------------------------------------------------

/// Quantile q (0…1) by linear interpolation between order statistics. Throws on an empty sample.
double quantile(std::span<const double> values, double q);
/// The same for values that are sorted already.
double quantile_sorted(std::span<const double> sorted, double q);

double median(std::span<const double> values);
/// The value with half of the weight on either side. Throws on an empty sample and where lengths differ.
double weighted_median(std::span<const double> values, std::span<const double> weights);

/// Median absolute deviation from the median, unscaled. Times kNormalMad it estimates a normal standard deviation.
double mad(std::span<const double> values);
inline constexpr double kNormalMad = 1.4826022185056018;

struct Interval {
  double low = 0, high = 0;
};

/// Confidence interval of the median from order statistics, so without any assumption on the distribution: binomial
/// ranks, interpolated between the two nearest ranks to come close to `confidence`. Below 6 samples even the whole
/// range covers less than 95 %; then the range is given (see `relative_half_width`). Input sorted, not empty.
Interval median_interval_sorted(std::span<const double> sorted, double confidence = 0.95);

/// Two separate modes in a sample.
struct Modes {
  bool bimodal = false;
  double dip = 0;            ///< Hartigan's dip: largest distance to the nearest unimodal distribution, 0…0.25.
  double low = 0, high = 0;  ///< Medians of the two sides of the best split.
  double high_share = 0;     ///< Share of the samples on the high side.
};

/// A sample counts as bimodal where no unimodal distribution, however skewed, is likely to have made it (dip test,
/// false alarms well below 1 %), each side holds at least a tenth of it, and the modes lie at least `min_separation`
/// (share of the lower one) apart. Needs at least 12 samples; with fewer nothing is bimodal. Rare outliers are no mode.
Modes find_modes(std::span<const double> values, double min_separation = 0.02);

/// Hartigan's dip of a sorted sample (0 where there are fewer than 4 values or all are equal).
double dip_sorted(std::span<const double> sorted);

/// Summary in microseconds; count 0 where there are no samples. `noisy` is set where the samples are bimodal or, with
/// target_ci > 0, where the interval's relative half-width is above target_ci.
Summary summarize(std::span<const double> values_us, double target_ci = 0);

/// Half-width of the median's interval as a share of the median; infinity below 6 samples or at a median of 0 or less.
double relative_half_width(const Summary& summary) noexcept;

/// Standard error of the median that the summary's interval (below 6 samples: its range) implies; infinity where one
/// sample or none gives no idea of it.
double median_standard_error(const Summary& summary) noexcept;

/// A sample that lies farther from the median (a share of it) says more about one disturbance than about the quantity.
inline constexpr double kMostSkew = 0.1;

/// What a quantity adds to a sum. Medians of skewed parts add up to less than the median of their sum: short
/// disturbances miss most kernels, but every whole run has its share of them (0.5 to 2 % were seen); and means add up
/// to more, since a disturbance that is longer than a kernel and rarer than a run is in them, but not in the median of
/// runs. So it is the mean of the samples, each held within kMostSkew of the median; of a summary without it, the mean
/// that is held so.
double expected_us(const Summary& summary) noexcept;

struct StopRule {
  int min_times = 8;  ///< Never stop before.
  int times = 100;    ///< Always stop here.
  double target_ci = 0.01;
};
/// True where the quantity needs no more samples: enough of them and a narrow interval, or `times` of them.
bool may_stop(const Summary& summary, const StopRule& rule) noexcept;
/// Estimated samples still to take under `rule` (the width falls with the square root of the count); 0 where done.
int samples_left(const Summary& summary, const StopRule& rule) noexcept;

// ---- many samples: drift and pooling -------------------------------------------------------------------------------

/// One measurement: quantity `row` in round `column`. Several for the same pair are fine, as are absent pairs.
struct Cell {
  int row = 0, column = 0;
  double value = 0;  ///< Above 0.
};

/// value ≈ row_value[row] · column_factor[column]
struct TwoWayFit {
  std::vector<double> row_value;  ///< NaN for a row without cells.
  /// Median 1 (of the logarithms: 0) over the columns with cells of each component; 1 for a column without cells.
  std::vector<double> column_factor;
  std::vector<double> row_spread;  ///< Robust relative standard deviation of a row's cells; NaN for an empty row.
  std::vector<int> component;      ///< Of each row: rows of different components share no round, so their scales
                                   ///< cannot be compared. -1 for an empty row.
  int components = 0;
  int iterations = 0;
  bool converged = false;
};

/// Robust two-way fit on the logarithm, solved jointly, so that batches which only a reference row links come out on
/// one scale too: least absolute residuals first, then steps that weigh each row by its own spread and bound the pull
/// of outliers; row values are medians. Rows and columns are counted from 0; `rows`, `columns`: how many there are.
TwoWayFit two_way_fit(std::span<const Cell> cells, int rows, int columns);

struct Pooled {
  double value = 0;
  double standard_error = 0;  ///< Infinity where no source tells its own and there is only one.
  double between = 0;         ///< Standard deviation between sources beyond their own errors.
  int sources = 0;
};

/// Pools estimates of one quantity from several sources: weights from each source's standard error and from the
/// spread between sources, outlying sources bounded. Errors may be infinity (weight only where all are); not negative.
Pooled pool_estimates(std::span<const double> values, std::span<const double> standard_errors);

// ---- predictions against measurements ------------------------------------------------------------------------------

/// Errors of predictions, relative to the true values. Percentages are 0…100, shares 0…1.
struct ErrorMetrics {
  std::int64_t count = 0;
  double mape_pct = 0;     ///< Mean absolute.
  double bias_pct = 0;     ///< Mean signed; positive: predicted too high.
  double max_pct = 0;      ///< Largest absolute.
  double rmspe_pct = 0;    ///< Root mean square.
  double within_5pct = 0;  ///< Share of the predictions that are off by at most 5 %.
  double within_10pct = 0;
  double spearman = 0;  ///< Rank correlations; NaN where one side is constant or count < 2.
  double kendall = 0;
};

/// Throws where lengths differ, nothing is given, or a true value is not above 0.
ErrorMetrics error_metrics(std::span<const double> truth, std::span<const double> predicted);

/// Share of predictions that are off by at most `percent`.
double share_within(std::span<const double> truth, std::span<const double> predicted, double percent);

/// Spearman's rank correlation; ties get their mean rank. NaN where it is not defined.
double spearman(std::span<const double> x, std::span<const double> y);

/// Kendall's tau-b in O(n log n). NaN where it is not defined.
double kendall(std::span<const double> x, std::span<const double> y);

// ---- robust regression ---------------------------------------------------------------------------------------------

/// y ≈ a + b·x
struct LineFit {
  double a = 0, b = 0;
  double scale = 0;  ///< Robust standard deviation of the residuals (weighted, where weights are given).
};

/// Median of the slopes between all pairs of points with different x (a fixed selection of pairs above 2,000 points);
/// stands up to 29 % of wild points. All x equal: b = 0 and a = median. Throws on no points.
LineFit theil_sen(std::span<const double> x, std::span<const double> y);

/// y ≈ Σ coefficient[k] · design[row · dims + k]
struct LinearFit {
  std::vector<double> coefficients;
  double scale = 0;  ///< Robust standard deviation of the weighted residuals.
  int iterations = 0;
};

struct LinearFitOptions {
  std::vector<double> weights;  ///< One per row, for example 1/standard error; empty: all equal. Zero drops a row.
  bool nonnegative = false;     ///< Columns whose coefficient would be negative are left out (coefficient 0).
};

/// Robust linear regression for few columns (at most 16): least absolute residuals first, then bounded influence
/// (bisquare) around it. Columns that depend on others get 0. Throws where the lengths do not fit or rows < 1.
LinearFit robust_linear_fit(std::span<const double> design, int dims, std::span<const double> y,
                            const LinearFitOptions& options = {});

/// robust_linear_fit with the columns 1 and x.
LineFit robust_line(std::span<const double> x, std::span<const double> y, const LinearFitOptions& options = {});

}  // namespace mmt
