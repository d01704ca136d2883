#include "mmt/weights.h"

#include <cmath>
#include <random>

namespace mmt {

void fill_weights(std::span<float> values, float low, float high, std::uint64_t seed) {
  // The product of a 24-bit number and a float is exact in a double: compilers that fuse it with the sum change
  // nothing.
  const double width = static_cast<float>(high - low) * 0x1.0p-24F;
  std::mt19937_64 random(seed);  // The standard says which numbers it gives; its distributions are left to libraries.
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    bits = i % 2 == 0 ? random() : bits >> 32;
    const double unit = static_cast<double>(bits & 0xffffff);
    const float value = static_cast<float>(low + width * unit);
    values[i] = std::abs(value) < kSmallestWeight ? kSmallestWeight : value;
  }
}

}  // namespace mmt
