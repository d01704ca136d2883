// Memory of composed models: the pool, what kernels need, and models put together from operators.
#include "mmt/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/flow_numbers.h"
#include "plan/memory_flow.h"
#include "plan/memory_pool.h"
#include "support/fake_table.h"

namespace mmt {
namespace {

using memory::ActivationPool;
using memory::KernelText;
using memory::Needs;
using memory::ProcessHeap;
using memory::Shape;
using memory::Traits;
using memory::WeightHeap;
using test::FakeTable;
using testing::ElementsAre;
using testing::IsEmpty;
using enum KernelRole;

constexpr double kMib = 1024.0 * 1024.0;

TEST(ActivationPool, FreedBlocksAreUsedAgainAndTheLargestGrowsWhereNoneFits) {
  ActivationPool pool;
  const auto a = pool.take(640), b = pool.take(64);
  pool.give_back(a);
  EXPECT_EQ(pool.bytes(), 704);
  const auto c = pool.take(128);  // Out of the first block.
  EXPECT_EQ(pool.bytes(), 704);
  const auto d = pool.take(1024);  // The rest of it, 512, grows.
  EXPECT_EQ(pool.bytes(), 128 + 1024 + 64);
  pool.give_back(b);
  pool.give_back(c);
  pool.give_back(d);
  pool.take(1216);  // Joined again.
  EXPECT_EQ(pool.bytes(), 1216);
}

TEST(ActivationPool, SizesAreAlignedAndInputsLieApart) {
  ActivationPool pool;
  pool.give_back(pool.take(1));
  EXPECT_EQ(pool.bytes(), 64);
  pool.take(10, true);
  EXPECT_EQ(pool.bytes(), 128);
}

TEST(WeightHeap, FreedAllocationsAreReturnedUnlessAPartIsInUse) {
  WeightHeap heap;
  heap.take(1000);
  heap.give_back(heap.take(500));
  EXPECT_EQ(heap.bytes(), 1000);  // Nothing of the second is in use.
  heap.take(100);                 // A part of it.
  EXPECT_EQ(heap.bytes(), 1500);
}

TEST(WeightHeap, GivenBackPiecesAreHeldUntilTheModelIsLoaded) {
  WeightHeap heap;
  heap.take(1000);
  heap.give_back(heap.take(500));
  EXPECT_EQ(heap.held(), 1500);
  heap.take(100);  // A part of what is there.
  EXPECT_EQ(heap.held(), 1500);
}

TEST(ProcessHeap, SmallPiecesLeaveHolesAndLargeOnesGoBack) {
  constexpr std::int64_t kMib = 1 << 20;
  ProcessHeap heap;
  EXPECT_FALSE(heap.take(4 * kMib));  // Mapped apart, and returned.
  heap.give_back(4 * kMib, false);
  EXPECT_EQ(heap.holes(), 0);
  EXPECT_TRUE(heap.take(4 * kMib));  // From now on such pieces lie among others.
  heap.give_back(4 * kMib, true);
  EXPECT_EQ(heap.holes(), 4 * kMib);
  EXPECT_TRUE(heap.take(3 * kMib));  // In the hole.
  EXPECT_EQ(heap.holes(), kMib);
  EXPECT_FALSE(heap.take(36 * kMib));
  heap.give_back(36 * kMib, false);  // Too large to change that.
  EXPECT_FALSE(heap.take(33 * kMib));
}

TEST(WeightHeap, IsFollowedOverPartsThatArePutTogether) {
  const double mib = 1 << 20;
  const auto bytes = [&](const std::vector<std::vector<std::vector<std::vector<std::int64_t>>>>& parts,
                         const std::vector<std::int32_t>& rows) {
    std::vector<double> sums = weights_mib(parts, rows);
    for (double& sum : sums) sum *= mib;
    return sums;
  };
  // The first part rearranges 500 bytes or not; the second one's 100 bytes go into what that left.
  EXPECT_EQ(bytes({{{{1000, -500}}, {{1000}}}, {{{100}}, {{600}}}}, {0, 0, 1, 0, 0, 1, 1, 1}),
            (std::vector<double>{1500, 1100, 1600, 1600}));
  EXPECT_THROW(weights_mib({{{{1}}}}, std::vector<std::int32_t>{1}), Error);
  EXPECT_THROW(weights_mib({{{{1}}}, {{{1}}}}, std::vector<std::int32_t>{0}), Error);
}

TEST(KernelText, ShapesLayoutsAndAttributesAreRead) {
  const KernelText kernel =
      KernelText::parse("Convolution", "kernel_x=3,kernel_y=5,pads=1x1",
                        "Convolution{kernel_x=3,kernel_y=5,pads=1x1} [1,3,8,8]c4 [4]int8 -> [1,16,4,4]c4", 99);
  EXPECT_EQ(kernel.attribute("kernel_x", 1), 3);
  EXPECT_EQ(kernel.attribute("kernel_y", 1), 5);
  EXPECT_EQ(kernel.attribute("stride_x", 1), 1);
  ASSERT_EQ(kernel.inputs.size(), 2u);
  ASSERT_EQ(kernel.outputs.size(), 1u);
  EXPECT_TRUE(kernel.inputs[0].packed);
  EXPECT_EQ(kernel.inputs[0].bytes(4), 4 * 64 * 4);  // 3 channels lie as 4,
  EXPECT_EQ(kernel.inputs[0].bytes(8), 8 * 64 * 4);  // or as 8.
  EXPECT_EQ(kernel.inputs[1].bytes(8), 4);
}

TEST(KernelText, DamagedTextsAreReadAsFarAsTheyGo) {
  const std::string text = "Raster [1,3,8";  // The table's text ends here, whatever lies behind it in memory.
  EXPECT_THAT(KernelText::parse("Raster", "", text, 0).inputs.at(0).extents, ElementsAre(1, 3, 8));
  EXPECT_THAT(KernelText::parse("Raster", "", "Raster [", 0).inputs.at(0).extents, IsEmpty());
  // More than any memory holds, and nothing that could overflow afterwards.
  const KernelText huge =
      KernelText::parse("Raster", "", "Raster [4,9223372036854775807,8] -> [0,4294967296,4294967296]", 0);
  EXPECT_THAT(huge.inputs.at(0).extents, ElementsAre(4));
  EXPECT_THAT(huge.outputs.at(0).extents, ElementsAre(0, 4294967296));
  const auto numbers = FlowNumbers::parse("0 4=1 -1>5 6");
  EXPECT_THAT(numbers.reads, ElementsAre(0, 4, -1));
  EXPECT_THAT(numbers.copied_from, ElementsAre(-1, 1, -1));
  EXPECT_THAT(numbers.writes, ElementsAre(5, 6));
  for (const char* damaged : {"", ">", "3=", "99999999999999999999>1", "=,>>-"}) {
    const auto some = FlowNumbers::parse(damaged);
    EXPECT_EQ(some.reads.size(), some.copied_from.size());
  }
}

Needs needs(const std::string& attributes, const std::string& shapes, const Traits& traits,
            const std::string& type = "Convolution") {
  const std::string text = type + (attributes.empty() ? "" : "{" + attributes + "}") + " " + shapes;
  return memory::needs_of(KernelText::parse(type, attributes, text, 1), traits);
}

TEST(KernelNeeds, WeightsTakeTheFormThatTheKernelWants) {
  const Traits avx{8, 24, 4, 1};
  // Winograd: 3x3 as 8x8 points where the image is large, as it is where strided.
  EXPECT_THAT(needs("kernel_x=3,kernel_y=3", "[1,64,56,56]c4 -> [1,64,56,56]c4", avx).kept,
              ElementsAre(64 * 4, 64 * 64 * 64 * 4));
  const Needs strided = needs("kernel_x=3,kernel_y=3,stride_x=2,stride_y=2", "[1,64,56,56]c4 -> [1,64,28,28]c4", avx);
  EXPECT_THAT(strided.kept, ElementsAre(64 * 4, 64 * 64 * 9 * 4));
  EXPECT_THAT(strided.preparing, ElementsAre(64 * 64 * 9 * 4));
  EXPECT_THAT(needs("", "[1,10,4,4]c4 -> [1,6,4,4]c4", avx).kept, ElementsAre(8 * 4, 8 * 10 * 4));
  EXPECT_THAT(needs("kernel_x=3,kernel_y=3", "[1,10,4,4]c4 -> [1,10,2,2]c4", avx, "ConvolutionDepthwise").kept,
              ElementsAre(16 * 9 * 4, 16 * 4));
}

TEST(KernelNeeds, OnlyUnevenCopiesNeedUnpackedOnes) {
  const Traits avx{8, 24, 4, 1};
  const auto raster = [&](const std::string& regions, const std::string& shapes) {
    return needs(regions, shapes, avx, "Raster");
  };
  const auto nothing = [&](const std::string& regions, const std::string& shapes) {
    const Needs some = raster(regions, shapes);
    return some.scratch.empty() && some.unpacked.empty();
  };
  EXPECT_TRUE(nothing("regions=1 0:1x1x128@0/128x128x1>0/128x128x1", "[1,8,4,4] -> [1,8,4,4]c4"));
  EXPECT_TRUE(nothing("regions=1 0:1x8x16@0/128x16x1>0/128x1x8", "[1,8,4,4]c4 -> [1,16,8]")) << "channels last";
  EXPECT_TRUE(nothing("regions=1 0:1x12x16@0/1x16x1>0/1x16x1", "[1,24,4,4]c4 -> [1,12,4,4]c4")) << "the first ones";
  EXPECT_TRUE(nothing("regions=2 0:1x8x16@0/1x16x1>0/1x16x1 1:1x8x16@0/1x16x1>128/1x16x1",
                      "[1,8,4,4]c4 [1,8,4,4]c4 -> [1,16,4,4]c4"));
  const Needs joined = raster("regions=2 0:1x4x16@0/1x16x1>0/1x16x1 1:1x8x16@0/1x16x1>64/1x16x1",
                              "[1,4,4,4]c4 [1,8,4,4]c4 -> [1,12,4,4]c4");
  EXPECT_THAT(joined.scratch, ElementsAre(12 * 16 * 4));
  EXPECT_THAT(joined.unpacked, ElementsAre(0)) << "whole groups of the second one are read where they lie";
  const Needs slice = raster("regions=1 0:1x8x16@64/1x16x1>0/1x16x1", "[1,16,4,4]c4 -> [1,8,4,4]c4");
  EXPECT_THAT(slice.scratch, ElementsAre(8 * 16 * 4));
  EXPECT_THAT(slice.unpacked, ElementsAre(0));
  for (const char* damaged : {"", "regions=1", "regions=1 ", "regions=1 0:", "regions=1 9:1x1x1@0/1x1x1>0/1x1x1", "#",
                              "regions=1 0:2147483647x2147483647x2147483647@0/1x1x1>0/1x1x1",
                              "regions=1 0:1x8x16@9223372036854775807/1x1x1>0/1x1x1"})
    EXPECT_THAT(raster(damaged, "[1,8,4,4]c4 -> [1,8,4,4]c4").scratch, ElementsAre(8 * 16 * 4));
}

TEST(Account, AnUnpackedCopyServesAllThatReadIt) {
  const auto slices = [](bool read_last) {
    memory::Flow flow;
    const auto step = [&](const std::string& attributes, const std::string& shapes, std::vector<int> reads) {
      const std::string text = "Raster{" + attributes + "} " + shapes;
      const KernelText kernel = KernelText::parse("Raster", attributes, text, 0);
      flow.steps.push_back({kernel, std::move(reads), {flow.add_tensor(kernel.outputs[0])}});
    };
    const int whole = flow.add_tensor({{1, 16, 4, 4}, true, 4});
    step("regions=1 0:1x8x16@64/1x16x1>0/1x16x1", "[1,16,4,4]c4 -> [1,8,4,4]", {whole});
    step("regions=1 0:1x8x16@64/1x16x1>0/1x16x1", "[1,16,4,4]c4 -> [1,8,4,4]", {whole});
    if (read_last) flow.steps.push_back({KernelText{}, {whole}, {}});
    const int first = flow.add_tensor({{1, 16, 4, 4}, false, 4}), second = flow.add_tensor({{1, 16, 4, 4}, false, 4});
    flow.steps.push_back({KernelText{}, {}, {first, second}});
    return memory::account_for(flow, Traits{8, 24, 4, 1}).activations;
  };
  // Two slices of 512 bytes; the tensor and its copy, 1024 each, whose place two others take.
  EXPECT_EQ(slices(false), 2 * 512 + 2 * 1024);
  EXPECT_EQ(slices(true), 2 * 512 + 3 * 1024) << "the copy stays: a kernel that takes the tensor as it is came last";
}

/// A table with one packed element-by-element operator whose own session took a little more than follows.
struct Street {
  FakeTable table;
  Street() {
    const std::string in = table.add_kernel("Raster", "regions=1 0:1x1x32768@0/32768x32768x1>0/32768x32768x1",
                                            "[1,8,64,64] -> [1,8,64,64]c4", 2, 2);
    const std::string out = table.add_kernel("Raster", "regions=1 0:1x1x32768@0/32768x32768x1>0/32768x32768x1",
                                             "[1,8,64,64]c4 -> [1,8,64,64]", 2, 2);
    const std::string body = table.add_kernel("UnaryOp", "", "[1,8,64,64]c4 -> [1,8,64,64]c4", 3, 3);
    const auto port = FakeTable::port(Layout::kNc4hw4, "other");
    ContextRow packed = FakeTable::context("packed", {{in, kStub, 0}, {body}, {out, kOutputConvert, 0}}, port, port);
    packed.tensors = {"0>2", "2>3", "3>1"};
    packed.memory_mib = 2 * kBlockMib + 0.01;
    packed.file_bytes = 1000;
    ContextRow plain = packed;
    plain.context = "plain";
    plain.roles[0] = kInputConvert;
    table.add_operator("unary", {packed, plain});
  }
  static constexpr double kBlockMib = 8 * 64 * 64 * 4 / kMib;
};

Trace chain(int length) {
  Trace trace;
  trace.values.resize(static_cast<std::size_t>(length) + 1, {{1, 8, 64, 64}, "float32", -1});
  for (int i = 0; i < length; ++i)
    trace.nodes.push_back({TraceNodeKind::kOperator, "Unary", "u" + std::to_string(i), "unary", {i}, "{}", {i + 1}});
  trace.inputs = {0};
  trace.outputs = {length};
  return trace;
}

TEST(EstimateMemory, OperatorsShareOnePoolAndKeepTheirOwnRest) {
  Street street;
  const Trace trace = chain(5);
  const MemoryEstimate estimate = estimate_memory(trace, compose(trace, street.table), street.table);
  ASSERT_TRUE(estimate.known) << estimate.why;
  EXPECT_NEAR(estimate.activations_mib, 2 * Street::kBlockMib, 1e-9);  // However long the chain is.
  EXPECT_NEAR(estimate.unexplained_mib, 5 * 0.01, 1e-9);
  EXPECT_NEAR(estimate.session_mib, estimate.activations_mib + 0.05, 1e-9);
}

TEST(EstimateMemory, WhatIsReadLaterStaysAlive) {
  Street street;
  Trace trace = chain(3);
  trace.outputs = {1, 2, 3};
  const MemoryEstimate estimate = estimate_memory(trace, compose(trace, street.table), street.table);
  EXPECT_GE(estimate.activations_mib, 4 * Street::kBlockMib);
}

TEST(EstimateMemory, OldTablesSayWhatToDo) {
  Street street;
  auto row = *street.table.find_operator("unary");
  for (ContextRow& context : row.contexts) context.tensors.assign(3, "");
  street.table.add_operator("unary", row.contexts);
  const Trace trace = chain(1);
  const MemoryEstimate estimate = estimate_memory(trace, compose(trace, street.table), street.table);
  EXPECT_FALSE(estimate.known);
  EXPECT_THAT(estimate.why, testing::HasSubstr("mmt meter --again"));
}

TEST(EstimateMemory, RefusesAPlanOfAnotherTrace) {
  Street street;
  EXPECT_THROW(estimate_memory(chain(2), compose(chain(1), street.table), street.table), Error);
}

TEST(ExplainMemory, ComparesAnOperatorWithItsOwnMeasurement) {
  Street street;
  const MemoryEstimate estimate = explain_memory(street.table.find_operator("unary")->contexts[0], street.table);
  EXPECT_NEAR(estimate.session_mib, 2 * Street::kBlockMib, 1e-9);
  EXPECT_NEAR(estimate.unexplained_mib, 0.01, 1e-9);
}

TEST(EstimateSize, FilesAddUpWithoutTheirFrames) {
  Street street;
  const Trace one = chain(1), three = chain(3);
  const auto size = [&](const Trace& trace) {
    return estimate_size(trace, compose(trace, street.table), street.table).file_bytes;
  };
  EXPECT_EQ(size(one), 1000);
  EXPECT_EQ(size(three) - size(one), 2 * (1000 - 720));
  EXPECT_EQ(estimate_size(three, compose(three, street.table), street.table).uncounted, 3);
}

}  // namespace
}  // namespace mmt
