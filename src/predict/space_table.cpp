#include "mmt/space_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "mmt/error.h"
#include "mmt/predict.h"
#include "predict/space_table_compiled.h"

namespace mmt {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw Error(ErrorCode::kInvalidArgument, "search space: " + what);
}

/// After so many times its scale even the flattest curve has λ = 1 but for 3e-7.
constexpr double kColdAtLast = 15;

constexpr int kMostChoices = 65536;
/// A pair's corrections are a full matrix; this keeps a mistake from taking all memory.
constexpr std::int64_t kMostPairEntries = 1 << 24;

}  // namespace

ColdShares sampled_shares(const std::function<double(double)>& share, double low, double high) {
  constexpr std::size_t kKnots = 16384;
  auto knots = std::make_shared<std::vector<double>>(kKnots + 1);
  const double step = std::max((high - low) / kKnots, std::numeric_limits<double>::min());
  for (std::size_t k = 0; k <= kKnots; ++k) (*knots)[k] = share(low + static_cast<double>(k) * (high - low) / kKnots);
  return [knots, low, step](std::span<const double> bytes, std::span<double> shares) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const double at = std::clamp((bytes[i] - low) / step, 0.0, static_cast<double>(kKnots));
      const std::size_t below = std::min(static_cast<std::size_t>(at), kKnots - 1);
      shares[i] = (*knots)[below] + (at - static_cast<double>(below)) * ((*knots)[below + 1] - (*knots)[below]);
    }
  };
}

LatencyFormula LatencyFormula::from(const CostModel& model, const std::vector<std::string>& features) {
  const auto number = [&](const char* name) {
    const auto found = std::find(features.begin(), features.end(), name);
    return found == features.end() ? -1 : static_cast<int>(found - features.begin());
  };
  LatencyFormula formula;
  formula.run_overhead_us = model.run_overhead_us;
  formula.kernel_overhead_us = model.kernel_overhead_us;
  formula.hot = number("hot_us");
  formula.cold_extra = number("cold_extra_us");
  formula.reread_extra = number("reread_extra_us");
  formula.kernels = number("kernels");
  formula.footprint = number("footprint_bytes");
  formula.others_bytes_per_us = model.cold.others_bytes_per_us;
  const double once = model.cold.others_bytes_per_us * model.run_overhead_us;
  if (model.cold.scale_bytes > 0) {
    const double high = kColdAtLast * model.cold.scale_bytes;
    formula.once.exact = [curve = model.cold, once](double bytes) { return curve.share(bytes + once); };
    formula.again.exact = [curve = model.cold, once](double bytes) { return curve.reread_share(bytes + once); };
    formula.once.shares = sampled_shares(formula.once.exact, 0, high);
    formula.again.shares = sampled_shares(formula.again.exact, 0, high);
  }
  return formula;
}

SpaceTable::SpaceTable(std::vector<int> sizes, std::vector<std::string> features, std::span<const double> base)
    : sizes_(std::move(sizes)), features_(std::move(features)), base_(base.begin(), base.end()) {
  require(!sizes_.empty(), "there is no slot");
  require(!features_.empty(), "there is no feature");
  std::size_t choices = 0;
  for (const int size : sizes_) {
    require(size >= 1 && size <= kMostChoices, "a slot needs 1…65536 choices, not " + std::to_string(size));
    first_.push_back(choices);
    choices += static_cast<std::size_t>(size);
  }
  for (std::size_t f = 0; f < features_.size(); ++f) {
    require(std::find(features_.begin(), features_.begin() + f, features_[f]) == features_.begin() + f,
            "feature " + features_[f] + " is named twice");
  }
  check_values(base);
  deltas_.assign(choices * features_.size(), 0);
}

SpaceTable::~SpaceTable() = default;
SpaceTable::SpaceTable(SpaceTable&&) noexcept = default;
SpaceTable& SpaceTable::operator=(SpaceTable&&) noexcept = default;

void SpaceTable::check_values(std::span<const double> values) const {
  require(values.size() == features_.size(),
          std::to_string(values.size()) + " values given for " + std::to_string(features_.size()) + " features");
  for (std::size_t f = 0; f < values.size(); ++f) {
    require(std::isfinite(values[f]), "feature " + features_[f] + " is not a finite number");
  }
}

void SpaceTable::check_choice(int slot, int choice) const {
  require(slot >= 0 && slot < slots(), "there is no slot " + std::to_string(slot));
  require(choice >= 0 && choice < sizes_[slot],
          "slot " + std::to_string(slot) + " has no choice " + std::to_string(choice));
}

void SpaceTable::set_choice(int slot, int choice, std::span<const double> values) {
  check_choice(slot, choice);
  check_values(values);
  std::copy(values.begin(), values.end(), deltas_.begin() + (first_[slot] + choice) * features_.size());
  compiled_.reset();
}

void SpaceTable::set_pair(int slot_a, int choice_a, int slot_b, int choice_b, std::span<const double> correction) {
  check_choice(slot_a, choice_a);
  check_choice(slot_b, choice_b);
  check_values(correction);
  require(slot_a != slot_b, "a pair needs two different slots");
  if (slot_a > slot_b) {
    std::swap(slot_a, slot_b);
    std::swap(choice_a, choice_b);
  }
  auto pair = std::find_if(pairs_.begin(), pairs_.end(),
                           [&](const Pair& p) { return p.slot_a == slot_a && p.slot_b == slot_b; });
  if (pair == pairs_.end()) {
    const std::int64_t entries = std::int64_t{sizes_[slot_a]} * sizes_[slot_b];
    require(entries <= kMostPairEntries, "a pair of slots has too many combinations");
    pairs_.push_back({slot_a, slot_b, std::vector<double>(static_cast<std::size_t>(entries) * features_.size(), 0)});
    pair = pairs_.end() - 1;
  }
  const std::size_t at = static_cast<std::size_t>(choice_a) * sizes_[slot_b] + choice_b;
  std::copy(correction.begin(), correction.end(), pair->corrections.begin() + at * features_.size());
  compiled_.reset();
}

void SpaceTable::compile(const LatencyFormula& formula, int joint_limit) {
  for (const int number : {formula.hot, formula.cold_extra, formula.reread_extra, formula.kernels, formula.footprint}) {
    require(number >= -1 && number < static_cast<int>(features_.size()),
            "the formula names feature " + std::to_string(number) + ", which does not exist");
  }
  require(joint_limit >= 1 && joint_limit <= (1 << 24), "joint_limit must lie in 1…16777216");
  auto form = std::make_unique<Compiled>();
  form->formula = formula;
  form->tables = make_joint_tables(*this, formula, joint_limit);
  compiled_ = std::move(form);
}

const SpaceTable::Compiled& SpaceTable::compiled() const {
  require(compiled_ != nullptr, "compile() was not called after the last change");
  return *compiled_;
}

const LatencyFormula& SpaceTable::formula() const { return compiled().formula; }

int SpaceTable::feature(const std::string& name) const {
  std::string known;
  for (std::size_t f = 0; f < features_.size(); ++f) {
    if (features_[f] == name) return static_cast<int>(f);
    known += (f ? ", " : "") + features_[f];
  }
  throw Error(ErrorCode::kNotFound, "search space: no feature " + name + "; there are " + known);
}

std::uint64_t SpaceTable::configurations() const {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t count = 1;
  for (const int size : sizes_) {
    if (count > kMost / static_cast<std::uint64_t>(size)) return kMost;
    count *= static_cast<std::uint64_t>(size);
  }
  return count;
}

std::span<const double> SpaceTable::delta(int slot, int choice) const {
  return std::span(deltas_).subspan((first_[slot] + choice) * features_.size(), features_.size());
}

void SpaceTable::feature_sums(std::span<const std::int32_t> rows, std::span<const int> wanted,
                              std::span<double> out) const {
  const std::size_t width = sizes_.size(), columns = wanted.size(), all = features_.size();
  require(rows.size() % width == 0, "configurations need " + std::to_string(width) + " columns, one per slot");
  const std::size_t count = rows.size() / width;
  require(out.size() == count * columns, "the output does not fit the configurations");
  for (const int f : wanted) {
    require(f >= 0 && f < static_cast<int>(all), "there is no feature " + std::to_string(f));
  }
  for (std::size_t r = 0; r < count; ++r) {
    const std::int32_t* row = rows.data() + r * width;
    double* sums = out.data() + r * columns;
    for (std::size_t c = 0; c < columns; ++c) sums[c] = base_[wanted[c]];
    for (std::size_t s = 0; s < width; ++s) {
      check_choice(static_cast<int>(s), row[s]);
      const double* values = deltas_.data() + (first_[s] + row[s]) * all;
      for (std::size_t c = 0; c < columns; ++c) sums[c] += values[wanted[c]];
    }
    for (const Pair& pair : pairs_) {
      const std::size_t at = static_cast<std::size_t>(row[pair.slot_a]) * sizes_[pair.slot_b] + row[pair.slot_b];
      for (std::size_t c = 0; c < columns; ++c) sums[c] += pair.corrections[at * all + wanted[c]];
    }
  }
}

double SpaceTable::latency_us(std::span<const std::int32_t> row) const {
  const LatencyFormula& used = formula();
  require(row.size() == sizes_.size(), "one configuration needs " + std::to_string(sizes_.size()) + " choices");
  std::vector<int> wanted(features_.size());
  for (std::size_t f = 0; f < wanted.size(); ++f) wanted[f] = static_cast<int>(f);
  std::vector<double> sums(features_.size());
  feature_sums(row, wanted, sums);
  return finish_latency(used, latency_sums(used, sums));
}

void SpaceTable::enumerate(std::uint64_t first, std::span<std::int32_t> rows) const {
  const std::size_t width = sizes_.size();
  require(rows.size() % width == 0, "configurations need " + std::to_string(width) + " columns, one per slot");
  const std::uint64_t count = rows.size() / width, total = configurations();
  require(first <= total && count <= total - first, "there are only " + std::to_string(total) + " configurations");
  if (count == 0) return;
  std::uint64_t rest = first;
  for (std::size_t s = width; s-- > 0;) {
    rows[s] = static_cast<std::int32_t>(rest % static_cast<std::uint64_t>(sizes_[s]));
    rest /= static_cast<std::uint64_t>(sizes_[s]);
  }
  for (std::uint64_t r = 1; r < count; ++r) {
    std::int32_t* row = rows.data() + r * width;
    std::copy_n(row - width, width, row);
    for (std::size_t s = width; s-- > 0;) {
      if (++row[s] < sizes_[s]) break;
      row[s] = 0;
    }
  }
}

void SpaceTable::enumerate_latency_us(std::uint64_t first, std::span<double> out) const {
  constexpr std::size_t kAtOnce = 4096;
  std::vector<std::int32_t> rows(std::min(kAtOnce, out.size()) * sizes_.size());
  for (std::size_t done = 0; done < out.size(); done += kAtOnce) {
    const std::size_t count = std::min(kAtOnce, out.size() - done);
    const auto block = std::span(rows).first(count * sizes_.size());
    enumerate(first + done, block);
    latency_us(std::span<const std::int32_t>(block), out.subspan(done, count));
  }
}

}  // namespace mmt
