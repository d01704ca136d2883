// How cold a model's data is when a run comes back to it: five numbers, fitted to a device's chains.
#pragma once

#include <algorithm>
#include <cmath>

#include "mmt/cache_curve.h"

namespace mmt {

/// Between two uses of its data, a run touches its own bytes, and others that share the caches touch theirs all the
/// while. Of everything that went through, λ = 1 − exp(−(bytes / scale_bytes)^steepness) is the share of a cold
/// run that a kernel pays.
struct ColdCurve {
  double others_bytes_per_us = 0;  ///< What others push through the caches.
  double scale_bytes = 0;          ///< Bytes after which λ is 1 − 1/e. 0: nothing is ever cold.
  double steepness = 1;            ///< 1: any data may be pushed out by any other; more: the oldest first.
  double longer = 3;               ///< So many times as many bytes leave as much of what a run reads several times.
  double depth = 0;  ///< λ of a run whose data partly stays in the caches before the last one is −depth.

  /// `bytes`: own ones and others' together.
  double share(double bytes) const {
    if (!(scale_bytes > 0)) return 0;
    return 1 - (1 + depth) * std::exp(-std::pow(std::max(bytes, 0.0) / scale_bytes, steepness));
  }

  /// The same for data that a run reads several times. The last cache has seen that it is needed again and keeps it
  /// longer. Measured beside busy neighbours, where what is read once lost most in 8 to 12 ms: 0.1 to 0.3 after 11 ms,
  /// 0.3 to 0.5 after 14, 0.5 to 0.7 after 21, and all after 70; on another day 0.5 after 8 ms.
  double reread_share(double bytes) const {
    constexpr double kSteepness = 1.5;
    if (!(scale_bytes > 0)) return 0;
    return -std::expm1(-std::pow(std::max(bytes, 0.0) / (longer * scale_bytes), kSteepness));
  }

  /// The curve that explains the chains best, starting from what is usual for a cache of that size; without chains,
  /// that usual one.
  static ColdCurve fit(const CacheCurve& chains, double cache_bytes);
  bool operator==(const ColdCurve&) const = default;
};

}  // namespace mmt
