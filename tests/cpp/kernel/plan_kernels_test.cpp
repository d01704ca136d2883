#include <gtest/gtest.h>

#include <fstream>

#include "kernel/mnn_builder.h"
#include "kernel/signature.h"
#include "mmt/kernel.h"

namespace mmt {
namespace {

TensorDesc tensor(int id, std::vector<int> shape, Layout layout = Layout::kNchw) {
  TensorDesc t;
  t.id = id;
  t.shape = std::move(shape);
  t.layout = layout;
  t.dtype = "float32";
  return t;
}

KernelDesc convert(const std::string& name, TensorDesc from, TensorDesc to) {
  KernelDesc kernel;
  kernel.name = name;
  kernel.type = "Raster";
  RegionDesc region;
  region.origin = from.id;
  kernel.regions = {region};
  kernel.inputs = {std::move(from)};
  kernel.outputs = {std::move(to)};
  return kernel;
}

KernelDesc kernel(const std::string& name, const std::string& type, std::vector<TensorDesc> inputs, TensorDesc output) {
  KernelDesc desc;
  desc.name = name;
  desc.type = type;
  desc.inputs = std::move(inputs);
  desc.outputs = {std::move(output)};
  return desc;
}

std::string write_model(const std::vector<test::OpSpec>& ops, const std::vector<std::string>& tensors) {
  const auto image = test::build_mnn(ops, tensors);
  const std::string path = testing::TempDir() + "/mmt_plan_kernels_test.mnn";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  return path;
}

const std::vector<int> kShape = {1, 8, 4, 4};

TEST(PlanKernels, RolesAndPortsOfAConvolutionRunAlone) {
  const std::string path =
      write_model({{"x", 34, 0, {}, {0}}, {"conv", 12, 9, {0}, {1}, test::convolution(3, 36, true)}}, {"x", "conv"});
  SessionDesc session;
  session.inputs = {tensor(0, kShape)};
  session.outputs = {tensor(3, kShape)};
  const auto packed_in = tensor(1, kShape, Layout::kNc4hw4), packed_out = tensor(2, kShape, Layout::kNc4hw4);
  session.kernels = {convert("conv_raster_0", session.inputs[0], packed_in),
                     kernel("conv", "Convolution", {packed_in}, packed_out),
                     convert("y__before_tr_raster_0", packed_out, session.outputs[0])};
  const KernelPlan plan = plan_kernels(path, session, std::string(kStubPrefix));
  ASSERT_EQ(plan.kernels.size(), 3u);
  EXPECT_EQ(plan.kernels[0].role, KernelRole::kInputConvert);
  EXPECT_EQ(plan.kernels[1].role, KernelRole::kBody);
  EXPECT_EQ(plan.kernels[2].role, KernelRole::kOutputConvert);
  EXPECT_EQ(plan.kernels[1].signature.text, "Convolution{kernel_x=3,kernel_y=3,relu=1} [1,8,4,4]c4 -> [1,8,4,4]c4");
  EXPECT_EQ(plan.kernels[1].signature.weight_bytes, 144);
  EXPECT_EQ(plan.inputs[0].layout, Layout::kNc4hw4);
  EXPECT_EQ(plan.inputs[0].edge_kind, "convolution");
  EXPECT_EQ(plan.outputs[0].layout, Layout::kNc4hw4);
  EXPECT_EQ(plan.outputs[0].edge_kind, "convolution");
  EXPECT_TRUE(plan.outputs[0].has_activation);
}

SessionDesc joining(const std::string& first, const std::string& second) {
  const std::vector<int> half = {1, 4, 4, 4};
  SessionDesc session;
  session.inputs = {tensor(0, kShape)};
  session.outputs = {tensor(1, kShape)};
  const auto a = tensor(2, half, Layout::kNc4hw4), b = tensor(3, half, Layout::kNc4hw4);
  const auto c = tensor(4, half, Layout::kNc4hw4), d = tensor(5, half, Layout::kNc4hw4);
  session.kernels = {
      kernel(first + "_raster_0", "Raster", {session.inputs[0]}, a), kernel(first, "Deconvolution", {a}, c),
      kernel(second + "_raster_0", "Raster", {session.inputs[0]}, b), kernel(second, "Deconvolution", {b}, d),
      kernel("y__before_tr_raster_0", "Raster", {c, d}, session.outputs[0])};
  return session;
}

TEST(PlanKernels, JoinedGroupsOfATransposedConvolutionAreToldFromOtherCopies) {
  const std::string path = write_model({{"x", 34, 0, {}, {0}}}, {"x"});
  const auto kind = [&](const std::string& first, const std::string& second) {
    return plan_kernels(path, joining(first, second), std::string(kStubPrefix)).outputs[0].edge_kind;
  };
  EXPECT_EQ(kind("y__group__0", "y__group__1"), "joined_groups");
  EXPECT_EQ(kind("y__group__0", "z__group__0"), "raster");
  EXPECT_EQ(kind("y", "z"), "raster");
}

TEST(PlanKernels, ADepthwiseTransposedConvolutionFoldsNothing) {
  const std::string path = write_model({{"x", 34, 0, {}, {0}}}, {"x"});
  SessionDesc session;
  session.inputs = {tensor(0, kShape)};
  session.outputs = {tensor(1, kShape)};
  session.kernels = {kernel("y", "DeconvolutionDepthwise", {session.inputs[0]}, session.outputs[0])};
  EXPECT_EQ(plan_kernels(path, session, std::string(kStubPrefix)).outputs[0].edge_kind, "other");
}

TEST(PlanKernels, StubsAreToldApartAndTheirConversionsBelongToThem) {
  const std::string path = write_model(
      {{"x", 34, 0, {}, {0}}, {"mmt_stub_0", 47, 0, {0}, {1}}, {"sum", 7, 0, {1, 1}, {2}}}, {"x", "s", "y"});
  SessionDesc session;
  session.inputs = {tensor(0, kShape)};
  session.outputs = {tensor(4, kShape)};
  const auto converted = tensor(1, kShape, Layout::kNc4hw4), stub = tensor(2, kShape, Layout::kNc4hw4),
             sum = tensor(3, kShape, Layout::kNc4hw4);
  session.kernels = {convert("mmt_stub_0_raster_0", session.inputs[0], converted),
                     kernel("mmt_stub_0", "Pooling", {converted}, stub), kernel("sum", "BinaryOp", {stub, stub}, sum),
                     convert("y_raster_0", sum, session.outputs[0])};
  const KernelPlan plan = plan_kernels(path, session, std::string(kStubPrefix));
  EXPECT_EQ(plan.kernels[0].role, KernelRole::kStub);
  EXPECT_EQ(plan.kernels[1].role, KernelRole::kStub);
  EXPECT_EQ(plan.kernels[2].role, KernelRole::kBody);
  EXPECT_EQ(plan.kernels[3].role, KernelRole::kOutputConvert);
  EXPECT_EQ(plan.inputs[0].layout, Layout::kNc4hw4);
  EXPECT_EQ(plan.inputs[0].edge_kind, "binary");
  EXPECT_EQ(plan.outputs[0].edge_kind, "binary");
  EXPECT_FALSE(plan.outputs[0].has_activation);
}

TEST(Signature, DependsOnAttributesShapesLayoutsAndNotOnNames) {
  mnn::OpNode three, five;
  three.attributes = "kernel_x=3";
  five.attributes = "kernel_x=5";
  const auto x = tensor(0, kShape, Layout::kNc4hw4);
  const auto a = make_signature(kernel("a", "Convolution", {x}, tensor(1, kShape)), &three, false);
  const auto b = make_signature(kernel("b", "Convolution", {x}, tensor(9, kShape)), &three, false);
  const auto other_kernel = make_signature(kernel("a", "Convolution", {x}, tensor(1, kShape)), &five, false);
  const auto other_layout =
      make_signature(kernel("a", "Convolution", {tensor(0, kShape)}, tensor(1, kShape)), &three, false);
  EXPECT_EQ(a.key, b.key);
  EXPECT_NE(a.key, other_kernel.key);
  EXPECT_NE(a.key, other_layout.key);
}

TEST(Signature, RastersAreToldApartByWhatTheyCopy) {
  auto whole = convert("r", tensor(0, kShape), tensor(1, kShape));
  whole.regions[0].size[2] = 8;
  auto strided = whole;
  strided.regions[0].src_stride[2] = 2;
  EXPECT_NE(make_signature(whole, nullptr, true).key, make_signature(strided, nullptr, true).key);
}

TEST(Signature, StridesAlongExtentsOfOneTellNothing) {
  auto copy = convert("r", tensor(0, kShape), tensor(1, kShape));
  copy.regions[0].size[0] = 1;
  auto other = copy;
  other.regions[0].src_stride[0] = 4096;
  other.regions[0].dst_stride[0] = 0;
  EXPECT_EQ(make_signature(copy, nullptr, true).key, make_signature(other, nullptr, true).key);
}

TEST(Signature, PackedTensorsCountTheirPadding) {
  EXPECT_EQ(tensor_bytes(tensor(0, {1, 3, 2, 2}, Layout::kNc4hw4)), 4 * 4 * 4);
  EXPECT_EQ(tensor_bytes(tensor(0, {1, 3, 2, 2})), 3 * 4 * 4);
}

}  // namespace
}  // namespace mmt
