#include "mmt/onnx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "mmt/error.h"
#include "onnx/read_onnx.h"
#include "onnx/wire.h"

namespace mmt {
namespace {

using test::OnnxModel;
using test::OnnxNode;
using test::read_onnx;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A trace built call by call.
struct Builder {
  Trace trace;
  std::vector<std::vector<float>> data;

  int input(std::vector<std::int64_t> shape, std::string dtype = "float32") {
    trace.values.push_back({std::move(shape), std::move(dtype), -1});
    trace.inputs.push_back(last());
    return last();
  }
  int constant(std::vector<std::int64_t> shape, std::vector<float> values) {
    trace.values.push_back({std::move(shape), "float32", static_cast<int>(data.size())});
    data.push_back(std::move(values));
    return last();
  }
  int call(const std::string& name, const std::string& arguments, std::vector<int> inputs,
           std::vector<std::int64_t> shape) {
    trace.values.push_back({std::move(shape), "float32", -1});
    TraceNode node;
    node.name = name;
    node.module = "body";
    node.arguments_json = arguments;
    node.inputs = std::move(inputs);
    node.outputs = {last()};
    trace.nodes.push_back(node);
    trace.outputs = {last()};
    return last();
  }
  std::string bytes(LowerContext context = LowerContext::kPlain) const {
    std::vector<ConstantBuffer> buffers;
    for (const auto& values : data) buffers.push_back({values.data(), values.size() * sizeof(float)});
    LowerOptions options;
    options.context = context;
    return lower_to_onnx(trace, buffers, options);
  }
  OnnxModel model(LowerContext context = LowerContext::kPlain) const { return read_onnx(bytes(context)); }
  int last() const { return static_cast<int>(trace.values.size()) - 1; }
};

const char* const kConv = R"({"stride":[1,1],"padding":[1,1,1,1],"dilation":[1,1],"groups":1})";

std::vector<float> floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Error failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::kInterrupted, "no failure"};
}

TEST(Wire, VarintsOfAllSizesReadBack) {
  onnx::Message message;
  const std::vector<std::uint64_t> values{0, 1, 127, 128, 300, 1ull << 35, ~0ull};
  for (const std::uint64_t value : values) message.varint(3, value);
  message.signed_varint(17, -1);
  const auto read = test::fields(message.bytes());
  ASSERT_EQ(read.size(), values.size() + 1);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(read[i].value, values[i]);
  EXPECT_EQ(read.back().number, 17);
  EXPECT_EQ(static_cast<std::int64_t>(read.back().value), -1);
}

TEST(LowerToOnnx, WritesAConvolutionWithItsWeights) {
  Builder b;
  const int x = b.input({1, 1, 4, 4});
  const int w = b.constant({1, 1, 3, 3}, std::vector<float>(9, 0.5f));
  b.call("conv2d", kConv, {x, w, -1}, {1, 1, 4, 4});
  const OnnxModel model = b.model();
  EXPECT_EQ(model.ir_version, 8);
  EXPECT_EQ(model.opset, 17);
  EXPECT_THAT(model.inputs, ElementsAre("input_0"));
  EXPECT_THAT(model.outputs, ElementsAre("output_0"));
  ASSERT_THAT(model.types(), ElementsAre("Conv"));
  const OnnxNode& conv = model.nodes[0];
  EXPECT_EQ(conv.name, "conv2d_0");
  EXPECT_THAT(conv.inputs, ElementsAre("input_0", "constant_0"));
  EXPECT_THAT(conv.outputs, ElementsAre("output_0"));
  EXPECT_THAT(conv.ints.at("pads"), ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(conv.ints.at("kernel_shape"), ElementsAre(3, 3));
  EXPECT_EQ(floats(model.initializers.at("constant_0").data), std::vector<float>(9, 0.5f));
}

TEST(LowerToOnnx, PutsStubsBeforeFloatInputsOfRankFour) {
  Builder b;
  const int x = b.input({1, 2, 4, 4});
  const int y = b.input({2, 1, 1});
  const int z = b.input({1, 2, 4, 4}, "int64");
  const int sum = b.call("add", "{}", {x, y}, {1, 2, 4, 4});
  const int whole = b.call("cast", R"({"dtype":"float32"})", {z}, {1, 2, 4, 4});
  b.call("mul", "{}", {sum, whole}, {1, 2, 4, 4});
  EXPECT_THAT(b.model().types(), ElementsAre("Add", "Cast", "Mul"));
  const OnnxModel packed = b.model(LowerContext::kPacked);
  EXPECT_THAT(packed.types(), ElementsAre("MaxPool", "Add", "Cast", "Mul"));
  EXPECT_EQ(packed.nodes[0].name, "mmt_stub_0");
  EXPECT_THAT(packed.nodes[0].outputs, ElementsAre("mmt_stub_0"));
  EXPECT_THAT(packed.nodes[1].inputs, ElementsAre("mmt_stub_0", "input_1"));
  EXPECT_EQ(packed.inputs.size(), 3u);
}

TEST(LowerToOnnx, FoldsABatchNormIntoTheConvolutionThatItAloneReads) {
  Builder b;
  const int x = b.input({1, 1, 2, 2});
  const int w = b.constant({2, 1, 1, 1}, {1, 2});
  const int y = b.call("conv2d", kConv, {x, w, -1}, {1, 2, 2, 2});
  const int mean = b.constant({2}, {1, 2}), variance = b.constant({2}, {3, 0});
  const int scale = b.constant({2}, {4, 6}), shift = b.constant({2}, {10, 20});
  b.call("batch_norm", R"({"eps":1.0})", {y, mean, variance, scale, shift}, {1, 2, 2, 2});
  const OnnxModel folded = b.model();
  ASSERT_THAT(folded.types(), ElementsAre("Conv"));
  EXPECT_THAT(floats(folded.initializers.at(folded.nodes[0].inputs[1]).data), ElementsAre(2, 12));
  EXPECT_THAT(floats(folded.initializers.at(folded.nodes[0].inputs[2]).data), ElementsAre(8, 8));
  EXPECT_EQ(folded.initializers.size(), 2u);  // nothing else is written

  b.trace.outputs.push_back(y);  // the convolution's result is needed as it is
  EXPECT_THAT(b.model().types(), ElementsAre("Conv", "BatchNormalization"));
}

TEST(LowerToOnnx, TransposesTheWeightOfALinearLayerOverTokens) {
  Builder b;
  const int x = b.input({1, 5, 2});
  const int w = b.constant({3, 2}, {1, 2, 3, 4, 5, 6});
  b.call("linear", "{}", {x, w, b.constant({3}, {0, 0, 0})}, {1, 5, 3});
  const OnnxModel model = b.model();
  ASSERT_THAT(model.types(), ElementsAre("MatMul", "Add"));
  const auto& weight = model.initializers.at(model.nodes[0].inputs[1]);
  EXPECT_THAT(weight.shape, ElementsAre(2, 3));
  EXPECT_THAT(floats(weight.data), ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(LowerToOnnx, ReordersTheGatesOfALstm) {
  Builder b;
  const int x = b.input({3, 1, 1});
  const int h = b.constant({1, 1, 1}, {0}), s = b.constant({1, 1, 1}, {0});
  const int w = b.constant({4, 1}, {1, 2, 3, 4}), r = b.constant({4, 1}, {5, 6, 7, 8});
  b.call("lstm", R"({"layers":1,"bidirectional":false,"batch_first":false,"bias":false,"hidden":1})", {x, h, s, w, r},
         {3, 1, 1});
  b.trace.values.push_back({{1, 1, 1}, "float32", -1});
  b.trace.values.push_back({{1, 1, 1}, "float32", -1});
  b.trace.nodes[0].outputs = {b.last() - 2, b.last() - 1, b.last()};
  b.trace.outputs = {b.last() - 2};
  const OnnxModel model = b.model();
  ASSERT_THAT(model.types(), ElementsAre("LSTM", "Squeeze"));
  EXPECT_THAT(floats(model.initializers.at(model.nodes[0].inputs[1]).data), ElementsAre(1, 4, 2, 3));
  EXPECT_THAT(floats(model.initializers.at(model.nodes[0].inputs[2]).data), ElementsAre(5, 8, 6, 7));
}

TEST(LowerToOnnx, WritesOutputsThatAreInputsConstantsOrGivenTwice) {
  Builder b;
  const int x = b.input({2});
  const int y = b.call("relu", "{}", {x}, {2});
  const int k = b.constant({2}, {1, 2});
  b.trace.outputs = {y, x, y, k};
  const OnnxModel model = b.model();
  EXPECT_THAT(model.outputs, ElementsAre("output_0", "output_1", "output_2", "output_3"));
  EXPECT_THAT(model.types(), ElementsAre("Relu", "Identity", "Identity", "Identity"));
  EXPECT_THAT(model.nodes[2].inputs, ElementsAre("output_0"));
}

TEST(LowerToOnnx, SharesSmallConstantsAndNamesEverythingOnce) {
  Builder b;
  int x = b.input({2, 2});
  for (int i = 0; i < 3; ++i) x = b.call("add", R"({"other":1.5})", {x}, {2, 2});
  const OnnxModel model = b.model();
  EXPECT_EQ(model.initializers.size(), 1u);
  std::set<std::string> names;
  for (const OnnxNode& node : model.nodes) names.insert(node.name);
  EXPECT_EQ(names.size(), model.nodes.size());
  EXPECT_EQ(b.bytes(), b.bytes());
}

TEST(LowerToOnnx, NamesFunctionModuleAndReasonOfWhatItCannotWrite) {
  Builder b;
  b.call("trapezoid", "{}", {b.input({2})}, {2});
  Error error = failure([&] { b.bytes(); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("trapezoid (module body) has no ONNX form here"));

  b.trace.nodes[0].kind = TraceNodeKind::kOperator;
  EXPECT_THAT(failure([&] { b.bytes(); }).what(), HasSubstr("closed operator"));

  Builder pool;
  pool.call("adaptive_avg_pool2d", R"({"size":[5,5]})", {pool.input({1, 1, 14, 14})}, {1, 1, 5, 5});
  EXPECT_THAT(failure([&] { pool.bytes(); }).what(), HasSubstr("does not divide"));

  Builder type;
  type.call("relu", "{}", {type.input({2}, "complex64")}, {2});
  EXPECT_THAT(failure([&] { type.bytes(); }).what(), HasSubstr("type complex64"));
}

TEST(LowerToOnnx, RefusesWrongBuffersArgumentsAndOpsets) {
  Builder b;
  const int x = b.input({1, 1, 4, 4});
  b.call("conv2d", kConv, {x, b.constant({1, 1, 3, 3}, {1, 2}), -1}, {1, 1, 4, 4});
  Error error = failure([&] { b.bytes(); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("constant 0 has 8 bytes, its shape needs 36"));

  Builder missing;
  missing.call("softmax", "{}", {missing.input({2, 2})}, {2, 2});
  EXPECT_THAT(failure([&] { missing.bytes(); }).what(), HasSubstr("argument \"axis\" is missing"));
  missing.trace.nodes[0].arguments_json = R"({"axis":"last"})";
  EXPECT_THAT(failure([&] { missing.bytes(); }).what(), HasSubstr("argument \"axis\" has the wrong type"));

  EXPECT_EQ(failure([&] {
              lower_to_onnx(missing.trace, {}, {LowerContext::kPlain, 18});
            }).code(),
            ErrorCode::kUnsupported);
}

TEST(LoweredFunctions, AreSortedAndHoldTheCommonOnes) {
  const std::vector<std::string> names = lowered_functions();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, ::testing::IsSupersetOf({"conv2d", "linear", "add", "reshape", "softmax", "lstm"}));
}

}  // namespace
}  // namespace mmt
