#include "meter/drift.h"

#include <algorithm>
#include <cmath>

namespace mmt::metering {
namespace {

constexpr double kShortestStealWindowUs = 1e5;  ///< The system counts steal in ticks of 10 ms.
constexpr std::size_t kFewestCells = 8;         ///< Below, a column's own level says little.
constexpr std::size_t kHistory = 8;             ///< Columns that the next one is compared with.
constexpr double kLevelJump = 0.10;             ///< Always believable within a stretch: speed changes below this.

std::span<const double> last(const std::vector<double>& values, std::size_t count) {
  const std::size_t size = std::min(values.size(), count);
  return std::span<const double>(values).last(size);
}

}  // namespace

void DriftScale::begin_column() {
  steal_us_ = steal_known_us_ = 0;
  throttled_ = false;
  const bool unused = !factors_.empty() && cells_.size() == column_start_ && accepted_.back();
  if (unused) return;
  factors_.push_back(factors_.empty() ? 1.0 : factors_.back());
  disturbances_.emplace_back();
  accepted_.push_back(true);
  column_start_ = cells_.size();
}

void DriftScale::add_cell(int row, double us) {
  if (us > 0 && std::isfinite(us)) cells_.push_back({row, column(), us});
}

void DriftScale::add_steal(double share, double duration_us) {
  if (share < 0) return;
  steal_us_ += share * duration_us;
  steal_known_us_ += duration_us;
}

Disturbance DriftScale::judge(double level, double spread) const {
  Disturbance found;
  found.throttled = throttled_;
  found.steal = steal_known_us_ >= kShortestStealWindowUs && steal_us_ > limits_.max_steal * steal_known_us_;
  if (levels_.size() >= 4 && !spreads_.empty() && std::isfinite(level)) {
    const auto levels = last(levels_, kHistory);
    const auto spreads = last(spreads_, 4 * kHistory);
    const double jump = std::abs(level - median(levels));
    found.drift = jump > std::max(kLevelJump, 5 * kNormalMad * mad(levels)) || spread > 3 * median(spreads) + 0.02;
  }
  return found;
}

bool DriftScale::worth_a_retry() const {
  // A machine that is disturbed all the time does not get better by waiting: at most half as many stretches again.
  const int kept = static_cast<int>(factors_.size()) - rejected_;
  return retries_ < limits_.max_retries && rejected_ < limits_.max_retries + kept / 2;
}

bool DriftScale::close_column(bool keep) {
  const auto current = static_cast<std::size_t>(column());
  std::vector<double> residuals;
  for (std::size_t i = column_start_; i < cells_.size(); ++i) {
    const auto row = static_cast<std::size_t>(cells_[i].row);
    if (row < row_values_.size() && row_values_[row] > 0) {
      residuals.push_back(std::log(cells_[i].value / row_values_[row]));
    }
  }
  double level = std::nan(""), spread = 0;
  if (residuals.size() >= kFewestCells) {
    level = median(residuals);
    spread = kNormalMad * mad(residuals);
    factors_[current] = std::exp(level);  // Good enough until the next fit.
  }
  const Disturbance found = judge(level, spread);
  disturbances_[current] = found;
  const bool retry = found.steal || found.drift || (found.throttled && limits_.retry_throttled);
  if (retry && !keep && worth_a_retry()) {
    cells_.resize(column_start_);
    accepted_[current] = false;
    ++retries_;
    ++rejected_;
    return false;
  }
  retries_ = 0;
  if (std::isfinite(level)) {
    levels_.push_back(level);
    spreads_.push_back(spread);
  }
  return true;
}

bool DriftScale::has_only_begun() const { return factors_.size() > 1 && cells_.size() == column_start_; }

void DriftScale::fit() {
  if (cells_.empty()) return;
  const TwoWayFit result = two_way_fit(cells_, rows_, static_cast<int>(factors_.size()));
  row_values_ = result.row_value;
  double scale = 1.0;
  if (anchor_row_ >= 0 && row_values_[static_cast<std::size_t>(anchor_row_)] > 0) {
    scale = row_values_[static_cast<std::size_t>(anchor_row_)] / anchor_us_;
  } else if (anchor_columns_ > 0) {
    std::vector<double> levels;
    for (int i = 0; i < anchor_columns_; ++i) {
      const auto index = static_cast<std::size_t>(i);
      if (accepted_[index]) levels.push_back(result.column_factor[index]);
    }
    if (!levels.empty()) scale = 1.0 / median(levels);
  }
  // factor · scale: times are divided by factors, so a larger factor makes them smaller.
  for (std::size_t i = 0; i < factors_.size(); ++i) factors_[i] = result.column_factor[i] * scale;
  for (double& value : row_values_) value /= scale;
  const std::size_t known = factors_.size() - (has_only_begun() ? 1 : 0);
  if (known < factors_.size()) factors_.back() = factors_[known - 1];
  levels_.clear();
  for (std::size_t i = 0; i < known; ++i) {
    if (accepted_[i]) levels_.push_back(std::log(factors_[i]));
  }
}

void DriftScale::fix_anchor() {
  if (anchor_columns_ == 0) anchor_columns_ = static_cast<int>(factors_.size()) - (has_only_begun() ? 1 : 0);
}

void DriftScale::set_anchor(int row, double us) {
  anchor_row_ = row;
  anchor_us_ = us;
}

}  // namespace mmt::metering
