// Estimating the time of a kernel that the table does not hold, from the rows that are most like it.
#pragma once

#include <string>

#include "mmt/plan.h"
#include "mmt/table.h"

namespace mmt {

struct Estimate {
  double hot_us = 0, cold_us = 0;
  std::string from;  ///< Text of the nearest row, "" where nothing similar exists.
};

/// Nearest rows of the same type (then of related types), scaled by work. Never zero.
Estimate estimate_kernel(const PlanKernel& kernel, LatencyTable& table);

/// The work of a kernel in arbitrary but consistent units: multiply-adds where they can be read off weights and output
/// shape, bytes moved otherwise.
double kernel_work(const std::string& type, const std::string& text, double weight_bytes, double input_bytes,
                   double output_bytes);

}  // namespace mmt
