// A table with fresh times for some of its kernels: what a validation measured in its own rounds.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "mmt/table.h"

namespace mmt {

struct FreshTimes {
  double cold_us = 0, hot_us = 0, cold_se_us = 0, hot_se_us = 0;
};

/// `base` with the times of the kernels in `fresh` replaced; everything else as it is. Kernels that `base` lacks stay
/// absent.
/// `cache`: takes the place of the table's where it is not empty.
std::shared_ptr<LatencyTable> overlay(std::shared_ptr<LatencyTable> base,
                                      std::unordered_map<std::string, FreshTimes> fresh, const CacheCurve& cache = {});

}  // namespace mmt
