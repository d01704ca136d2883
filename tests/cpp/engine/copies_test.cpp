// Copies that the engine makes without listing them: what they are copies of.
#include "engine/copies.h"

#include <gtest/gtest.h>

namespace mmt {
namespace {

TensorDesc tensor(std::int64_t id, std::vector<int> shape, const std::string& dtype = "float32") {
  TensorDesc desc;
  desc.id = id;
  desc.shape = std::move(shape);
  desc.dtype = dtype;
  return desc;
}

KernelDesc kernel(const std::string& type, std::vector<TensorDesc> inputs, std::vector<TensorDesc> outputs) {
  KernelDesc desc;
  desc.type = type;
  desc.inputs = std::move(inputs);
  desc.outputs = std::move(outputs);
  return desc;
}

TEST(Copies, AreOfTheLatestTensorThatNobodyReads) {
  const TensorDesc image = tensor(1, {1, 8}), first = tensor(3, {1, 8}), other = tensor(5, {1, 8}),
                   copy = tensor(4, {1, 8}), out = tensor(2, {1, 8});
  SessionDesc session;
  session.inputs = {image};
  session.outputs = {out};
  // Tensor 4 is made by no kernel. Somebody reads 5, so that 3 was copied.
  session.kernels = {kernel("Conv", {image}, {first}), kernel("ReLU", {image}, {other}), kernel(kCopyType, {}, {copy}),
                     kernel("Add", {copy, other}, {out})};
  name_copies(session);
  ASSERT_EQ(session.kernels.size(), 4u);
  ASSERT_EQ(session.kernels[2].inputs.size(), 1u);
  EXPECT_EQ(session.kernels[2].inputs[0].id, 3);
}

TEST(Copies, OfOneShapeAreToldApartByTheirType) {
  const TensorDesc image = tensor(1, {1, 8}), flags = tensor(3, {1, 8}, "int32"), copied = tensor(4, {1, 8}, "int32"),
                   copy = tensor(5, {1, 8}), out = tensor(2, {1, 8});
  SessionDesc session;
  session.inputs = {image};
  session.outputs = {out};
  session.kernels = {kernel("Less", {image}, {flags}), kernel(kCopyType, {}, {copied, copy}),
                     kernel("Select", {copied, copy}, {out})};
  name_copies(session);
  ASSERT_EQ(session.kernels[1].inputs.size(), 2u);
  EXPECT_EQ(session.kernels[1].inputs[0].id, 3);
  EXPECT_EQ(session.kernels[1].inputs[1].id, 1);
}

TEST(Copies, WithoutASourceAreNone) {
  const TensorDesc image = tensor(1, {8}), table = tensor(9, {3, 3}), out = tensor(2, {8});
  SessionDesc session;
  session.inputs = {image};
  session.outputs = {out};
  session.kernels = {kernel(kCopyType, {}, {table}), kernel("Gather", {image, table}, {out})};
  name_copies(session);
  ASSERT_EQ(session.kernels.size(), 1u);
  EXPECT_EQ(session.kernels[0].type, "Gather");
}

}  // namespace
}  // namespace mmt
