#include <algorithm>
#include <cmath>
#include <numeric>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

/// Indices first…last whose points (x[i], i) form the convex hull from below (sign +1) or from above (sign -1).
std::vector<std::size_t> hull(std::span<const double> x, std::size_t first, std::size_t last, double sign) {
  std::vector<std::size_t> corners;
  for (std::size_t i = first; i <= last; ++i) {
    while (corners.size() >= 2) {
      const std::size_t a = corners[corners.size() - 2], b = corners.back();
      const double turn = (x[b] - x[a]) * static_cast<double>(i - a) - (x[i] - x[a]) * static_cast<double>(b - a);
      if (sign * turn > 0) break;
      corners.pop_back();
    }
    corners.push_back(i);
  }
  return corners;
}

/// Height at x[at] of the line through corners a and b, counted in samples.
double line_height(std::span<const double> x, std::size_t a, std::size_t b, std::size_t at) {
  if (x[b] == x[a]) return static_cast<double>(b);
  return static_cast<double>(a) + (x[at] - x[a]) * static_cast<double>(b - a) / (x[b] - x[a]);
}

/// Largest distance of the stairs from a hull between two of its corners, in samples. The lower hull runs under the
/// feet of the stairs, the upper one over their heads; both distances are measured to the other end of the step.
double distance_to_hull(std::span<const double> x, const std::vector<std::size_t>& corners, std::size_t from,
                        std::size_t to, bool lower) {
  double largest = 0;
  for (std::size_t c = 0; c + 1 < corners.size(); ++c) {
    const std::size_t a = corners[c], b = corners[c + 1];
    if (a < from || b > to || x[a] == x[b]) continue;
    for (std::size_t i = a; i <= b; ++i) {
      const double gap = static_cast<double>(i) - line_height(x, a, b, i);
      largest = std::max(largest, (lower ? gap : -gap) + 1);
    }
  }
  return largest;
}

/// Ties come from a clock's steps. Spreading them over one step keeps them from looking like many tiny modes.
std::vector<double> spread_ties(std::vector<double> sorted) {
  double step = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const double gap = sorted[i] - sorted[i - 1];
    if (gap > 0 && (step == 0 || gap < step)) step = gap;
  }
  if (step == 0) return sorted;
  for (std::size_t i = 0; i < sorted.size();) {
    std::size_t end = i;
    while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
    const double value = sorted[i], count = static_cast<double>(end - i);
    for (std::size_t k = i; k < end; ++k) {
      sorted[k] = value + step * ((static_cast<double>(k - i) + 0.5) / count - 0.5);
    }
    i = end;
  }
  return sorted;
}

}  // namespace

double dip_sorted(std::span<const double> sorted) {
  const std::size_t n = sorted.size();
  if (n < 4 || sorted.front() == sorted.back()) return 0;
  // After J. A. Hartigan and P. M. Hartigan, "The dip test of unimodality" (1985): the interval that can hold the mode
  // shrinks to where the two hulls are farthest apart; outside it the stairs must follow a hull.
  std::size_t low = 0, high = n - 1;
  double dip = 1;
  for (;;) {
    const auto lower = hull(sorted, low, high, +1), upper = hull(sorted, low, high, -1);
    double widest = 0;
    std::size_t new_low = low, new_high = high;
    for (std::size_t g = 0, u = 0; g < lower.size(); ++g) {  // Corners of the lower hull under the upper hull.
      while (u + 2 < upper.size() && upper[u + 1] < lower[g]) ++u;
      const double gap = line_height(sorted, upper[u], upper[u + 1], lower[g]) - static_cast<double>(lower[g]) + 1;
      if (gap > widest) {
        widest = gap;
        new_low = lower[g];
        new_high = upper[u + 1];
      }
    }
    for (std::size_t u = 0, g = 0; u < upper.size(); ++u) {  // Corners of the upper hull over the lower hull.
      while (g + 2 < lower.size() && lower[g + 1] <= upper[u]) ++g;
      const double gap = static_cast<double>(upper[u]) - line_height(sorted, lower[g], lower[g + 1], upper[u]) + 1;
      if (gap > widest) {
        widest = gap;
        new_low = lower[g];
        new_high = upper[u];
      }
    }
    if (widest <= dip) break;
    dip = std::max({dip, distance_to_hull(sorted, lower, low, new_low, true),
                    distance_to_hull(sorted, upper, new_high, high, false)});
    if ((new_low == low && new_high == high) || new_low >= new_high) break;
    low = new_low;
    high = new_high;
  }
  return dip / (2.0 * static_cast<double>(n));
}

Modes find_modes(std::span<const double> values, double min_separation) {
  Modes modes;
  if (values.empty()) return modes;
  const std::vector<double> sorted = sorted_copy(values);
  const std::size_t n = sorted.size();
  modes.low = modes.high = quantile_sorted(sorted, 0.5);
  constexpr std::size_t kFewest = 12;
  if (n < kFewest || sorted.front() == sorted.back()) return modes;
  modes.dip = dip_sorted(spread_ties(sorted));

  // The split that leaves the least squared deviation inside the two sides; the tails are drawn in first, so that a
  // few outliers cannot decide it.
  const double floor = quantile_sorted(sorted, 0.02), ceiling = quantile_sorted(sorted, 0.98);
  std::vector<double> sums(n + 1, 0), squares(n + 1, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const double value = std::clamp(sorted[i], floor, ceiling) - modes.low;
    sums[i + 1] = sums[i] + value;
    squares[i + 1] = squares[i] + value * value;
  }
  const auto inside = [&](std::size_t from, std::size_t to) {
    const double sum = sums[to] - sums[from];
    return squares[to] - squares[from] - sum * sum / static_cast<double>(to - from);
  };
  const std::size_t fewest = std::max<std::size_t>(2, (n + 9) / 10);
  std::size_t split = fewest;
  for (std::size_t at = fewest; at + fewest <= n; ++at) {
    if (inside(0, at) + inside(at, n) < inside(0, split) + inside(split, n)) split = at;
  }
  modes.low = quantile_sorted(std::span(sorted).first(split), 0.5);
  modes.high = quantile_sorted(std::span(sorted).subspan(split), 0.5);
  modes.high_share = static_cast<double>(n - split) / static_cast<double>(n);

  // Under the uniform distribution, the worst unimodal one, √n·dip exceeds this in about 3 of 1,000 samples; timings
  // have a peak and exceed it far more rarely.
  constexpr double kCriticalDip = 0.60;
  modes.bimodal = std::sqrt(static_cast<double>(n)) * modes.dip > kCriticalDip &&
                  modes.high - modes.low > min_separation * std::abs(modes.low);
  return modes;
}

}  // namespace mmt
