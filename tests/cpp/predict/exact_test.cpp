// From a `.mnn` file and a table to a prediction, with nothing but the library: what mmt does without PyTorch.
#include "mmt/exact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernel/mnn_builder.h"
#include "mmt/predict.h"
#include "support/fake_engine.h"
#include "support/fake_table.h"

namespace mmt {
namespace {

constexpr auto kC4 = Layout::kNc4hw4;

class ExactPrediction : public ::testing::Test {
 protected:
  ExactPrediction() : path_((std::filesystem::temp_directory_path() / ("mmt_exact_" + name() + ".mnn")).string()) {
    image_ = test::build_mnn({{"x", 34, 0, {}, {0}}, {"conv", 12, 9, {0}, {1}, test::convolution(3, 576, true)}},
                             {"x", "conv"});
    write(image_);
    const auto in = testing::fake_tensor(0, {1, 8, 8, 8}, Layout::kNchw, "float32", "x");
    const auto packed = testing::fake_tensor(1, {1, 8, 8, 8}, kC4);
    const auto out = testing::fake_tensor(2, {1, 8, 8, 8}, kC4, "float32", "conv");
    KernelDesc convert{"conv_raster_0", "Raster", 0, {in}, {packed}, {}};
    convert.regions.resize(1);
    testing::FakeModel model;
    model.kernels = {{convert, 1, 1}, {KernelDesc{"conv", "Convolution", 0.5, {packed}, {out}, {}}, 1, 1}};
    model.inputs = {in};
    model.outputs = {out};
    model.memory_mib = 3.5;
    engine_.program(path_, model);
  }
  ~ExactPrediction() override { std::filesystem::remove(path_); }

  static std::string name() { return ::testing::UnitTest::GetInstance()->current_test_info()->name(); }
  void write(const std::vector<std::uint8_t>& image) {
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  }

  FakeClock clock_;
  testing::FakeEngine engine_{clock_};
  std::string path_;
  std::vector<std::uint8_t> image_;
};

TEST_F(ExactPrediction, KernelsOfTheFileAreLookedUpAndMissingOnesNamed) {
  const ModelPlan plan = exact_plan(engine_, path_);
  ASSERT_EQ(plan.kernels.size(), 2u);
  EXPECT_TRUE(plan.exact);
  EXPECT_EQ(plan.memory_mib, 3.5);
  EXPECT_EQ(plan.file_bytes, static_cast<std::int64_t>(image_.size()));
  const KernelSignature& conv = plan.kernels[1].signature;
  EXPECT_EQ(conv.weight_bytes, 576 * 4);

  test::FakeTable table;
  const std::string shapes = conv.text.substr(conv.text.find('}') + 2);
  ASSERT_EQ(table.add_kernel("Convolution", conv.attributes, shapes, 30, 20), conv.key);
  const Prediction prediction = predict(plan, table);
  EXPECT_FALSE(prediction.kernels[1].estimated);
  EXPECT_TRUE(prediction.kernels[0].estimated);  // The table has no such copy.
  EXPECT_GE(prediction.latency_us, 20);
  EXPECT_THAT(prediction.flags, ::testing::HasSubstr("estimated"));
}

TEST_F(ExactPrediction, SurvivesStorage) {
  ModelPlan plan = exact_plan(engine_, path_);
  plan.parameters = 576;
  plan.flops = 7;
  const ModelPlan again = read_plan(write_plan(plan));
  EXPECT_EQ(again.kernels[1].signature.key, plan.kernels[1].signature.key);
  EXPECT_EQ(again.parameters, 576);
  EXPECT_EQ(again.flops, 7);
  EXPECT_EQ(again.memory_mib, 3.5);
}

TEST_F(ExactPrediction, DamagedFilesNeverReachTheEngine) {
  image_.resize(image_.size() / 2);
  write(image_);
  try {
    exact_plan(engine_, path_);
    FAIL() << "half a file was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_THAT(error.what(), ::testing::HasSubstr(path_));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("convert the model again"));
  }
  EXPECT_EQ(engine_.opens, 0);
}

TEST_F(ExactPrediction, AFolderIsNoModel) {
  EXPECT_THROW(exact_plan(engine_, std::filesystem::temp_directory_path().string()), Error);
}

}  // namespace
}  // namespace mmt
