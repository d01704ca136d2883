// What becomes of neighbours: copies that merge, activations that move before reshapes and fold into what is there.
#include "plan/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mmt/plan.h"
#include "support/closed_model.h"
#include "support/fake_table.h"

namespace mmt {
namespace {

using test::ClosedModel;
using test::FakeTable;
using test::keys;
using testing::ElementsAre;
using testing::IsEmpty;
using enum KernelRole;

constexpr auto kC4 = Layout::kNc4hw4;
constexpr auto kNchw = Layout::kNchw;

KernelRow row(const std::string& type, const std::string& attributes, const std::string& shapes) {
  KernelRow made;
  made.type = type;
  made.attributes = attributes;
  made.text = type + (attributes.empty() ? "" : "{" + attributes + "}") + " " + shapes;
  return made;
}

/// The attributes of a copy of so many elements in their order.
std::string in_order(int count) { return "regions=1 0:1x1x" + std::to_string(count) + "@0/0x0x1>0/0x0x1"; }

const std::string kJoin = "regions=2 0:1x4x16@0/0x16x1>0/0x16x1 1:1x4x16@0/0x16x1>64/0x16x1";

TEST(Merge, AWholeCopyTakesEveryElementInItsOrder) {
  EXPECT_TRUE(copies_whole(row("Raster", in_order(128), "[1,8,4,4]c4 -> [1,128]")));
  EXPECT_TRUE(copies_whole(row("Raster", "regions=1 0:1x1x1@0/0x0x0>0/0x0x0", "[] -> [1,1]")));
  EXPECT_TRUE(copies_whole(row("Raster", "regions=1 0:1x8x16@0/0x16x1>0/0x16x1", "[8,1,1,16] -> [1,8,16]")));
  EXPECT_FALSE(copies_whole(row("Raster", "regions=1 0:1x8x8@0/0x16x1>0/0x8x1", "[8,1,1,8] -> [1,8,8]"))) << "gaps";
  EXPECT_FALSE(copies_whole(row("Raster", in_order(64), "[1,8,4,4] -> [1,64]"))) << "half of it";
  EXPECT_FALSE(copies_whole(row("Raster", in_order(64), "[1,64] -> [1,128]"))) << "into half of it";
  EXPECT_FALSE(copies_whole(row("Raster", "regions=1 0:1x8x16@0/0x1x8>0/0x16x1", "[1,16,8] -> [1,8,16]")));
  EXPECT_FALSE(copies_whole(row("Raster", "regions=1 0:1x1x64@64/0x0x1>0/0x0x1", "[1,64] -> [1,64]")));
  EXPECT_FALSE(copies_whole(row("Raster", kJoin, "[1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]")));
  EXPECT_FALSE(copies_whole(row("Pooling", in_order(128), "[1,8,4,4] -> [1,8,4,4]")));
}

TEST(Merge, DamagedTextsAreNoWholeCopies) {
  const std::string attributes = in_order(128);
  const KernelRow whole = row("Raster", attributes, "[1,8,4,4]c4 -> [1,128]");
  for (std::size_t cut = 0; cut < whole.text.size(); ++cut) {
    KernelRow damaged = whole;
    damaged.text.resize(cut);
    EXPECT_FALSE(copies_whole(damaged)) << damaged.text;
  }
  for (std::size_t cut = 0; cut < attributes.size(); ++cut)
    EXPECT_FALSE(copies_whole(row("Raster", attributes.substr(0, cut), "[1,8,4,4]c4 -> [1,128]"))) << cut;
}

TEST(Merge, OnlyTrailingOnesAreDropped) {
  EXPECT_TRUE(drops_trailing_ones(row("Raster", in_order(128), "[1,8,16,1]c4 -> [1,8,16]")));
  EXPECT_FALSE(drops_trailing_ones(row("Raster", in_order(128), "[8,16,1,1]c4 -> [1,8,16]"))) << "a linear layer's";
  EXPECT_FALSE(drops_trailing_ones(row("Raster", in_order(8), "[1,8,1,1]c4 -> [1,8]"))) << "plain inside networks too";
  EXPECT_FALSE(drops_trailing_ones(row("Raster", in_order(128), "[1,8,16] -> [1,8,16,1]c4")));
}

TEST(Merge, TwoCopiesBecomeOneWhereEitherIsWhole) {
  const KernelRow join = row("Raster", kJoin, "[1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]");
  const KernelRow pack = row("Raster", in_order(128), "[1,8,4,4] -> [1,8,4,4]c4");
  EXPECT_THAT(merged_copies(join, pack), ElementsAre("Raster{" + kJoin + "} [1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]c4"));
  EXPECT_THAT(merged_copies(pack, join), ElementsAre("Raster{" + kJoin + "} [1,8,4,4] -> [1,8,4,4]"));
  EXPECT_THAT(merged_copies(join, join), IsEmpty());
  EXPECT_THAT(merged_copies(row("Pooling", "", "[1] -> [1]"), pack), IsEmpty());
}

TEST(Merge, ASliceOfChannelsForAPackedReaderIsToldByItsChannels) {
  const KernelRow half = row("Raster", "regions=1 0:1x1x64@64/0x0x1>0/0x0x1", "[1,8,4,4]c4 -> [1,4,4,4]");
  const KernelRow pack = row("Raster", in_order(64), "[1,4,4,4] -> [1,4,4,4]c4");
  EXPECT_THAT(merged_copies(half, pack),
              ElementsAre("Raster{regions=1 0:1x1x64@64/0x0x1>0/0x0x1} [1,8,4,4]c4 -> [1,4,4,4]c4",
                          "Raster{regions=1 0:4x4x4@64/16x4x1>0/16x4x1} [1,8,4,4]c4 -> [1,4,4,4]c4"));
  const KernelRow rows = row("Raster", "regions=1 0:1x1x64@64/0x0x1>0/0x0x1", "[2,64] -> [64]");
  EXPECT_THAT(merged_copies(rows, row("Raster", in_order(64), "[64] -> [1,64]")).size(), 1u) << "no image";
}

TEST(Merge, ConcatenationsOfPackedChannels) {
  const auto joins = [](const std::string& shapes, const std::string& type = "Raster") {
    return joins_packed_channels(memory::KernelText::parse(type, "regions=2", type + "{regions=2} " + shapes, 0));
  };
  EXPECT_TRUE(joins("[1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]"));
  for (const char* other : {"[1,4,4,4]c4 [1,4,4,4] -> [1,8,4,4]",    // One of them is not packed.
                            "[1,8,4,4]c4 -> [1,4,4,4]",              // A slice.
                            "[1,8,4,4]c4 -> [1,8,4,4]",              // A conversion.
                            "[1,4,4,4]c4 [1,4,4,4]c4 -> [1,4,8,4]",  // Along the rows.
                            "[1,4,4,4]c4 [1,4,4,4]c4 -> [1,128]", ""})
    EXPECT_FALSE(joins(other)) << other;
  EXPECT_FALSE(joins("[1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]c4", "Eltwise"));
}

TEST(Merge, ActivationsOfTheirOwnMove) {
  EXPECT_TRUE(moves_before_copies(row("ReLU", "slope=0.2", "[1,8] -> [1,8]")));
  EXPECT_TRUE(moves_before_copies(row("UnaryOp", "op=30", "[1,8] -> [1,8]")));
  EXPECT_FALSE(moves_before_copies(row("UnaryOp", "of_op=23,alpha=1", "[1,8] -> [1,8]"))) << "a part of ELU";
  EXPECT_FALSE(moves_before_copies(row("BinaryOp", "", "[1,8] [1,8] -> [1,8]")));
}

/// Operators with copies as the engine makes them.
struct House {
  FakeTable table;
  std::string in, conv, conv_relu, back, join, join_packed, pack, flat, to_linear, flat_to_linear, linear, linear_relu,
      from_linear, between, relu_flat, tanh_flat, tanh_packed, squeeze, elu;

  House() {
    const std::string image = "[1,4,4,4]", packed = "[1,4,4,4]c4";
    in = table.add_kernel("Raster", in_order(64), image + " -> " + packed, 2, 2);
    back = table.add_kernel("Raster", in_order(64), packed + " -> " + image, 2, 2);
    conv = table.add_kernel("Convolution", "kernel_x=3,pads=1x1x1x1", packed + " -> " + packed, 9, 8);
    conv_relu = table.add_kernel("Convolution", "kernel_x=3,relu=1,pads=1x1x1x1", packed + " -> " + packed, 9, 8);
    join = table.add_kernel("Raster", kJoin, packed + " " + packed + " -> [1,8,4,4]", 3, 3);
    pack = table.add_kernel("Raster", in_order(128), "[1,8,4,4] -> [1,8,4,4]c4", 2, 2);
    flat = table.add_kernel("Raster", in_order(64), packed + " -> [1,64]", 2, 2);
    to_linear = table.add_kernel("Raster", in_order(64), "[1,64] -> [1,64,1,1]c4", 1, 1);
    linear = table.add_kernel("Convolution", "", "[1,64,1,1]c4 -> [1,64,1,1]c4", 5, 4);
    linear_relu = table.add_kernel("Convolution", "relu=1", "[1,64,1,1]c4 -> [1,64,1,1]c4", 5, 4);
    from_linear = table.add_kernel("Raster", in_order(64), "[1,64,1,1]c4 -> [1,64]", 1, 1);
    relu_flat = table.add_kernel("ReLU", "", "[1,64] -> [1,64]", 1, 1);
    tanh_flat = table.add_kernel("UnaryOp", "op=30", "[1,64] -> [1,64]", 1, 1);

    const auto port = [](Layout layout, const std::string& kind) { return FakeTable::port(layout, kind); };
    table.add_operator("conv", {FakeTable::context("plain", {{in, kInputConvert, 0}, {conv}, {back, kOutputConvert, 0}},
                                                   port(kC4, "convolution"), port(kC4, "convolution"))});
    table.add_operator("conv8", {FakeTable::context("plain", {{pack, kInputConvert, 0}, {conv}},
                                                    port(kC4, "convolution"), port(kC4, "convolution"))});
    table.add_operator("cat", {FakeTable::context("packed", {{in, kStub, 0}, {in, kStub, 1}, {join}},
                                                  port(kC4, "raster"), port(kNchw, "raster"), 2)});
    table.add_operator("flatten", {FakeTable::context("packed", {{in, kStub, 0}, {flat}}, port(kC4, "raster"),
                                                      port(kNchw, "raster"))});
    ContextRow dense = FakeTable::context("plain", {{to_linear}, {linear}, {from_linear}}, port(kNchw, "raster"),
                                          port(kNchw, "raster"));
    dense.tensors = {"0>2", "2>3", "3>1"};
    table.add_operator("linear", {dense});
    table.add_operator("relu", {FakeTable::context("plain", {{relu_flat}}, port(kNchw, "relu"), port(kNchw, "relu"))});
    table.add_operator("tanh",
                       {FakeTable::context("plain", {{tanh_flat}}, port(kNchw, "other"), port(kNchw, "other"))});
  }
  /// What only larger pieces of a model show.
  void add_pieces() {
    join_packed = table.add_kernel("Raster", kJoin, "[1,4,4,4]c4 [1,4,4,4]c4 -> [1,8,4,4]c4", 4, 4);
    flat_to_linear = table.add_kernel("Raster", in_order(64), "[1,4,4,4]c4 -> [1,64,1,1]c4", 1, 1);
    between = table.add_kernel("Raster", in_order(64), "[1,64,1,1]c4 -> [1,64,1,1]c4", 1, 1);
    tanh_packed = table.add_kernel("UnaryOp", "op=30", "[1,64,1,1]c4 -> [1,64,1,1]c4", 1, 1);
  }
};

TEST(ComposeMerged, AConcatenationForAPackedReaderIsOneCopy) {
  House house;
  ClosedModel model;
  const int x = model.input({1, 4, 4, 4});
  const int both = model.call("cat", {model.call("conv", {x}, {1, 4, 4, 4}), model.call("conv", {x}, {1, 4, 4, 4})});
  model.call("conv8", {both});
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.conv, house.pack, house.conv))
      << "the nearest thing where the table lacks that copy";
  house.add_pieces();
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.conv, house.join_packed, house.conv));
}

TEST(ComposeMerged, WhatIsJoinedOfPackedTensorsIsPacked) {
  // As in a dense network: each layer ends with a concatenation, and the next one reads it.
  House house;
  house.add_pieces();
  const std::string wide = "[1,8,4,4]", packed = "[1,8,4,4]c4";
  const std::string plain_conv = house.table.add_kernel("Scale", "", packed + " -> " + packed, 5, 5);
  const std::string packed_conv = house.table.add_kernel("Scale", "of=packed", packed + " -> " + packed, 5, 5);
  const std::string pack = house.table.add_kernel("Raster", in_order(128), wide + " -> " + packed, 2, 2);
  const auto port = FakeTable::port(kC4, "batch_norm");
  house.table.add_operator("layer", {FakeTable::context("plain", {{pack, kInputConvert, 0}, {plain_conv}}, port, port),
                                     FakeTable::context("packed", {{pack, kStub, 0}, {packed_conv}}, port, port)});
  ClosedModel model;
  const int x = model.input({1, 4, 4, 4});
  const int both = model.call("cat", {model.call("conv", {x}, {1, 4, 4, 4}), model.call("conv", {x}, {1, 4, 4, 4})});
  model.call("layer", {both});
  const auto found = keys(compose(model.trace, house.table));
  EXPECT_THAT(found, testing::Contains(packed_conv));
  EXPECT_THAT(found, testing::Contains(house.join_packed));
  EXPECT_THAT(found, testing::Not(testing::Contains(house.join)));
}

TEST(ComposeMerged, PartsOfAPackedTensorGoStraightToPackedReaders) {
  House house;
  const std::string first = house.table.add_kernel("Raster", in_order(64), "[1,8,4,4]c4 -> [1,4,4,4]", 3, 3);
  const std::string second =
      house.table.add_kernel("Raster", "regions=1 0:1x1x64@64/0x0x1>0/0x0x1", "[1,8,4,4]c4 -> [1,4,4,4]", 3, 3);
  ContextRow chunk = FakeTable::context("packed", {{house.pack, kStub, 0}, {first}, {second}},
                                        FakeTable::port(kC4, "raster"), FakeTable::port(kNchw, "raster"));
  chunk.outputs.push_back(FakeTable::port(kNchw, "raster"));
  chunk.tensors = {"0>3", "3>1", "3>2"};
  house.table.add_operator("chunk", {chunk});
  const auto port = FakeTable::port(kC4, "batch_norm");
  const std::string wide = house.table.add_kernel("Scale", "", "[1,8,4,4]c4 -> [1,8,4,4]c4", 5, 5);
  house.table.add_operator("wide", {FakeTable::context("plain", {{house.pack, kInputConvert, 0}, {wide}}, port, port)});
  ClosedModel model;
  const int x = model.call("wide", {model.input({1, 8, 4, 4})}, {1, 8, 4, 4});
  const std::vector<int> parts = model.call_several("chunk", {x}, {{1, 4, 4, 4}, {1, 4, 4, 4}});
  for (const int part : parts) model.call("conv", {part}, {1, 4, 4, 4});
  const std::string straight =
      house.table.add_kernel("Raster", "regions=1 0:4x4x4@64/16x4x1>0/16x4x1", "[1,8,4,4]c4 -> [1,4,4,4]c4", 1, 1);
  const auto found = keys(compose(model.trace, house.table));
  EXPECT_THAT(found, testing::Contains(straight));
  EXPECT_THAT(found, testing::Not(testing::Contains(second)));
}

TEST(ComposeMerged, AnActivationBehindALinearLayerIsFoldedIntoIt) {
  House house;
  house.add_pieces();
  ClosedModel model;
  const int y = model.call("relu", {model.call("linear", {model.input({1, 64})}, {1, 64})}, {1, 64});
  model.trace.outputs = {model.call("linear", {y}, {1, 64})};
  const ModelPlan plan = compose(model.trace, house.table);
  EXPECT_THAT(keys(plan),
              ElementsAre(house.to_linear, house.linear_relu, house.between, house.linear, house.from_linear));
  EXPECT_EQ(plan.nodes[1].found, "folded into linear0");
  EXPECT_TRUE(plan.doubts.empty());
}

TEST(ComposeMerged, AnActivationBehindAReshapeIsFoldedIntoWhatIsReshaped) {
  House house;
  ClosedModel model;
  const int y = model.call("conv", {model.input({1, 4, 4, 4})}, {1, 4, 4, 4});
  model.trace.outputs = {model.call("relu", {model.call("flatten", {y}, {1, 64})}, {1, 64})};
  EXPECT_THAT(keys(compose(model.trace, house.table)), ElementsAre(house.in, house.conv_relu, house.flat));
}

TEST(ComposeMerged, NotWhereTheReshapedTensorIsReadElsewhere) {
  House house;
  ClosedModel model;
  const int y = model.call("conv", {model.input({1, 4, 4, 4})}, {1, 4, 4, 4});
  model.trace.outputs = {model.call("relu", {model.call("flatten", {y}, {1, 64})}, {1, 64}), y};
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.in, house.conv, house.flat, house.relu_flat, house.back));
}

TEST(ComposeMerged, AnotherActivationIsComputedBeforeTheReshape) {
  House house;
  ClosedModel model;
  const int y = model.call("tanh", {model.call("linear", {model.input({1, 64})}, {1, 64})}, {1, 64});
  model.trace.outputs = {model.call("linear", {y}, {1, 64})};
  EXPECT_THAT(keys(compose(model.trace, house.table)),
              ElementsAre(house.to_linear, house.linear, house.from_linear, house.tanh_flat, house.to_linear,
                          house.linear, house.from_linear))
      << "the nearest thing where the table lacks that kernel";
  house.add_pieces();
  const ModelPlan plan = compose(model.trace, house.table);
  EXPECT_THAT(keys(plan), ElementsAre(house.to_linear, house.linear, house.tanh_packed, house.between, house.linear,
                                      house.from_linear));
  EXPECT_THAT(plan.kernels[2].reads, ElementsAre(1));
  EXPECT_THAT(plan.kernels[3].reads, ElementsAre(2));
}

TEST(ComposeMerged, PackedTensorsOfThreeDimensionsAreDoubted) {
  House house;
  house.squeeze = house.table.add_kernel("Raster", in_order(64), "[1,4,16,1]c4 -> [1,4,16]", 1, 1);
  house.elu = house.table.add_kernel("Select", "of_op=23", "[1,4,16] -> [1,4,16]", 1, 1);
  house.table.add_operator(
      "conv1d", {FakeTable::context("plain", {{house.conv}, {house.squeeze}}, FakeTable::port(kNchw, "raster"),
                                    FakeTable::port(kNchw, "raster"))});
  house.table.add_operator("elu", {FakeTable::context("plain", {{house.elu}}, FakeTable::port(kNchw, "other"),
                                                      FakeTable::port(kNchw, "other"))});
  ClosedModel model;
  model.trace.outputs = {model.call("elu", {model.call("conv1d", {model.input({1, 4, 16})}, {1, 4, 16})}, {1, 4, 16})};
  EXPECT_EQ(compose(model.trace, house.table).doubts.size(), 1u);
}

}  // namespace
}  // namespace mmt
