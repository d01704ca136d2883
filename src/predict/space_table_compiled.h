// The laid-out form of a search space: joint tables of neighbouring slots, summed block by block.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mmt/predict.h"
#include "mmt/space_table.h"

namespace mmt {

/// The four sums that the latency needs, in one vector register.
using SumLanes = float __attribute__((vector_size(16)));

/// One table over a few slots. Entry number: Σ choice · stride.
struct JointTable {
  std::vector<int> slots;
  std::vector<std::uint32_t> strides;
  std::vector<SumLanes> entries;
};

struct SpaceTable::Compiled {
  LatencyFormula formula;
  std::vector<JointTable> tables;
};

/// The formula's sums of a feature vector: overheads of kernels + hot, cold − hot, own and others' bytes, and cold −
/// hot of what is read several times.
struct LatencySums {
  double direct_us = 0, cold_extra_us = 0, bytes = 0, reread_extra_us = 0;
};
LatencySums latency_sums(const LatencyFormula& formula, std::span<const double> features);

/// λ, as exactly as the formula knows it.
ColdShare shares_at(const LatencyFormula& formula, double bytes);

/// The formula on one configuration's sums.
double finish_latency(const LatencyFormula& formula, const LatencySums& sums);

std::vector<JointTable> make_joint_tables(const SpaceTable& table, const LatencyFormula& formula, int joint_limit);

}  // namespace mmt
