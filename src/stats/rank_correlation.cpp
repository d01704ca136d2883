#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

void check_pairs(std::span<const double> x, std::span<const double> y) {
  require(x.size() == y.size(), "the two sides of a correlation differ in number");
  require_finite(x);
  require_finite(y);
}

/// Ranks from 1; equal values share their mean rank.
std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (std::size_t k = i; k < end; ++k) ranks[order[k]] = 0.5 * static_cast<double>(i + end + 1);
    i = end;
  }
  return ranks;
}

/// Sorts and counts how many pairs stood in the wrong order.
double count_inversions(std::vector<double>& values, std::vector<double>& scratch, std::size_t from, std::size_t to) {
  if (to - from < 2) return 0;
  const std::size_t middle = from + (to - from) / 2;
  double inversions = count_inversions(values, scratch, from, middle) + count_inversions(values, scratch, middle, to);
  std::size_t left = from, right = middle;
  for (std::size_t out = from; out < to; ++out) {
    const bool take_right = left == middle || (right < to && values[right] < values[left]);
    if (take_right) inversions += static_cast<double>(middle - left);
    scratch[out] = take_right ? values[right++] : values[left++];
  }
  std::copy(scratch.begin() + from, scratch.begin() + to, values.begin() + from);
  return inversions;
}

/// Pairs of equal neighbours in a range where equal elements are adjacent.
template <typename Equal>
double tied_pairs(std::size_t count, Equal equal) {
  double pairs = 0;
  for (std::size_t i = 0; i < count;) {
    std::size_t end = i + 1;
    while (end < count && equal(i, end)) ++end;
    const auto size = static_cast<double>(end - i);
    pairs += size * (size - 1) / 2;
    i = end;
  }
  return pairs;
}

}  // namespace

double spearman(std::span<const double> x, std::span<const double> y) {
  check_pairs(x, y);
  if (x.size() < 2) return kUndefined;
  const std::vector<double> a = mean_ranks(x), b = mean_ranks(y);
  const double middle = 0.5 * static_cast<double>(x.size() + 1);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    ab += (a[i] - middle) * (b[i] - middle);
    aa += (a[i] - middle) * (a[i] - middle);
    bb += (b[i] - middle) * (b[i] - middle);
  }
  return aa > 0 && bb > 0 ? std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0) : kUndefined;
}

double kendall(std::span<const double> x, std::span<const double> y) {
  check_pairs(x, y);
  const std::size_t n = x.size();
  if (n < 2) return kUndefined;
  // W. R. Knight (1966): sorted by x, the discordant pairs are the exchanges that sorting by y needs.
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b]; });
  std::vector<double> sorted(n), scratch(n);
  for (std::size_t i = 0; i < n; ++i) sorted[i] = y[order[i]];
  const double pairs = 0.5 * static_cast<double>(n) * static_cast<double>(n - 1);
  const double tied_x = tied_pairs(n, [&](std::size_t a, std::size_t b) { return x[order[a]] == x[order[b]]; });
  const double tied_both = tied_pairs(
      n, [&](std::size_t a, std::size_t b) { return x[order[a]] == x[order[b]] && y[order[a]] == y[order[b]]; });
  const double discordant = count_inversions(sorted, scratch, 0, n);
  const double tied_y = tied_pairs(n, [&](std::size_t a, std::size_t b) { return sorted[a] == sorted[b]; });
  const double scale = std::sqrt(pairs - tied_x) * std::sqrt(pairs - tied_y);
  if (!(scale > 0)) return kUndefined;
  return std::clamp((pairs - tied_x - tied_y + tied_both - 2 * discordant) / scale, -1.0, 1.0);
}

}  // namespace mmt
