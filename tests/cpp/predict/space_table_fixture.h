// Random search spaces and their answers by trying everything.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "mmt/predict.h"
#include "mmt/space_table.h"

namespace mmt::testing {

inline const std::vector<std::string>& space_features() {
  static const std::vector<std::string> names{"hot_us",          "cold_extra_us", "kernels",
                                              "footprint_bytes", "weight_bytes",  "reread_extra_us"};
  return names;
}

/// Constants under which λ really varies over the spaces below.
inline CostModel space_cost_model() {
  CostModel model;
  model.run_overhead_us = 7;
  model.kernel_overhead_us = 0.3;
  model.cold = {2000, 1.5e7, 1.5};
  return model;
}

enum class Pairs { kNone, kNeighbours, kAll };

inline SpaceTable make_space(const std::vector<int>& sizes, Pairs pairs, std::uint64_t seed, int joint_limit = 4096) {
  std::mt19937_64 random(seed);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  SpaceTable table(sizes, space_features(), std::vector<double>{500, 40, 12, 1e6, 4e5, 20});
  for (int slot = 0; slot < table.slots(); ++slot) {
    for (int choice = 1; choice < sizes[slot]; ++choice) {
      table.set_choice(slot, choice,
                       std::vector<double>{uniform(-30, 200), uniform(0, 60), std::floor(uniform(-3, 6)),
                                           uniform(0, 1e6), uniform(0, 5e5), uniform(0, 40)});
    }
  }
  for (int a = 0; a < table.slots() && pairs != Pairs::kNone; ++a) {
    for (int b = a + 1; b < table.slots(); ++b) {
      if (b != a + 1 && (pairs == Pairs::kNeighbours || random() % 3 != 0)) continue;
      for (int i = 0; i < sizes[a]; ++i) {
        for (int j = 0; j < sizes[b]; ++j) {
          if (random() % 2 == 0) continue;
          table.set_pair(a, i, b, j,
                         std::vector<double>{uniform(-15, 15), uniform(0, 4), 1, uniform(0, 2e4), 0, uniform(0, 3)});
        }
      }
    }
  }
  table.compile(LatencyFormula::from(space_cost_model(), space_features()), joint_limit);
  return table;
}

struct Everything {
  std::vector<std::int32_t> rows;
  std::vector<double> latency_us;  ///< In double precision, straight from the definition.
};

inline double defined_latency(const SpaceTable& table, std::span<const std::int32_t> row) {
  std::vector<double> sum(table.base().begin(), table.base().end());
  for (int slot = 0; slot < table.slots(); ++slot) {
    for (std::size_t f = 0; f < sum.size(); ++f) sum[f] += table.delta(slot, row[slot])[f];
  }
  for (const SpaceTable::Pair& pair : table.pairs()) {
    const std::size_t at = static_cast<std::size_t>(row[pair.slot_a]) * table.sizes()[pair.slot_b] + row[pair.slot_b];
    for (std::size_t f = 0; f < sum.size(); ++f) sum[f] += pair.corrections[at * sum.size() + f];
  }
  PlanSums sums;
  sums.hot_us = sum[0];
  sums.cold_extra_us = sum[1];
  sums.kernels = sum[2];
  sums.footprint_bytes = sum[3];
  sums.reread_extra_us = sum[5];
  return space_cost_model().latency_us(sums);
}

inline Everything try_everything(const SpaceTable& table) {
  Everything all;
  const auto width = static_cast<std::size_t>(table.slots());
  all.rows.resize(table.configurations() * width);
  table.enumerate(0, all.rows);
  for (std::size_t r = 0; r < table.configurations(); ++r) {
    all.latency_us.push_back(defined_latency(table, std::span(all.rows).subspan(r * width, width)));
  }
  return all;
}

}  // namespace mmt::testing
