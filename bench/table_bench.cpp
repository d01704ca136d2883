// The latency table at 1,000 to 1,000,000 kernel rows: building, opening, looking up, and the memory that takes.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "mmt/hash.h"
#include "mmt/table.h"
#include "table/build.h"
#include "table/builder.h"

namespace {

namespace fs = std::filesystem;
using mmt::LatencyTable;

constexpr int kKernelsPerOperator = 10;

mmt::Summary summary(double median_us) {
  mmt::Summary made;
  made.count = 20;
  made.median_us = made.mean_us = median_us;
  made.min_us = made.ci_low_us = 0.99 * median_us;
  made.max_us = made.ci_high_us = 1.01 * median_us;
  return made;
}

std::string kernel_key(std::int64_t number) { return mmt::identity_hex("kernel " + std::to_string(number)); }
std::string fingerprint(std::int64_t number) { return mmt::identity_hex("operator " + std::to_string(number)); }

/// A folder whose table has so many operators of ten kernels each; built once per process, removed at its end.
class Folders {
 public:
  ~Folders() {
    for (const auto& [operators, folder] : folders_) fs::remove_all(folder);
  }

  const std::string& with(std::int64_t operators) {
    auto& folder = folders_[operators];
    if (!folder.empty()) return folder;
    folder = fs::temp_directory_path().string() + "/mmt_table_bench_" + std::to_string(::getpid()) + "_" +
             std::to_string(operators);
    fs::create_directories(folder);
    mmt::table::build(folder, [&](mmt::table::Builder& builder) -> std::int64_t {
      mmt::JournalEntry line;
      line.run.device = "bench";
      line.run.facts.name = "fake";
      for (std::int64_t i = 0; i < operators; ++i) {
        mmt::OperatorEntry entry;
        entry.fingerprint = line.profile.fingerprint = fingerprint(i);
        entry.kind = "module";
        entry.class_name = "my.Block" + std::to_string(i % 50);
        entry.parameters_json = "{\"channels\":" + std::to_string(i % 1000) + "}";
        entry.inputs = {{{1, static_cast<int>(i % 512), 14, 14}, "float32", -1, 1}};
        builder.add(entry);
        line.profile.context = "plain";
        line.profile.hot = line.profile.cold = summary(100);
        line.profile.kernels.clear();
        for (std::int64_t k = 0; k < kKernelsPerOperator; ++k) {
          mmt::KernelProfile& kernel = line.profile.kernels.emplace_back();
          auto& signature = kernel.kernel.signature;
          signature.type = k % 2 == 0 ? "Convolution" : "Raster";
          signature.attributes = "group=1,kernel=3x3,pad=1x1,stride=" + std::to_string(k);
          signature.text = signature.type + "{" + signature.attributes + "} " + std::to_string(i);
          signature.key = kernel_key(i * kKernelsPerOperator + k);
          kernel.hot = kernel.cold = summary(10);
        }
        builder.add(line);
      }
      return 0;
    });
    return folder;
  }

 private:
  std::map<std::int64_t, std::string> folders_;
};

Folders& folders() {
  static Folders made;
  return made;
}

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    long kib = 0;
    if (std::sscanf(line.c_str(), "VmRSS: %ld", &kib) == 1) return static_cast<double>(kib) / 1024;
  }
  return 0;
}

void open_table(benchmark::State& state) {
  const std::string& folder = folders().with(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(LatencyTable::open(folder));
}
BENCHMARK(open_table)->ArgName("operators")->Arg(100)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

/// Random kernels that were not asked for before: the table's file, not the cache, answers.
void find_kernel_fresh(benchmark::State& state) {
  const std::string& folder = folders().with(state.range(0) / kKernelsPerOperator);
  std::mt19937_64 random(1);
  auto table = LatencyTable::open(folder);
  std::int64_t asked = 0;
  for (auto _ : state) {
    if (++asked % (state.range(0) / 2) == 0) {
      state.PauseTiming();
      table = LatencyTable::open(folder);  // An empty cache.
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(table->find_kernel(kernel_key(static_cast<std::int64_t>(random() % state.range(0)))));
  }
}
BENCHMARK(find_kernel_fresh)->ArgName("rows")->Arg(1'000)->Arg(10'000)->Arg(100'000)->Arg(1'000'000);

void find_kernel_cached(benchmark::State& state) {
  const auto table = LatencyTable::open(folders().with(state.range(0) / kKernelsPerOperator));
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(kernel_key(i));
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table->find_kernel(keys[next++ % keys.size()]));
}
BENCHMARK(find_kernel_cached)->ArgName("rows")->Arg(1'000)->Arg(1'000'000)->ThreadRange(1, 2);

void find_operator_fresh(benchmark::State& state) {
  const std::int64_t operators = state.range(0) / kKernelsPerOperator;
  auto table = LatencyTable::open(folders().with(operators));
  std::mt19937_64 random(1);
  std::int64_t asked = 0;
  for (auto _ : state) {
    if (++asked % (operators / 2) == 0) {
      state.PauseTiming();
      table = LatencyTable::open(folders().with(operators));  // An empty cache.
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(table->find_operator(fingerprint(static_cast<std::int64_t>(random() % operators))));
  }
}
BENCHMARK(find_operator_fresh)->ArgName("rows")->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

void similar_kernels(benchmark::State& state) {
  const auto table = LatencyTable::open(folders().with(state.range(0) / kKernelsPerOperator));
  for (auto _ : state)
    benchmark::DoNotOptimize(table->similar_kernels("Convolution", "group=1,kernel=3x3,pad=1x1,stride=1", 20));
}
BENCHMARK(similar_kernels)->ArgName("rows")->Arg(1'000)->Arg(1'000'000);

/// Growth of this process by opening the largest table and asking for 100,000 of its kernels.
void memory_of_reading(benchmark::State& state) {
  const std::string& folder = folders().with(state.range(0) / kKernelsPerOperator);
  double grown = 0;
  for (auto _ : state) {
    ::malloc_trim(0);  // What earlier benchmarks have freed.
    const double before = resident_mib();
    const auto table = LatencyTable::open(folder);
    for (std::int64_t i = 0; i < 100'000; ++i)
      benchmark::DoNotOptimize(table->find_kernel(kernel_key(i * 7919 % state.range(0))));
    grown = resident_mib() - before;
  }
  state.counters["grown_mib"] = grown;
}
BENCHMARK(memory_of_reading)->ArgName("rows")->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
