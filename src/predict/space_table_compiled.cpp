#include "predict/space_table_compiled.h"

#include <algorithm>
#include <array>
#include <string>

#include "mmt/error.h"
#include "mmt/predict.h"

namespace mmt {
namespace {

// A block's indices and sums stay in the first-level cache.
constexpr std::size_t kBlock = 512;

SumLanes to_lanes(const LatencySums& sums) {
  return SumLanes{static_cast<float>(sums.direct_us), static_cast<float>(sums.cold_extra_us),
                  static_cast<float>(sums.bytes), static_cast<float>(sums.reread_extra_us)};
}

void add_features(std::vector<double>& sum, std::span<const double> more) {
  for (std::size_t f = 0; f < sum.size(); ++f) sum[f] += more[f];
}

std::span<const double> correction_of(const SpaceTable& table, const SpaceTable::Pair& pair, int choice_a,
                                      int choice_b) {
  const std::size_t width = table.features().size();
  const std::size_t at = static_cast<std::size_t>(choice_a) * table.sizes()[pair.slot_b] + choice_b;
  return std::span(pair.corrections).subspan(at * width, width);
}

/// A table over `slots` that holds the given pairs, the slots' own deltas where asked for, and `base` in every entry.
JointTable make_table(const SpaceTable& table, const LatencyFormula& formula, const std::vector<int>& slots,
                      bool with_deltas, const std::vector<const SpaceTable::Pair*>& pairs,
                      std::span<const double> base) {
  JointTable joint;
  joint.slots = slots;
  joint.strides.assign(slots.size(), 1);
  std::size_t count = 1;
  for (std::size_t i = slots.size(); i-- > 0;) {
    joint.strides[i] = static_cast<std::uint32_t>(count);
    count *= static_cast<std::size_t>(table.sizes()[slots[i]]);
  }
  joint.entries.reserve(count);
  std::vector<int> choice(table.sizes().size(), 0);
  std::vector<double> sum(table.features().size());
  for (std::size_t entry = 0; entry < count; ++entry) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      choice[slots[i]] = static_cast<int>(entry / joint.strides[i]) % table.sizes()[slots[i]];
    }
    sum.assign(base.begin(), base.end());
    if (with_deltas) {
      for (const int slot : slots) add_features(sum, table.delta(slot, choice[slot]));
    }
    for (const SpaceTable::Pair* pair : pairs) {
      add_features(sum, correction_of(table, *pair, choice[pair->slot_a], choice[pair->slot_b]));
    }
    joint.entries.push_back(to_lanes(latency_sums(formula, sum)));
  }
  return joint;
}

template <int kSlots, typename Choice>
void index_rows(const JointTable& joint, const Choice* rows, std::size_t count, std::size_t width,
                std::uint32_t* index) {
  std::array<int, kSlots> slot;
  std::array<std::uint32_t, kSlots> stride;
  std::copy_n(joint.slots.begin(), kSlots, slot.begin());
  std::copy_n(joint.strides.begin(), kSlots, stride.begin());
  for (std::size_t r = 0; r < count; ++r, rows += width) {
    std::uint32_t sum = 0;
    for (int i = 0; i < kSlots; ++i) sum += static_cast<std::uint32_t>(rows[slot[i]]) * stride[i];
    index[r] = sum;
  }
}

template <typename Choice>
void index_any(const JointTable& joint, const Choice* rows, std::size_t count, std::size_t width,
               std::uint32_t* index) {
  switch (joint.slots.size()) {
    case 1:
      return index_rows<1>(joint, rows, count, width, index);
    case 2:
      return index_rows<2>(joint, rows, count, width, index);
    case 3:
      return index_rows<3>(joint, rows, count, width, index);
    case 4:
      return index_rows<4>(joint, rows, count, width, index);
    default:
      break;
  }
  for (std::size_t r = 0; r < count; ++r, rows += width) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < joint.slots.size(); ++i) {
      sum += static_cast<std::uint32_t>(rows[joint.slots[i]]) * joint.strides[i];
    }
    index[r] = sum;
  }
}

/// Throws for the first choice that does not exist. The check itself is free of branches.
template <typename Choice>
void check_rows(const std::vector<int>& sizes, const Choice* rows, std::size_t count, std::size_t first_row) {
  const std::size_t width = sizes.size();
  bool wrong = false;
  for (std::size_t r = 0; r < count; ++r) {
    // Negative numbers become huge ones.
    for (std::size_t s = 0; s < width; ++s) {
      wrong |= static_cast<std::uint64_t>(rows[r * width + s]) >= static_cast<std::uint64_t>(sizes[s]);
    }
  }
  if (!wrong) return;
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t s = 0; s < width; ++s) {
      const auto choice = static_cast<std::int64_t>(rows[r * width + s]);
      if (choice >= 0 && choice < sizes[s]) continue;
      throw Error(ErrorCode::kInvalidArgument, "configuration " + std::to_string(first_row + r) + ": slot " +
                                                   std::to_string(s) + " has choices 0…" +
                                                   std::to_string(sizes[s] - 1) + ", not " + std::to_string(choice));
    }
  }
}

}  // namespace

LatencySums latency_sums(const LatencyFormula& formula, std::span<const double> features) {
  const auto value = [&](int feature) { return feature < 0 ? 0.0 : features[feature]; };
  const double direct = value(formula.hot) + formula.kernel_overhead_us * value(formula.kernels);
  const double cold_extra = value(formula.cold_extra);
  const double reread_extra = value(formula.reread_extra);
  const double usual_us = direct + CostModel::kUsuallyCold * cold_extra + CostModel::kUsuallyRereadCold * reread_extra;
  return {direct, cold_extra, value(formula.footprint) + formula.others_bytes_per_us * usual_us, reread_extra};
}

double ShareCurve::at(double bytes) const {
  if (exact) return exact(bytes);
  double share = 0;
  if (shares) shares({&bytes, 1}, {&share, 1});
  return share;
}

ColdShare shares_at(const LatencyFormula& formula, double bytes) {
  return {formula.once.at(bytes), formula.again.at(bytes)};
}

double finish_latency(const LatencyFormula& formula, const LatencySums& sums) {
  const ColdShare share =
      CostModel::settled_share([&](double bytes) { return shares_at(formula, bytes); }, sums.bytes,
                               formula.others_bytes_per_us, sums.cold_extra_us, sums.reread_extra_us);
  return formula.run_overhead_us + sums.direct_us + share.once * sums.cold_extra_us +
         share.again * sums.reread_extra_us;
}

std::vector<JointTable> make_joint_tables(const SpaceTable& table, const LatencyFormula& formula, int joint_limit) {
  const std::vector<double> nothing(table.features().size(), 0);
  std::vector<int> group_of(table.sizes().size());
  std::vector<std::vector<int>> groups;
  std::int64_t entries = 0;
  for (int slot = 0; slot < table.slots(); ++slot) {
    const int size = table.sizes()[slot];
    if (groups.empty() || entries * size > joint_limit) {
      groups.emplace_back();
      entries = 1;
    }
    groups.back().push_back(slot);
    group_of[slot] = static_cast<int>(groups.size()) - 1;
    entries *= size;
  }
  std::vector<JointTable> tables;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::vector<const SpaceTable::Pair*> inside;
    for (const SpaceTable::Pair& pair : table.pairs()) {
      if (group_of[pair.slot_a] == static_cast<int>(g) && group_of[pair.slot_b] == static_cast<int>(g)) {
        inside.push_back(&pair);
      }
    }
    tables.push_back(make_table(table, formula, groups[g], true, inside, g == 0 ? table.base() : std::span(nothing)));
  }
  for (const SpaceTable::Pair& pair : table.pairs()) {
    if (group_of[pair.slot_a] == group_of[pair.slot_b]) continue;
    tables.push_back(make_table(table, formula, {pair.slot_a, pair.slot_b}, false, {&pair}, nothing));
  }
  return tables;
}

template <typename Choice>
void SpaceTable::evaluate(std::span<const Choice> rows, std::span<double> out) const {
  const Compiled& form = compiled();
  const std::size_t width = sizes_.size();
  const bool rereads = form.formula.reread_extra >= 0 && form.formula.again.shares;
  if (rows.size() != out.size() * width) {
    throw Error(ErrorCode::kInvalidArgument, "configurations need " + std::to_string(width) + " columns, one per slot");
  }
  std::array<std::uint32_t, kBlock> index;
  std::array<SumLanes, kBlock> sums;
  std::array<double, kBlock> bytes, share, again;
  share.fill(0);
  again.fill(0);
  for (std::size_t first = 0; first < out.size(); first += kBlock) {
    const std::size_t count = std::min(kBlock, out.size() - first);
    const Choice* block = rows.data() + first * width;
    check_rows(sizes_, block, count, first);
    for (std::size_t t = 0; t < form.tables.size(); ++t) {
      const JointTable& joint = form.tables[t];
      const SumLanes* entries = joint.entries.data();
      index_any(joint, block, count, width, index.data());
      if (t == 0) {
        for (std::size_t r = 0; r < count; ++r) sums[r] = entries[index[r]];
      } else {
        for (std::size_t r = 0; r < count; ++r) sums[r] += entries[index[r]];
      }
    }
    if (form.formula.once.shares) {
      const double others = form.formula.others_bytes_per_us;
      const auto look_up = [&] {
        form.formula.once.shares(std::span(bytes).first(count), std::span(share).first(count));
        if (rereads) form.formula.again.shares(std::span(bytes).first(count), std::span(again).first(count));
      };
      for (std::size_t r = 0; r < count; ++r) bytes[r] = sums[r][2];
      look_up();
      for (int step = 0; step < CostModel::kShareSteps && others > 0; ++step) {
        for (std::size_t r = 0; r < count; ++r) {
          bytes[r] = sums[r][2] + others * CostModel::beyond_usual_us({share[r], again[r]}, sums[r][1], sums[r][3]);
        }
        look_up();
      }
    }
    for (std::size_t r = 0; r < count; ++r) {
      out[first + r] = form.formula.run_overhead_us + sums[r][0] + share[r] * sums[r][1] + again[r] * sums[r][3];
    }
  }
}

void SpaceTable::latency_us(std::span<const std::uint8_t> rows, std::span<double> out) const { evaluate(rows, out); }
void SpaceTable::latency_us(std::span<const std::int32_t> rows, std::span<double> out) const { evaluate(rows, out); }
void SpaceTable::latency_us(std::span<const std::int64_t> rows, std::span<double> out) const { evaluate(rows, out); }

}  // namespace mmt
