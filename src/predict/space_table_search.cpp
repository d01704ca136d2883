// The fastest configurations and those within a budget, by branch and bound.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <string>

#include "mmt/error.h"
#include "predict/space_table_linear.h"

namespace mmt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Sums of the same numbers in another order may differ by this share.
constexpr double kRounding = 1e-9;

class Found {
 public:
  virtual ~Found() = default;
  /// Partial configurations whose bound is not below are dropped.
  virtual double threshold() const = 0;
  virtual void add(double latency_us, const std::vector<std::int32_t>& row) = 0;
  virtual bool full() const { return false; }  ///< Ends the search.
};

/// Searches the configurations that touch bytes in one range: there λ is nearly constant, so the bounds are tight.
class Search {
 public:
  Search(const SpaceTable& table, const SpaceSearch& options, const BytesRange& range, bool last, Found& found)
      : table_(table),
        options_(options),
        range_(range),
        last_(last),
        found_(found),
        exact_(table),
        row_(table.sizes().size(), 0) {
    for (LowerBound& bound : latency_bounds(table, range)) {
      constants_.push_back(bound.constant_us);
      costs_.push_back(std::move(bound.cost));
    }
    bounds_ = costs_.size();
    for (const FeatureLimit& limit : options.limits) {
      if (limit.feature < 0 || limit.feature >= static_cast<int>(table.features().size())) {
        throw Error(ErrorCode::kInvalidArgument,
                    "search space: no feature " + std::to_string(limit.feature) + " to limit");
      }
      std::vector<double> weights(table.features().size(), 0);
      weights[static_cast<std::size_t>(limit.feature)] = 1;
      add_limit(LinearCost(table, weights), limit.most);
    }
    add_limit(bytes_cost(table, 1), range.high);
    add_limit(bytes_cost(table, -1), -range.low);
    const auto slots = static_cast<std::size_t>(table.slots());
    prefix_.assign(slots + 1, std::vector<double>(costs_.size(), 0));
    sums_.assign(slots + 1, LatencySums{});
    candidates_.resize(slots);
    for (std::size_t i = 0; i < costs_.size(); ++i) prefix_[0][i] = costs_[i].base();
    sums_[0] = {exact_.direct.base(), exact_.cold_extra.base(), exact_.bytes.base(), exact_.reread_extra.base()};
  }

  double lowest() const {
    double largest = -kInfinity;
    for (std::size_t i = 0; i < bounds_; ++i) largest = std::max(largest, constants_[i] + costs_[i].lowest());
    return largest;
  }

  /// Goes on counting from `visited`. False where the limit on work ended it.
  bool run(std::uint64_t& visited) {
    visited_ = visited;
    visit(0);
    visited = visited_;
    return visited_ <= options_.most_visits;
  }

 private:
  struct Candidate {
    double bound_us;
    std::int32_t choice;
  };

  void add_limit(LinearCost cost, double most) {
    costs_.push_back(std::move(cost));
    most_.push_back(most + kRounding * std::abs(most));
  }

  /// Every configuration belongs to exactly one range.
  bool in_range(double bytes) const { return bytes >= range_.low && (last_ || bytes < range_.high); }

  /// The latency that no completion can be below; infinity where a limit on a feature cannot be kept.
  double bound(int slot) const {
    const std::int32_t choice = row_[slot];
    double largest = -kInfinity;
    for (std::size_t i = 0; i < costs_.size(); ++i) {
      const double least = prefix_[slot][i] + costs_[i].step(slot, row_.data()) + costs_[i].rest(slot, choice);
      if (i < bounds_) {
        largest = std::max(largest, constants_[i] + least);
      } else if (least > most_[i - bounds_]) {
        return kInfinity;
      }
    }
    return largest;
  }

  void visit(int slot) {
    if (slot == table_.slots()) {
      if (in_range(sums_[slot].bytes)) found_.add(finish_latency(table_.formula(), sums_[slot]), row_);
      return;
    }
    std::vector<Candidate>& candidates = candidates_[slot];
    candidates.clear();
    for (std::int32_t choice = 0; choice < table_.sizes()[slot]; ++choice) {
      row_[slot] = choice;
      const double least = bound(slot);
      ++visited_;
      if (least < found_.threshold()) candidates.push_back({least, choice});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.bound_us < b.bound_us; });
    for (const Candidate& candidate : candidates) {
      // The threshold falls while the search goes on, and the candidates are sorted.
      if (!(candidate.bound_us < found_.threshold()) || found_.full() || visited_ > options_.most_visits) break;
      row_[slot] = candidate.choice;
      for (std::size_t i = 0; i < costs_.size(); ++i) {
        prefix_[slot + 1][i] = prefix_[slot][i] + costs_[i].step(slot, row_.data());
      }
      sums_[slot + 1] = {sums_[slot].direct_us + exact_.direct.step(slot, row_.data()),
                         sums_[slot].cold_extra_us + exact_.cold_extra.step(slot, row_.data()),
                         sums_[slot].bytes + exact_.bytes.step(slot, row_.data()),
                         sums_[slot].reread_extra_us + exact_.reread_extra.step(slot, row_.data())};
      visit(slot + 1);
    }
  }

  const SpaceTable& table_;
  const SpaceSearch& options_;
  BytesRange range_;
  bool last_;
  Found& found_;
  ExactSums exact_;
  std::size_t bounds_ = 0;
  std::vector<LinearCost> costs_;  ///< Bounds of the latency, then limits.
  std::vector<double> constants_, most_;
  std::vector<std::int32_t> row_;
  std::vector<std::vector<double>> prefix_;
  std::vector<LatencySums> sums_;
  std::vector<std::vector<Candidate>> candidates_;
  std::uint64_t visited_ = 0;
};

struct Outcome {
  bool complete = true;
  std::uint64_t visited = 0;
};

/// All ranges, the most promising first: what they find makes the others short.
Outcome search_all(const SpaceTable& table, const SpaceSearch& options, Found& found) {
  std::vector<BytesRange> ranges = cut_by_cold_share(table);
  // The ends come from sums in another order than the search's own.
  ranges.front().low -= kRounding * std::abs(ranges.front().low);
  ranges.back().high += kRounding * std::abs(ranges.back().high);
  std::vector<std::unique_ptr<Search>> searches;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    searches.push_back(std::make_unique<Search>(table, options, ranges[i], i + 1 == ranges.size(), found));
  }
  std::stable_sort(searches.begin(), searches.end(),
                   [](const auto& a, const auto& b) { return a->lowest() < b->lowest(); });
  Outcome outcome;
  for (const auto& search : searches) {
    if (search->lowest() < found.threshold()) outcome.complete &= search->run(outcome.visited);
    if (!outcome.complete || found.full()) break;
  }
  return outcome;
}

class Fastest final : public Found {
 public:
  explicit Fastest(std::size_t count) : count_(count) {}
  double threshold() const override { return heap_.size() < count_ ? kInfinity : heap_.front().latency_us; }
  void add(double latency_us, const std::vector<std::int32_t>& row) override {
    if (!(latency_us < threshold())) return;
    if (heap_.size() == count_) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
    }
    heap_.push_back({latency_us, row});
    std::push_heap(heap_.begin(), heap_.end());
  }

  SpaceAnswer sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    SpaceAnswer answer;
    for (const Entry& entry : heap_) {
      answer.latency_us.push_back(entry.latency_us);
      answer.rows.insert(answer.rows.end(), entry.row.begin(), entry.row.end());
    }
    return answer;
  }

 private:
  struct Entry {
    double latency_us;
    std::vector<std::int32_t> row;
    bool operator<(const Entry& other) const {
      return latency_us != other.latency_us ? latency_us < other.latency_us : row < other.row;
    }
  };
  std::size_t count_;
  std::vector<Entry> heap_;
};

class Within final : public Found {
 public:
  Within(double budget_us, std::uint64_t most) : budget_us_(budget_us), most_(most) {}
  double threshold() const override { return budget_us_ + kRounding * std::abs(budget_us_) + 1e-300; }
  bool full() const override { return overflow_; }
  void add(double latency_us, const std::vector<std::int32_t>& row) override {
    if (latency_us > budget_us_) return;
    if (latencies_.size() >= most_) {
      overflow_ = true;
      return;
    }
    latencies_.push_back(latency_us);
    rows_.insert(rows_.end(), row.begin(), row.end());
  }

  SpaceAnswer sorted(std::size_t width) const {
    std::vector<std::size_t> order(latencies_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return latencies_[a] < latencies_[b]; });
    SpaceAnswer answer;
    answer.latency_us.reserve(order.size());
    answer.rows.reserve(rows_.size());
    for (const std::size_t i : order) {
      answer.latency_us.push_back(latencies_[i]);
      answer.rows.insert(answer.rows.end(), rows_.begin() + i * width, rows_.begin() + (i + 1) * width);
    }
    return answer;
  }

 private:
  double budget_us_;
  std::uint64_t most_;
  std::vector<double> latencies_;
  std::vector<std::int32_t> rows_;
  bool overflow_ = false;
};

}  // namespace

SpaceAnswer find_fastest(const SpaceTable& table, int count, const SpaceSearch& options) {
  if (count < 0)
    throw Error(ErrorCode::kInvalidArgument, "search space: a negative number of configurations is asked for");
  if (count == 0) return {};
  Fastest found(static_cast<std::size_t>(count));
  const Outcome outcome = search_all(table, options, found);
  SpaceAnswer answer = found.sorted();
  answer.complete = outcome.complete;
  answer.visited = outcome.visited;
  return answer;
}

SpaceAnswer find_within(const SpaceTable& table, double budget_us, std::uint64_t most, const SpaceSearch& options) {
  if (std::isnan(budget_us)) throw Error(ErrorCode::kInvalidArgument, "search space: the budget is not a number");
  Within found(budget_us, most);
  const Outcome outcome = search_all(table, options, found);
  SpaceAnswer answer = found.sorted(table.sizes().size());
  answer.complete = outcome.complete && !found.full();
  answer.visited = outcome.visited;
  return answer;
}

}  // namespace mmt
