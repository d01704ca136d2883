// The common scale: a run is cut into stretches ("columns") that get one speed factor each from a robust two-way fit
// (model × column), and stretches in which the machine was disturbed are recognised.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "mmt/stats.h"

namespace mmt::metering {

struct DriftLimits {
  double max_steal = 0.02;
  int max_retries = 3;
  bool retry_throttled = false;  ///< Otherwise throttled stretches are only remembered as such.
};

/// What was wrong with a column; nothing where all are false.
struct Disturbance {
  bool steal = false, drift = false, throttled = false;
  bool any() const { return steal || drift || throttled; }
};

class DriftScale {
 public:
  explicit DriftScale(const DriftLimits& limits) : limits_(limits) {}

  /// A new row of the fit: one kind of time of one model.
  int add_row() { return rows_++; }
  /// The column that samples belong to now.
  int column() const { return static_cast<int>(factors_.size()) - 1; }
  void begin_column();
  void add_cell(int row, double us);
  /// A share of CPU time taken by others over `duration_us`; shares below 0 are unknown and not counted.
  void add_steal(double share, double duration_us);
  void set_throttled() { throttled_ = true; }

  /// Ends the column. False: it was disturbed and its samples are to be dropped (its cells are dropped here).
  /// Disturbed columns are kept where retries do not help or `keep` is set, and remembered as such.
  bool close_column(bool keep = false);
  const Disturbance& disturbance(int column) const { return disturbances_[static_cast<std::size_t>(column)]; }

  /// Fits all columns anew; one that has only begun keeps the factor of that before it.
  void fit();
  /// From now on all fits keep the level of the columns so far, so that summaries that were given away stay comparable.
  void fix_anchor();
  /// Puts the level where `row` has the value `us` (the reference model, as an earlier run measured it).
  void set_anchor(int row, double us);

  std::span<const double> factors() const { return factors_; }
  int rejected_columns() const { return rejected_; }

 private:
  Disturbance judge(double level, double spread) const;
  bool worth_a_retry() const;
  bool has_only_begun() const;  ///< The current column, which has no cells.

  DriftLimits limits_;
  std::vector<Cell> cells_;
  std::size_t column_start_ = 0;  ///< First cell of the current column.
  std::vector<double> factors_;   ///< By column.
  std::vector<Disturbance> disturbances_;
  std::vector<bool> accepted_;
  std::vector<double> row_values_;        ///< Of the last fit.
  std::vector<double> levels_, spreads_;  ///< Of accepted columns, in order.
  int rows_ = 0;
  int anchor_columns_ = 0;
  int anchor_row_ = -1;
  double anchor_us_ = 0;
  double steal_us_ = 0, steal_known_us_ = 0;
  bool throttled_ = false;
  int retries_ = 0, rejected_ = 0;
};

}  // namespace mmt::metering
