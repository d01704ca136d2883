#include "meter/rounds.h"

#include <algorithm>
#include <cmath>

#include "mmt/stats.h"

namespace mmt::metering {
namespace {

/// Uniform in [0, 1), from the generator's bits alone: distributions differ between standard libraries.
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

double error_gain(const Quantity& quantity, const Precision& precision) {
  if (!quantity.wanted(precision)) return 0;
  // Width of a quantity with few samples is unknown: large, so that every quantity gets its first ones early.
  const double width = std::isfinite(quantity.relative_width()) ? quantity.relative_width() : 1.0;
  const double error_us = width * std::max(quantity.median_us(), 1.0);
  return error_us * error_us / (1 + quantity.count());
}

double gain(const Visit& visit, const ItemState& state, const KernelPool& pool, const Precision& precision) {
  if (visit.part == kPlain) return error_gain(state.total_cold, precision) + error_gain(state.total_hot, precision);
  double sum = 0;
  for (const int key : state.keys) {
    if (key < 0) continue;
    const SharedKernel& kernel = pool[key];
    sum += kernel.open_models * (error_gain(kernel.cold, precision) + error_gain(kernel.hot, precision));
  }
  return sum;
}

}  // namespace

bool wants_plain(const ItemState& state, const Precision& precision) {
  return state.item->need_total && (state.total_cold.wanted(precision) || state.total_hot.wanted(precision));
}

bool wants_profile(const ItemState& state, const KernelPool& pool, const Precision& precision) {
  return std::any_of(state.keys.begin(), state.keys.end(),
                     [&](int key) { return key >= 0 && pool[key].wanted(precision); });
}

bool wants_hot(const ItemState& state, Part part, const KernelPool& pool, const Precision& precision) {
  if (part == kPlain) return state.total_hot.wanted(precision);
  return std::any_of(state.keys.begin(), state.keys.end(),
                     [&](int key) { return key >= 0 && pool[key].hot.wanted(precision); });
}

void shuffle(std::vector<Visit>& visits, std::mt19937_64& random) {
  for (std::size_t i = visits.size(); i > 1; --i) {
    std::swap(visits[i - 1], visits[static_cast<std::size_t>(uniform(random) * static_cast<double>(i))]);
  }
}

std::vector<Visit> choose_round(std::vector<ItemState>& items, std::span<const int> batch, KernelPool& pool,
                                const Precision& precision, int round, std::mt19937_64& random) {
  std::vector<Visit> visits;
  struct Candidate {
    int item;
    double price;  ///< Time per wanted kernel, blurred so that shared kernels wander between their models.
  };
  std::vector<Candidate> candidates;
  for (const int index : batch) {
    const ItemState& state = items[static_cast<std::size_t>(index)];
    if (state.phase != Phase::kOpen) continue;
    if (wants_plain(state, precision)) visits.push_back({index, kPlain});
    const auto wanted = std::count_if(state.keys.begin(), state.keys.end(),
                                      [&](int key) { return key >= 0 && pool[key].wanted(precision); });
    if (wanted == 0) continue;
    const double cost = std::max(state.cost_us[kProfiled], 1.0) / static_cast<double>(wanted);
    candidates.push_back({index, cost * std::exp2(2 * uniform(random) - 1)});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.price != b.price ? a.price < b.price : a.item < b.item;
  });
  for (const Candidate& candidate : candidates) {
    bool covers = false;
    for (const int key : items[static_cast<std::size_t>(candidate.item)].keys) {
      if (key < 0 || !pool[key].wanted(precision) || pool[key].covered_round == round) continue;
      pool[key].covered_round = round;
      covers = true;
    }
    if (covers) visits.push_back({candidate.item, kProfiled});
  }
  shuffle(visits, random);
  return visits;
}

void keep_most_useful(std::vector<Visit>& visits, const std::vector<ItemState>& items, const KernelPool& pool,
                      const Precision& precision, double affordable_us) {
  struct Ranked {
    std::size_t position;
    double cost, worth;
  };
  std::vector<Ranked> ranked;
  for (std::size_t i = 0; i < visits.size(); ++i) {
    const ItemState& state = items[static_cast<std::size_t>(visits[i].item)];
    const double cost = std::max(state.cost_us[visits[i].part], 0.1);
    ranked.push_back({i, cost, gain(visits[i], state, pool, precision) / cost});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.worth > b.worth; });
  std::vector<bool> kept(visits.size(), false);
  double spent = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    if (i >= (ranked.size() + 3) / 4 && spent + ranked[i].cost > affordable_us) break;
    spent += ranked[i].cost;
    kept[ranked[i].position] = true;
  }
  std::size_t next = 0;  // The random order stays.
  for (std::size_t i = 0; i < visits.size(); ++i) {
    if (kept[i]) visits[next++] = visits[i];
  }
  visits.resize(next);
}

double time_left_us(const std::vector<ItemState>& items, std::span<const int> batch, const KernelPool& pool,
                    const Precision& precision, const MeterOptions& options) {
  const int runs_per_visit = options.runs_per_visit(), hot_runs = std::max(options.hot_runs, 1);
  const auto runs_left = [&](const Quantity& cold, const Quantity& hot) {
    const int for_hot = (hot.samples_left(precision) + hot_runs - 1) / hot_runs;
    return for_hot * runs_per_visit + std::max(0, cold.samples_left(precision) - for_hot);
  };
  double sum = 0;
  for (const int index : batch) {
    const ItemState& state = items[static_cast<std::size_t>(index)];
    if (state.phase != Phase::kOpen) continue;
    if (wants_plain(state, precision)) {
      sum += state.cost_us[kPlain] * runs_left(state.total_cold, state.total_hot);
    }
    double runs = 0;  // The share of this model in the runs that its kernels still need.
    for (const int key : state.keys) {
      if (key < 0 || !pool[key].wanted(precision)) continue;
      const SharedKernel& kernel = pool[key];
      runs = std::max(runs, runs_left(kernel.cold, kernel.hot) / static_cast<double>(std::max(kernel.open_models, 1)));
    }
    sum += state.cost_us[kProfiled] * runs;
  }
  return sum;
}

double current_noise(const std::vector<ItemState>& items, std::span<const int> batch, const KernelPool& pool,
                     const Precision& precision) {
  std::vector<double> widths;
  const auto add = [&](const Quantity& quantity) {
    if (quantity.wanted(precision) && std::isfinite(quantity.relative_width()))
      widths.push_back(quantity.relative_width());
  };
  for (const int index : batch) {
    const ItemState& state = items[static_cast<std::size_t>(index)];
    if (state.phase != Phase::kOpen) continue;
    if (state.item->need_total) {
      add(state.total_cold);
      add(state.total_hot);
    }
    for (const int key : state.keys) {
      if (key < 0) continue;
      add(pool[key].cold);
      add(pool[key].hot);
    }
  }
  return widths.empty() ? 0 : median(widths);
}

}  // namespace mmt::metering
