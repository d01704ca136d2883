// Seeded samples of known distributions for the statistics' tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace mmt::testing {

using Random = std::mt19937_64;
using Draw = std::function<double(Random&)>;

inline std::vector<double> draw(int count, Random& random, const Draw& one) {
  std::vector<double> values(count);
  for (double& value : values) value = one(random);
  return values;
}

inline double normal(Random& random, double mean = 0, double deviation = 1) {
  return std::normal_distribution<double>(mean, deviation)(random);
}

inline double uniform(Random& random, double low = 0, double high = 1) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

}  // namespace mmt::testing
