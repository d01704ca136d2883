#include "engine_mnn/self_test.h"

#include <algorithm>
#include <cmath>

#include "engine_mnn/self_test_model.h"
#include "engine_mnn/session.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

constexpr int kInChannels = 3, kConvChannels = 5, kPixels = 4 * 5;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::kUnsupported,
              "MNN self-test: " + what + "; this build of MNN does not match what the plugin was made for");
}

void require(bool holds, const std::string& what) {
  if (!holds) refuse(what);
}

std::vector<float> example_input() {
  std::vector<float> input(kInChannels * kPixels);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(static_cast<int>(i * 13 % 29) - 14) / 8;
  return input;
}

std::vector<float> expected_output(const std::vector<float>& input) {
  std::vector<float> output;
  for (int out = 0; out < kConvChannels; ++out) {
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      float sum = static_cast<float>(out - 2) / 4;
      for (int in = 0; in < kInChannels; ++in)
        sum += static_cast<float>((out * kInChannels + in) * 7 % 11 - 5) / 8 * input[in * kPixels + pixel];
      output.push_back(std::max(sum, 0.0f));
    }
  }
  output.insert(output.end(), input.begin(), input.end());
  return output;
}

void check_schedule(const SessionDesc& desc) {
  require(desc.inputs.size() == 1 && desc.inputs[0].name == "x" && desc.inputs[0].dtype == "float32" &&
              desc.inputs[0].shape == std::vector<int>{1, kInChannels, 4, 5} && desc.inputs[0].layout == Layout::kNchw,
          "the input is not x [1,3,4,5] float32 nchw");
  require(desc.outputs.size() == 1 && desc.outputs[0].name == "y" && desc.outputs[0].layout == Layout::kNchw,
          "the output is not y, nchw");
  require(desc.kernels.size() == 3 && desc.kernels[0].type == "Raster" && desc.kernels[1].type == "Convolution" &&
              desc.kernels[2].type == "Raster",
          "the schedule is not Raster, Convolution, Raster");
  const KernelDesc& pack = desc.kernels[0];
  const KernelDesc& conv = desc.kernels[1];
  const KernelDesc& join = desc.kernels[2];
  require(conv.inputs.size() == 1 && conv.outputs.size() == 1 && conv.inputs[0].layout == Layout::kNc4hw4 &&
              conv.outputs[0].layout == Layout::kNc4hw4 && !conv.inputs[0].constant,
          "the convolution does not run from and to nc4hw4");
  require(pack.outputs.size() == 1 && pack.outputs[0].id == conv.inputs[0].id, "the first Raster does not feed it");
  require(pack.regions.size() == 1 && pack.regions[0].origin == desc.inputs[0].id, "the first Raster does not read x");
  const RegionDesc& whole = pack.regions[0];
  require(whole.size[0] * whole.size[1] * whole.size[2] == kInChannels * kPixels && whole.src_offset == 0 &&
              whole.dst_offset == 0,
          "the first Raster does not copy all of x");
  require(join.outputs.size() == 1 && join.outputs[0].id == desc.outputs[0].id && join.regions.size() == 2,
          "the second Raster does not join two tensors into y");
  for (const RegionDesc& region : join.regions) {
    const bool from_conv = region.origin == conv.outputs[0].id;
    const int count = region.size[0] * region.size[1] * region.size[2];
    require(from_conv || region.origin == desc.inputs[0].id, "the second Raster reads an unknown tensor");
    require(count == (from_conv ? kConvChannels : kInChannels) * kPixels &&
                region.dst_offset == (from_conv ? 0 : kConvChannels * kPixels),
            "the second Raster copies wrong parts");
  }
}

void check_numbers(MnnSession& session, const EngineConfig& config) {
  // Reduced precision is allowed to round: the test is about wrong calls, not about the last digits.
  const bool is_exact = config.backend == "cpu" && (config.precision == "normal" || config.precision == "high");
  const float tolerance = is_exact ? 1e-5f : 0.05f;
  const std::vector<float> input = example_input();
  const std::vector<float> expected = expected_output(input);
  const std::vector<float> result = session.compute({input}).at(0);
  require(result.size() == expected.size(), "the result has a wrong size");
  for (std::size_t i = 0; i < expected.size(); ++i)
    require(std::fabs(result[i] - expected[i]) <= tolerance, "element " + std::to_string(i) + " of the result is " +
                                                                 std::to_string(result[i]) + " instead of " +
                                                                 std::to_string(expected[i]));
}

}  // namespace

Model self_test_model(const EngineConfig& config, SharedRuntime& runtime) {
  return Model::from_bytes(kSelfTestModel, sizeof kSelfTestModel, "self-test model", config, runtime);
}

SelfTestResult self_test(const EngineConfig& config, SharedRuntime& runtime, Shared& shared) {
  Model model = self_test_model(config, runtime);
  const SelfTestResult result{model.threads(), model.backend()};
  const bool is_cpu = result.backend == "cpu";
  MnnSession session(std::move(model), "self-test model", {}, shared, !is_cpu);
  if (is_cpu) check_schedule(session.desc());  // Other backends choose layouts of their own.
  check_numbers(session, config);
  const RunSamples samples = session.run({.runs = 2, .profile = true});
  require(samples.kernel_us.size() == 2 * session.desc().kernels.size(), "profiling returns a wrong number of times");
  return result;
}

}  // namespace mmt::mnn
