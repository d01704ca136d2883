// Evaluating and searching a compiled search space. Spaces are made up, with the dimensions of real ones.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "mmt/predict.h"
#include "mmt/space_table.h"

namespace {

mmt::SpaceTable make_space(const std::vector<int>& sizes, bool pairs) {
  std::mt19937_64 random(1);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const std::vector<std::string> features{"hot_us", "cold_extra_us", "kernels", "footprint_bytes", "weight_bytes"};
  mmt::SpaceTable table(sizes, features, std::vector<double>{3000, 150, 60, 3e6, 2e6});
  for (int slot = 0; slot < table.slots(); ++slot) {
    for (int choice = 1; choice < sizes[slot]; ++choice) {
      table.set_choice(slot, choice, std::vector<double>{uniform(0, 400), uniform(0, 30), 8, uniform(0, 4e5), 1e5});
    }
    for (int i = 0; pairs && slot > 0 && i < sizes[slot - 1]; ++i) {
      for (int j = 0; j < sizes[slot]; ++j) {
        table.set_pair(slot - 1, i, slot, j, std::vector<double>{uniform(-5, 20), uniform(0, 3), 1, 1e4, 0});
      }
    }
  }
  mmt::CostModel model;
  model.run_overhead_us = 10;
  model.kernel_overhead_us = 0.2;
  table.compile(mmt::LatencyFormula::from(model, features));
  return table;
}

/// Eleven blocks of 12 choices and a head of 4, as in MobileNetV3-small.
std::vector<int> mobilenet_sizes() {
  std::vector<int> sizes(11, 12);
  sizes.push_back(4);
  return sizes;
}

void random_configurations(benchmark::State& state) {
  const mmt::SpaceTable table = make_space(mobilenet_sizes(), state.range(0) != 0);
  const std::size_t count = 1'000'000, width = table.sizes().size();
  std::mt19937_64 random(2);
  std::vector<std::uint8_t> rows(count * width);
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<std::uint8_t>(random() % table.sizes()[i % width]);
  std::vector<double> latencies(count);
  for (auto _ : state) {
    table.latency_us(std::span<const std::uint8_t>(rows), latencies);
    benchmark::DoNotOptimize(latencies.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}
BENCHMARK(random_configurations)->ArgName("pairs")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void whole_resnet_space(benchmark::State& state) {
  const mmt::SpaceTable table = make_space(std::vector<int>(8, 3), true);
  std::vector<double> latencies(table.configurations());
  for (auto _ : state) {
    table.enumerate_latency_us(0, latencies);
    benchmark::DoNotOptimize(latencies.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(latencies.size()));
}
BENCHMARK(whole_resnet_space)->Unit(benchmark::kMicrosecond);

void fastest(benchmark::State& state) {
  const mmt::SpaceTable table = make_space(mobilenet_sizes(), true);
  for (auto _ : state) benchmark::DoNotOptimize(mmt::find_fastest(table, static_cast<int>(state.range(0))));
}
BENCHMARK(fastest)->Arg(1)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);

void sample(benchmark::State& state) {
  const mmt::SpaceTable table = make_space(mobilenet_sizes(), true);
  const double budget = 1.05 * mmt::find_fastest(table, 1).latency_us[0];
  for (auto _ : state) benchmark::DoNotOptimize(mmt::sample_within(table, budget, 1000, 3));
}
BENCHMARK(sample)->Unit(benchmark::kMillisecond);

}  // namespace
