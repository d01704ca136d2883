// Argument checks that all statistics share.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "mmt/error.h"

namespace mmt {

inline void require(bool condition, const char* what) {
  if (!condition) throw Error(ErrorCode::kInvalidArgument, std::string("statistics: ") + what);
}

inline void require_finite(std::span<const double> values) {
  for (const double value : values) require(std::isfinite(value), "a value is not a finite number");
}

/// Not empty, finite, in ascending order.
std::vector<double> sorted_copy(std::span<const double> values);

/// Median of scratch space, which is reordered. Not empty.
double median_in_place(std::span<double> values);

}  // namespace mmt
