#include "table/pool.h"

#include <algorithm>
#include <cmath>

#include "mmt/stats.h"

namespace mmt::table {
namespace {

constexpr double kRelativeFloor = 1e-3;
constexpr double kNoisyFactor = 2.0;
constexpr double kNoisyShare = 0.05;

}  // namespace

bool QuantityPool::add(const Summary& summary) {
  if (summary.count <= 0 || !std::isfinite(summary.median_us) || summary.median_us < 0) return false;
  double error = median_standard_error(summary);
  if (std::isnan(error) || error < 0) error = summary.median_us;
  if (!std::isfinite(error)) error = summary.median_us;  // A single sample: of the right size at best.
  error = std::max({error, kRelativeFloor * summary.median_us, 1e-6});
  values_.push_back(expected_us(summary));
  errors_.push_back(summary.noisy ? kNoisyFactor * error : error);
  noisy_ += summary.noisy ? 1 : 0;
  return true;
}

QuantityPool::Result QuantityPool::result() const {
  Result result;
  if (values_.empty()) return result;
  const Pooled pooled = pool_estimates(values_, errors_);
  result.value_us = pooled.value;
  result.se_us = pooled.standard_error;
  result.spread_us = pooled.between;
  result.noisy = 2 * noisy_ >= static_cast<int>(values_.size()) || result.se_us > kNoisyShare * result.value_us;
  return result;
}

}  // namespace mmt::table
