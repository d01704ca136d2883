// Hand-made folders for the table's tests: operators, profiles and journals with known numbers.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "mmt/hash.h"
#include "mmt/journal.h"
#include "mmt/manifest.h"

namespace mmt::test {

/// A folder of its own for every test, gone afterwards.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        testing::TempDir() + "mmt_" + info->test_suite_name() + "_" + info->name() + "_" + std::to_string(::getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return folder_ + "/" + name; }

  void write_journal(const std::vector<ModelProfile>& profiles, const Provenance& run) const {
    JournalWriter writer(file("latency.jsonl"), run);
    for (const ModelProfile& profile : profiles) writer.append(profile);
  }

  std::string folder_;
};

inline Provenance make_run(int threads = 1, const std::string& device = "board") {
  Provenance run;
  run.device = device;
  run.cpu = "Test CPU";
  run.facts.name = "fake";
  run.facts.version = "1.0";
  run.facts.build = "test";
  run.facts.backend = "cpu";
  run.facts.threads = threads;
  run.config.threads = threads;
  run.started_at = "2024-01-01T00:00:00Z";
  run.seed = 18446744073709551615u;
  return run;
}

inline Summary make_summary(double median_us, double half_width_us = 0.1, int count = 20) {
  Summary summary;
  summary.count = count;
  summary.mean_us = median_us;
  summary.min_us = median_us - 2 * half_width_us;
  summary.max_us = median_us + 3 * half_width_us;
  summary.median_us = median_us;
  summary.ci_low_us = median_us - half_width_us;
  summary.ci_high_us = median_us + half_width_us;
  summary.p05_us = median_us - 1.5 * half_width_us;
  summary.p25_us = median_us - half_width_us;
  summary.p75_us = median_us + half_width_us;
  summary.p95_us = median_us + 2 * half_width_us;
  return summary;
}

inline KernelSignature make_signature(const std::string& type, const std::string& attributes,
                                      const std::string& shapes) {
  KernelSignature signature;
  signature.type = type;
  signature.attributes = attributes;
  signature.text = type + "{" + attributes + "} " + shapes;
  signature.key = identity_hex(signature.text);
  signature.weight_bytes = 100;
  signature.input_bytes = 200;
  signature.output_bytes = 300;
  return signature;
}

inline KernelProfile make_kernel(const KernelSignature& signature, double cold_us, double hot_us,
                                 KernelRole role = KernelRole::kBody, int port = -1) {
  KernelProfile kernel;
  kernel.kernel.signature = signature;
  kernel.kernel.role = role;
  kernel.kernel.port = port;
  kernel.cold = make_summary(cold_us);
  kernel.hot = make_summary(hot_us);
  return kernel;
}

inline OperatorEntry make_operator(const std::string& name, const std::string& kind = "module") {
  OperatorEntry entry;
  entry.fingerprint = identity_hex(name);
  entry.kind = kind;
  entry.class_name = "torch.nn.Conv2d";
  entry.parameters_json = R"({"in_channels":16,"kernel_size":3})";
  entry.inputs = {{{1, 16, 8, 8}, "float32", -1, 1}};
  entry.output_shapes = {{1, 16, 8, 8}};
  entry.output_dtypes = {"float32"};
  entry.parameter_count = 2304;
  return entry;
}

/// Whole run: the kernels' sum plus `overhead_us`.
inline ModelProfile make_profile(const std::string& name, const std::vector<KernelProfile>& kernels,
                                 double overhead_us = 5, const std::string& context = "plain") {
  ModelProfile profile;
  profile.fingerprint = identity_hex(name);
  profile.context = context;
  double cold = overhead_us, hot = overhead_us;
  for (const KernelProfile& kernel : kernels) {
    cold += kernel.cold.median_us;
    hot += kernel.hot.median_us;
  }
  profile.cold = make_summary(cold);
  profile.hot = make_summary(hot);
  profile.kernels = kernels;
  profile.inputs = {{{1, 16, 8, 8}, "float32", Layout::kNc4hw4, "convolution", false, false}};
  profile.outputs = {{{1, 16, 8, 8}, "float32", Layout::kNc4hw4, "convolution", true, false}};
  profile.memory_mib = 1.5;
  profile.mflops = 2.5;
  profile.file_bytes = 4096;
  profile.weight_bytes = 2048;
  profile.rounds = 7;
  profile.measured_at = "2024-01-01T00:00:01Z";
  return profile;
}

inline std::string slurp(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void spill(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace mmt::test
