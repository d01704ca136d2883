// Composition against a hand-made table: which kernels a model consists of, when what is next to what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mmt/plan.h"
#include "support/closed_model.h"
#include "support/fake_table.h"

namespace mmt {
namespace {

using test::FakeTable;
using test::keys;
using Model = test::ClosedModel;
using testing::ElementsAre;
using enum KernelRole;

constexpr auto kC4 = Layout::kNc4hw4;
constexpr auto kNchw = Layout::kNchw;

/// A table with a convolution, a block that ends with an addition, plain glue, and copies.
struct House {
  FakeTable table;
  std::string in, out, conv, conv_relu, relu, relu_c4, add, add_c4, add_relu_c4, copy, linear_in, linear, linear_out;
  std::string slice, deconv, deconv_relu, join;

  House() {
    in = table.add_kernel("Raster", "regions=1 in", "[1,8,4,4] -> [1,8,4,4]c4", 2, 2);
    out = table.add_kernel("Raster", "regions=1 out", "[1,8,4,4]c4 -> [1,8,4,4]", 2, 2);
    conv = table.add_kernel("Convolution", "kernel_x=3,pads=1x1x1x1", "[1,8,4,4]c4 -> [1,8,4,4]c4", 30, 20);
    conv_relu = table.add_kernel("Convolution", "kernel_x=3,relu=1,pads=1x1x1x1", "[1,8,4,4]c4 -> [1,8,4,4]c4", 31, 21);
    relu = table.add_kernel("ReLU", "", "[1,8,4,4] -> [1,8,4,4]", 3, 3);
    relu_c4 = table.add_kernel("ReLU", "", "[1,8,4,4]c4 -> [1,8,4,4]c4", 3, 3);
    add = table.add_kernel("BinaryOp", "", "[1,8,4,4] [1,8,4,4] -> [1,8,4,4]", 4, 4);
    add_c4 = table.add_kernel("BinaryOp", "", "[1,8,4,4]c4 [1,8,4,4]c4 -> [1,8,4,4]c4", 4, 4);
    add_relu_c4 = table.add_kernel("BinaryOp", "activation=1", "[1,8,4,4]c4 [1,8,4,4]c4 -> [1,8,4,4]c4", 4, 4);
    copy = table.add_kernel("Raster", "regions=1 flat", "[1,8,4,4]c4 -> [1,128]", 2, 2);
    linear_in = table.add_kernel("Raster", "regions=1 lin", "[1,128] -> [1,128,1,1]c4", 1, 1);
    linear = table.add_kernel("Convolution", "", "[1,128,1,1]c4 -> [1,10,1,1]c4", 9, 8);
    linear_out = table.add_kernel("Raster", "regions=1 lout", "[1,10,1,1]c4 -> [1,10]", 1, 1);
    slice = table.add_kernel("Raster", "regions=1 slice", "[1,8,4,4]c4 -> [1,4,4,4]c4", 1, 1);
    deconv = table.add_kernel("Deconvolution", "kernel_x=1,pads=0x0x0x0", "[1,4,4,4]c4 -> [1,4,4,4]c4", 9, 8);
    deconv_relu =
        table.add_kernel("Deconvolution", "kernel_x=1,relu=1,pads=0x0x0x0", "[1,4,4,4]c4 -> [1,4,4,4]c4", 9, 8);
    join = table.add_kernel("Raster", "regions=2 join", "[1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]", 2, 2);

    const auto port = [](Layout layout, const std::string& kind, bool activation = false) {
      return FakeTable::port(layout, kind, activation);
    };
    table.add_operator("conv", {FakeTable::context("plain", {{in, kInputConvert, 0}, {conv}, {out, kOutputConvert, 0}},
                                                   port(kC4, "convolution", false), port(kC4, "convolution")),
                                FakeTable::context("packed", {{in, kStub, 0}, {conv}, {out, kOutputConvert, 0}},
                                                   port(kC4, "convolution", false), port(kC4, "convolution"))});
    table.add_operator("relu", {FakeTable::context("plain", {{relu}}, port(kNchw, "relu", false), port(kNchw, "other")),
                                FakeTable::context("packed", {{in, kStub, 0}, {relu_c4}, {out, kOutputConvert, 0}},
                                                   port(kC4, "relu", false), port(kC4, "other"))});
    table.add_operator(
        "add", {FakeTable::context("plain", {{add}}, port(kNchw, "binary", false), port(kNchw, "binary"), 2),
                FakeTable::context("packed", {{in, kStub, 0}, {in, kStub, 1}, {add_c4}, {out, kOutputConvert, 0}},
                                   port(kC4, "binary", false), port(kC4, "binary"), 2)});
    table.add_operator(
        "flatten",
        {FakeTable::context("plain", {{copy}}, port(kNchw, "raster", false), port(kNchw, "raster")),
         FakeTable::context("packed", {{in, kStub, 0}, {copy}}, port(kC4, "raster", false), port(kNchw, "raster"))});
    table.add_operator("grouped",
                       {FakeTable::context("packed", {{in, kStub, 0}, {slice}, {deconv}, {slice}, {deconv}, {join}},
                                           port(kC4, "other"), port(kNchw, "joined_groups"))});
    table.add_operator("linear", {FakeTable::context("plain", {{linear_in}, {linear}, {linear_out}},
                                                     port(kNchw, "raster", false), port(kNchw, "raster"))});
  }
};

TEST(Compose, ConversionsStandOnlyAtTheBordersOfTheModel) {
  House house;
  Model model;
  const int x = model.input();
  model.trace.outputs = {model.call("conv", {model.call("conv", {x})})};
  const ModelPlan plan = compose(model.trace, house.table);
  EXPECT_THAT(keys(plan), ElementsAre(house.in, house.conv, house.conv, house.out));
  EXPECT_TRUE(plan.doubts.empty());
  EXPECT_TRUE(plan.missing.empty());
}

TEST(Compose, OneConversionServesAllReadersOfATensor) {
  House house;
  Model model;
  const int x = model.input();
  model.trace.outputs = {model.call("add", {model.call("conv", {x}), model.call("conv", {x})})};
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.conv, house.add_c4, house.out));
}

TEST(Compose, AnActivationIsFoldedIntoTheConvolutionBeforeIt) {
  House house;
  Model model;
  model.trace.outputs = {model.call("relu", {model.call("conv", {model.input()})})};
  const ModelPlan plan = compose(model.trace, house.table);
  EXPECT_THAT(keys(plan), ElementsAre(house.in, house.conv_relu, house.out));
  EXPECT_EQ(plan.nodes[1].found, "folded into conv0");
}

TEST(Compose, AnActivationIsFoldedIntoEveryGroupOfATransposedConvolution) {
  House house;
  Model model;
  model.trace.outputs = {model.call("relu", {model.call("grouped", {model.call("conv", {model.input()})})})};
  const ModelPlan plan = compose(model.trace, house.table);
  EXPECT_THAT(keys(plan), ElementsAre(house.in, house.conv, house.slice, house.deconv_relu, house.slice,
                                      house.deconv_relu, house.join));
  EXPECT_TRUE(plan.doubts.empty());
}

TEST(Compose, WhatJoinsGroupsForAPackedReaderIsDoubted) {
  House house;
  Model model;
  model.trace.outputs = {model.call("conv", {model.call("grouped", {model.call("conv", {model.input()})})})};
  const ModelPlan plan = compose(model.trace, house.table);
  EXPECT_THAT(keys(plan), ElementsAre(house.in, house.conv, house.slice, house.deconv, house.slice, house.deconv,
                                      house.join, house.conv, house.out));
  EXPECT_EQ(plan.doubts.size(), 1u);
}

TEST(Compose, AnActivationStaysWhereTheConvolutionIsReadTwice) {
  House house;
  Model model;
  const int y = model.call("conv", {model.input()});
  model.trace.outputs = {model.call("add", {y, model.call("relu", {y})})};
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.relu_c4, house.add_c4, house.out));
}

TEST(Compose, AnActivationIsFoldedIntoAnAddition) {
  House house;
  Model model;
  const int x = model.input();
  const int sum = model.call("add", {model.call("conv", {x}), model.call("conv", {x})});
  model.trace.outputs = {model.call("relu", {sum})};
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.conv, house.add_relu_c4, house.out));
}

TEST(Compose, GlueRunsInTheLayoutThatArrives) {
  House house;
  Model model;
  model.trace.outputs = {model.call("relu", {model.input()})};
  EXPECT_THAT(keys(compose(model.trace, house.table)), ElementsAre(house.relu));
}

TEST(Compose, NeighbouringCopiesMerge) {
  House house;
  Model model;
  const int y = model.call("conv", {model.input()});
  const int flat = model.call("flatten", {y}, {1, 128});
  model.trace.outputs = {model.call("linear", {flat}, {1, 10})};
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.linear_in, house.linear, house.linear_out));
}

std::vector<std::vector<int>> reads(const ModelPlan& plan) {
  std::vector<std::vector<int>> result;
  for (const PlanKernel& kernel : plan.kernels) result.push_back(kernel.reads);
  return result;
}

using Reads = std::vector<int>;

TEST(Compose, KernelsKnowWhoWroteWhatTheyRead) {
  House house;
  Model model;
  const int x = model.input();
  const int y = model.call("conv", {x});
  model.trace.outputs = {model.call("add", {y, model.call("conv", {model.call("relu", {y})})})};
  const ModelPlan plan = compose(model.trace, house.table);
  ASSERT_THAT(keys(plan), ElementsAre(house.in, house.conv, house.relu_c4, house.conv, house.add_c4, house.out));
  EXPECT_THAT(reads(plan), ElementsAre(Reads{}, Reads{0}, Reads{1}, Reads{2}, Reads{1, 3}, Reads{4}));
}

TEST(Compose, AFoldedActivationIsWrittenByTheKernelThatCarriesIt) {
  House house;
  Model model;
  const int y = model.call("relu", {model.call("conv", {model.input()})});
  model.trace.outputs = {model.call("add", {y, model.call("conv", {y})})};
  const ModelPlan plan = compose(model.trace, house.table);
  ASSERT_THAT(keys(plan), ElementsAre(house.in, house.conv_relu, house.conv, house.add_c4, house.out));
  EXPECT_THAT(reads(plan), ElementsAre(Reads{}, Reads{0}, Reads{1}, Reads{1, 2}, Reads{3}));
}

TEST(Compose, InTheOtherLayoutATensorIsReadFromItsConversion) {
  House house;
  Model model;
  const int x = model.input();
  const int glue = model.call("relu", {x});
  model.trace.outputs = {model.call("conv", {x}), glue};
  const ModelPlan plan = compose(model.trace, house.table);
  ASSERT_THAT(keys(plan), ElementsAre(house.relu, house.in, house.conv, house.out));
  EXPECT_THAT(reads(plan), ElementsAre(Reads{}, Reads{}, Reads{1}, Reads{2}));
}

TEST(Compose, WhatWouldHaveReadADroppedCopyReadsWhatTheCopyReads) {
  House house;
  Model model;
  const int flat = model.call("flatten", {model.call("conv", {model.input()})}, {1, 128});
  model.trace.outputs = {model.call("linear", {flat}, {1, 10})};
  const ModelPlan plan = compose(model.trace, house.table);
  ASSERT_THAT(keys(plan), ElementsAre(house.in, house.conv, house.linear_in, house.linear, house.linear_out));
  EXPECT_THAT(reads(plan), ElementsAre(Reads{}, Reads{0}, Reads{1}, Reads{2}, Reads{3}));
}

TEST(Compose, InsideAnOperatorTheSessionsOwnTensorsTell) {
  House house;
  Model model;
  const auto row = std::make_shared<OperatorRow>(*house.table.find_operator("grouped"));
  // Input 0, output 1; the stub's 2; two slices, two groups, joined.
  row->contexts[0].tensors = {"0>2", "2>3", "3>4", "2>5", "5>6", "4,6>1"};
  house.table.add_operator("apart", row->contexts);
  model.trace.outputs = {model.call("apart", {model.call("conv", {model.input()})})};
  const ModelPlan plan = compose(model.trace, house.table);
  ASSERT_THAT(keys(plan),
              ElementsAre(house.in, house.conv, house.slice, house.deconv, house.slice, house.deconv, house.join));
  EXPECT_THAT(reads(plan), ElementsAre(Reads{}, Reads{0}, Reads{1}, Reads{2}, Reads{1}, Reads{4}, Reads{3, 5}));
}

TEST(Compose, WhatTheTableLacksIsNamedAndGetsAKernelOfItsOwn) {
  House house;
  Model model;
  model.trace.outputs = {model.call("unheard_of", {model.call("conv", {model.input()})})};
  const ModelPlan plan = compose(model.trace, house.table);
  ASSERT_EQ(plan.missing.size(), 1u);
  EXPECT_EQ(plan.missing[0].what, "unheard_of");
  EXPECT_EQ(plan.kernels.back().signature.key == house.out || plan.kernels[2].node == 1, true);
  EXPECT_EQ(plan.nodes[1].found, "estimated: not in the table");
}

TEST(Compose, EveryKernelBelongsToANode) {
  House house;
  Model model;
  const int x = model.input();
  model.trace.outputs = {model.call("add", {model.call("relu", {model.call("conv", {x})}), model.call("conv", {x})})};
  const ModelPlan plan = compose(model.trace, house.table);
  for (const PlanKernel& kernel : plan.kernels) {
    EXPECT_GE(kernel.node, 0);
    EXPECT_LT(kernel.node, static_cast<int>(plan.nodes.size()));
  }
}

}  // namespace
}  // namespace mmt
