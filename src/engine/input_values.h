// Values that inputs are filled with: seeded, and with signs as inside a network.
#pragma once

#include <cstdint>

namespace mmt {

/// splitmix64: one step of a small, well mixing generator.
inline std::uint64_t next_random(std::uint64_t& state) noexcept {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Uniform in [0, 1).
inline double next_share(std::uint64_t& state) noexcept {
  return static_cast<double>(next_random(state) >> 11) * 0x1.0p-53;
}

/// Values in [low, high), one after another. Neighbours share an offset, a new one every kShared values, that makes up
/// kOffset of the range; the rest is each value's own. So in memory order signs come in runs, as they do inside
/// networks, where a channel's values lie around a mean of its own. It matters to kernels that branch on each value:
/// MNN's Select took 408 us where all values were independent, 178 us inside a model.
class InputValues {
 public:
  static constexpr int kShared = 256;
  static constexpr double kOffset = 0.7;

  InputValues(double low, double high, std::uint64_t seed) : low_(low), range_(high - low), state_(seed) {}

  double next() noexcept {
    if (left_ == 0) {
      offset_ = kOffset * next_share(state_);
      left_ = kShared;
    }
    --left_;
    return low_ + range_ * (offset_ + (1 - kOffset) * next_share(state_));
  }

 private:
  double low_, range_;
  std::uint64_t state_;
  double offset_ = 0;
  int left_ = 0;  ///< Values that still share the offset.
};

}  // namespace mmt
