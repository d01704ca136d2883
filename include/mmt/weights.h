// Numbers that stand for trained weights: how long an operator runs depends on its weights' size and hardly on their
// values.
#pragma once

#include <cstdint>
#include <span>

namespace mmt {

/// No weight is nearer to zero: numbers near the denormals would change the time of a run.
inline constexpr float kSmallestWeight = 1e-4F;

/// Fills `values` uniformly over [low, high) with numbers that follow from `seed`; those nearer to zero than
/// kSmallestWeight become kSmallestWeight. The same seed, bounds and length give the same bits on every machine.
void fill_weights(std::span<float> values, float low, float high, std::uint64_t seed);

}  // namespace mmt
