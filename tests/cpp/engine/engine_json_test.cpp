#include "engine/engine_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "engine/frame.h"
#include "mmt/error.h"
#include "mmt/worker.h"
#include "support/fake_engine.h"

namespace mmt {
namespace {

using nlohmann::json;

TEST(EngineJson, FactsSurvive) {
  EngineFacts facts;
  facts.name = "mnn";
  facts.library = "/opt/libMNN.so";
  facts.build_flags = "MNN_AVX2=ON\nCMAKE_BUILD_TYPE=Release";
  EXPECT_EQ(json(json(facts).get<EngineFacts>()), json(facts));
}

TEST(CodePaths, AreReadFromTheNamesInALibraryOrUnknown) {
  const auto found = [](const std::string& content) {
    const std::string path = ::testing::TempDir() + "mmt_code_paths_" + std::to_string(::getpid());
    std::ofstream(path, std::ios::binary) << content;
    std::map<std::string, std::string> names;
    for (const CodePath& one : code_paths(path)) names[one.name] = one.found;
    std::remove(path.c_str());
    return names;
  };
  const std::string named = "..._ZN3MNN11InterpreterC1Ev..MNNGetCoreFunctions..";
  EXPECT_EQ(found(named + "_ZN3MNN13AVX2Functions3getEv").at("avx2"), "yes");
  EXPECT_EQ(found(named).at("avx2"), "no");
  EXPECT_EQ(found("_ZN3MNN11InterpreterC1Ev").at("avx2"), "unknown") << "stripped";
  EXPECT_EQ(code_paths("/nowhere/lib.so").at(0).found, "unknown");
}

TEST(EngineJson, ConfigurationSurvives) {
  EngineConfig config{
      .backend = "vulkan", .threads = 3, .precision = "low", .memory = "high", .power = "low", .cpus = {1, 2}};
  const EngineConfig back = parse_engine_config(engine_config_json(config));
  EXPECT_EQ(json(back), json(config));
  EXPECT_EQ(back.cpus, config.cpus);
  EXPECT_EQ(json(parse_engine_config("{}")), json(EngineConfig{})) << "absent fields keep their defaults";
  EXPECT_THROW(parse_engine_config("{\"threads\": \"many\"}"), Error);
  EXPECT_THROW(parse_engine_config("not json"), Error);
}

TEST(EngineJson, OptionsSurvive) {
  OpenOptions options;
  options.inputs.push_back({.name = "x", .shape = {1, 2, 3}, .low = -0.1, .high = 1.0 / 3});
  options.seed = 0xffffffffffffffffu;
  const auto back = json::parse(json(options).dump()).get<OpenOptions>();
  ASSERT_EQ(back.inputs.size(), 1u);
  EXPECT_EQ(back.inputs[0].shape, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(back.inputs[0].high, 1.0 / 3);
  EXPECT_EQ(back.seed, options.seed);
}

TEST(EngineJson, DescriptionSurvives) {
  SessionDesc desc;
  KernelDesc raster{.name = "r", .type = "Raster", .mflops = 0.25, .inputs = {}, .outputs = {}, .regions = {}};
  raster.inputs.push_back(testing::fake_tensor(7, {1, 3, 4, 5}, Layout::kNchw, "int8", "x"));
  raster.inputs.push_back(testing::fake_tensor(9, {}, Layout::kUnknown, "float32"));
  raster.inputs.back().constant = true;
  raster.outputs.push_back(testing::fake_tensor(8, {1, 3, 4, 5}, Layout::kNc4hw4));
  raster.regions.push_back({7, {1, 2, 3}, 4, {5, 6, 7}, 8, {9, 10, 11}});
  desc.kernels.push_back(raster);
  desc.inputs.push_back(raster.inputs[0]);
  desc.outputs.push_back(raster.outputs[0]);
  desc.memory_mib = 1.5;
  desc.mflops = 2.5;

  const auto back = json::parse(json(desc).dump()).get<SessionDesc>();
  ASSERT_EQ(back.kernels.size(), 1u);
  const KernelDesc& kernel = back.kernels[0];
  EXPECT_EQ(kernel.name, "r");
  EXPECT_EQ(kernel.mflops, 0.25);
  ASSERT_EQ(kernel.inputs.size(), 2u);
  EXPECT_EQ(kernel.inputs[0].id, 7);
  EXPECT_EQ(kernel.inputs[0].dtype, "int8");
  EXPECT_EQ(kernel.inputs[0].name, "x");
  EXPECT_FALSE(kernel.inputs[0].constant);
  EXPECT_TRUE(kernel.inputs[1].constant);
  EXPECT_EQ(kernel.inputs[1].layout, Layout::kUnknown);
  EXPECT_EQ(kernel.outputs[0].layout, Layout::kNc4hw4);
  ASSERT_EQ(kernel.regions.size(), 1u);
  EXPECT_EQ(kernel.regions[0].origin, 7);
  EXPECT_EQ(kernel.regions[0].size[2], 3);
  EXPECT_EQ(kernel.regions[0].src_offset, 4);
  EXPECT_EQ(kernel.regions[0].src_stride[0], 5);
  EXPECT_EQ(kernel.regions[0].dst_offset, 8);
  EXPECT_EQ(kernel.regions[0].dst_stride[2], 11);
  EXPECT_EQ(back.memory_mib, 1.5);
}

TEST(EngineJson, DescriptionWithUnknownTensorIsRefused) {
  const char* text = R"({"tensors": [], "inputs": [3], "outputs": [], "kernels": []})";
  EXPECT_THROW(parse_engine_json<SessionDesc>(text, "desc"), Error);
}

class FramePipe : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(fds_), 0); }
  void TearDown() override {
    close(fds_[0]);
    close_writer();
  }
  void close_writer() {
    if (fds_[1] >= 0) close(fds_[1]);
    fds_[1] = -1;
  }
  ReadResult read(Frame& frame) { return read_frame(fds_[0], std::chrono::milliseconds(50), frame); }
  int fds_[2] = {-1, -1};
};

TEST_F(FramePipe, HeaderAndPayloadArrive) {
  Frame sent{{{"call", "x"}}, {}};
  const std::vector<double> doubles{1.5, 2.5};
  const std::vector<float> floats{3.5f};
  sent.append(std::span<const double>(doubles));
  sent.append(std::span<const float>(floats));
  ASSERT_TRUE(write_frame(fds_[1], sent));
  Frame got;
  ASSERT_EQ(read(got), ReadResult::kFrame);
  EXPECT_EQ(got.header, sent.header);
  PayloadReader reader(got.payload);
  EXPECT_EQ(reader.take<double>(2), doubles);
  EXPECT_EQ(reader.take<float>(1), floats);
  EXPECT_THROW(reader.take<float>(1), Error);
}

TEST_F(FramePipe, SilenceTimesOutAndEndsAreSeen) {
  Frame got;
  EXPECT_EQ(read(got), ReadResult::kTimeout);
  ASSERT_EQ(write(fds_[1], "abc", 3), 3);
  EXPECT_EQ(read(got), ReadResult::kTimeout) << "in the middle of a message";
  close_writer();
  EXPECT_EQ(read(got), ReadResult::kClosed);
}

TEST_F(FramePipe, OtherTextIsNoMessage) {
  const std::string text = "Traceback (most recent call last): and so on";
  ASSERT_EQ(write(fds_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  Frame got;
  EXPECT_THROW(read(got), Error);
}

TEST_F(FramePipe, WritingToAClosedEndIsToldWithoutASignal) {
  close(fds_[0]);
  fds_[0] = dup(fds_[1]);
  EXPECT_FALSE(write_frame(fds_[1], {{{"call", "x"}}, {}}));
}

TEST(BuildFlags, AreListedAndToldToPeople) {
  const std::string flags = "MNN_AVX2=ON\nMNN_CUDA=OFF\nnoise\nCMAKE_BUILD_TYPE=Release";
  ASSERT_EQ(build_flag_list(flags).size(), 3u);
  EXPECT_EQ(build_flag_list(flags)[1], (std::pair<std::string, std::string>("MNN_CUDA", "OFF")));
  EXPECT_EQ(build_flags_text(flags), "MNN_AVX2 CMAKE_BUILD_TYPE=Release");
  EXPECT_EQ(build_flags_text("").rfind("unknown", 0), 0u);
}

}  // namespace
}  // namespace mmt
