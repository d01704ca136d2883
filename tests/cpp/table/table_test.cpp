// From manifest and journal to rows.
#include "mmt/table.h"

#include <gmock/gmock.h>

#include "fixture.h"
#include "mmt/error.h"

namespace mmt {
namespace {

using test::make_kernel;
using test::make_operator;
using test::make_profile;
using test::make_run;
using test::make_signature;
using test::make_summary;
using testing::ElementsAre;
using testing::HasSubstr;

const KernelSignature kConv = make_signature("Convolution", "group=1,kernel=3x3", "[1,16,8,8]");
const KernelSignature kRaster = make_signature("Raster", "", "[1,16,8,8]nchw -> nc4hw4");
const KernelSignature kRelu = make_signature("ReLU", "", "[1,16,8,8]");

class TableTest : public test::FolderTest {
 protected:
  void write_manifest_of(const std::vector<OperatorEntry>& operators) {
    Manifest manifest;
    manifest.operators = operators;
    write_manifest(folder_, manifest);
  }
  void fill() {
    write_manifest_of({make_operator("a"), make_operator("b"), make_operator("never")});
    write_journal(
        {make_profile("a", {make_kernel(kRaster, 2, 1, KernelRole::kInputConvert, 0), make_kernel(kConv, 20, 10)}, 6),
         make_profile("b", {make_kernel(kConv, 20, 10), make_kernel(kRelu, 4, 3), make_kernel(kRelu, 4, 3)}, 7)},
        make_run());
  }
};

ErrorCode code_of(const std::function<void()>& call, std::string* message = nullptr) {
  try {
    call();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kIo;
}

TEST_F(TableTest, AnOperatorComesBackAsItWasMeasured) {
  fill();
  const auto table = LatencyTable::open(folder_);
  const auto row = table->find_operator(identity_hex("a"));
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->fingerprint, identity_hex("a"));
  EXPECT_EQ(row->kind, "module");
  EXPECT_EQ(row->class_name, "torch.nn.Conv2d");
  EXPECT_EQ(row->parameters_json, R"({"in_channels":16,"kernel_size":3})");
  EXPECT_THAT(row->input_shapes, ElementsAre(ElementsAre(1, 16, 8, 8)));
  EXPECT_THAT(row->output_dtypes, ElementsAre("float32"));
  EXPECT_EQ(row->parameter_count, 2304);
  EXPECT_EQ(row->status, "ok");
  ASSERT_EQ(row->contexts.size(), 1u);
  const ContextRow& context = row->contexts[0];
  EXPECT_EQ(context.context, "plain");
  EXPECT_NEAR(context.hot.median_us, 17, 1e-9);
  EXPECT_NEAR(context.hot.mean_us, 17, 1e-3);
  EXPECT_EQ(context.hot.count, 20);
  EXPECT_NEAR(context.cold.median_us, 28, 1e-9);
  EXPECT_THAT(context.kernel_keys, ElementsAre(kRaster.key, kConv.key));
  EXPECT_THAT(context.roles, ElementsAre(KernelRole::kInputConvert, KernelRole::kBody));
  EXPECT_THAT(context.ports, ElementsAre(0, -1));
  ASSERT_EQ(context.inputs.size(), 1u);
  EXPECT_EQ(context.inputs[0].layout, Layout::kNc4hw4);
  EXPECT_EQ(context.inputs[0].edge_kind, "convolution");
  EXPECT_TRUE(context.outputs[0].has_activation);
  EXPECT_EQ(context.memory_mib, 1.5);
  EXPECT_EQ(context.file_bytes, 4096);
  EXPECT_EQ(table->find_operator(identity_hex("nobody")), nullptr);
  EXPECT_EQ(table->find_operator("no fingerprint"), nullptr);
}

TEST_F(TableTest, AKernelIsPooledOverItsOperators) {
  fill();
  const auto table = LatencyTable::open(folder_);
  const auto row = table->find_kernel(kConv.key);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->type, "Convolution");
  EXPECT_EQ(row->attributes, "group=1,kernel=3x3");
  EXPECT_EQ(row->text, kConv.text);
  EXPECT_NEAR(row->hot_us, 10, 1e-9);
  EXPECT_NEAR(row->cold_us, 20, 1e-9);
  EXPECT_EQ(row->sources, 2);
  EXPECT_EQ(row->weight_bytes, 100);
  EXPECT_EQ(row->flags, "");
  EXPECT_EQ(table->find_kernel(identity_hex("nobody")), nullptr);
  EXPECT_EQ(table->all_kernels().size(), 3u);
}

TEST_F(TableTest, OperatorsWithoutMeasurementSayWhy) {
  OperatorEntry refused = make_operator("refused");
  refused.error = "the converter died";
  write_manifest_of({make_operator("a"), make_operator("never"), refused, make_operator("crashed")});
  ModelProfile crashed = make_profile("crashed", {});
  crashed.status = "failed";
  crashed.reason = "crashed: signal 11";
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)}), crashed}, make_run());
  const auto table = LatencyTable::open(folder_);
  EXPECT_EQ(table->find_operator(identity_hex("never"))->status, "unmeasured");
  EXPECT_EQ(table->find_operator(identity_hex("refused"))->status, "failed");
  EXPECT_EQ(table->find_operator(identity_hex("refused"))->reason, "the converter died");
  EXPECT_EQ(table->find_operator(identity_hex("crashed"))->reason, "crashed: signal 11");
  EXPECT_TRUE(table->find_operator(identity_hex("crashed"))->contexts.empty());
  EXPECT_EQ(table->all_operators().size(), 4u);
  EXPECT_EQ(table->config().operators, 1);
}

TEST_F(TableTest, TheLatestMeasurementReplacesEarlierOnesAndAFailureDoesNot) {
  ModelProfile failed = make_profile("a", {});
  failed.status = "failed";
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10), make_kernel(kRelu, 4, 3)}), failed,
                 make_profile("a", {make_kernel(kConv, 22, 11)}), failed},
                make_run());
  const auto table = LatencyTable::open(folder_);
  const auto row = table->find_operator(identity_hex("a"));
  EXPECT_EQ(row->status, "ok");
  EXPECT_THAT(row->contexts.at(0).kernel_keys, ElementsAre(kConv.key));
  EXPECT_NEAR(table->find_kernel(kConv.key)->hot_us, 11, 1e-9);
  EXPECT_EQ(table->find_kernel(kConv.key)->sources, 1);
  EXPECT_EQ(table->find_kernel(kRelu.key), nullptr) << "nobody contains this kernel any more";
}

TEST_F(TableTest, WhatARunLeftUnfinishedCountsUntilItIsFinished) {
  ModelProfile unfinished = make_profile("a", {make_kernel(kConv, 18, 9)});
  unfinished.flags = "few,unfinished";
  const ModelProfile finished = make_profile("a", {make_kernel(kConv, 22, 11)});
  ModelProfile failed = unfinished;
  failed.status = "failed";
  const auto hot_us = [&](const std::vector<ModelProfile>& profiles) {
    std::filesystem::remove(file("latency.jsonl"));
    write_journal(profiles, make_run());
    const auto table = LatencyTable::open(folder_);
    const auto kernel = table->find_kernel(kConv.key);
    return kernel != nullptr ? kernel->hot_us : 0;
  };
  EXPECT_NEAR(hot_us({unfinished}), 9, 1e-9);
  EXPECT_NEAR(hot_us({unfinished, finished}), 11, 1e-9);
  EXPECT_NEAR(hot_us({finished, unfinished}), 11, 1e-9) << "of a later run that was killed";
  EXPECT_EQ(hot_us({unfinished, failed}), 0) << "it failed in the end";
}

TEST_F(TableTest, ContextsAreKeptApart) {
  write_journal(
      {make_profile("a", {make_kernel(kConv, 20, 10)}, 5, "plain"),
       make_profile("a", {make_kernel(kRelu, 4, 3, KernelRole::kStub), make_kernel(kConv, 24, 12)}, 5, "packed")},
      make_run());
  const auto row = LatencyTable::open(folder_)->find_operator(identity_hex("a"));
  ASSERT_EQ(row->contexts.size(), 2u);
  EXPECT_EQ(row->contexts[0].context, "packed");
  EXPECT_THAT(row->contexts[0].roles, ElementsAre(KernelRole::kStub, KernelRole::kBody));
  EXPECT_THAT(row->contexts[1].kernel_keys, ElementsAre(kConv.key));
}

TEST_F(TableTest, WholeModelsAreNotPooled) {
  write_manifest_of({make_operator("a"), make_operator("net", "model")});
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)}),
                 make_profile("net", {make_kernel(kConv, 40, 30), make_kernel(kRelu, 4, 3)}, 500)},
                make_run());
  const auto table = LatencyTable::open(folder_);
  EXPECT_NEAR(table->find_kernel(kConv.key)->hot_us, 10, 1e-9);
  EXPECT_EQ(table->find_kernel(kRelu.key), nullptr);
  EXPECT_LT(table->config().run_overhead_us, 10);
  EXPECT_NE(table->find_operator(identity_hex("net")), nullptr);
}

TEST_F(TableTest, WhatAManifestDoesNotListIsKeptButNotPooled) {
  write_manifest_of({make_operator("a")});
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)}),
                 make_profile("stranger", {make_kernel(kConv, 40, 30), make_kernel(kRelu, 4, 3)})},
                make_run());
  const auto table = LatencyTable::open(folder_);
  EXPECT_EQ(table->find_kernel(kConv.key)->sources, 1);
  EXPECT_EQ(table->find_kernel(kRelu.key), nullptr);
  EXPECT_EQ(table->find_operator(identity_hex("stranger"))->kind, "unlisted");
}

TEST_F(TableTest, LinesWithoutIdentitiesAreLeftOut) {
  ModelProfile nameless = make_profile("a", {});
  nameless.fingerprint = "short";
  ModelProfile keyless = make_profile("b", {make_kernel(kConv, 20, 10)});
  keyless.kernels[0].kernel.signature.key = "";
  write_journal({nameless, keyless, make_profile("c", {make_kernel(kConv, 20, 10)})}, make_run());
  const TableBuildReport report = build_table(folder_);
  EXPECT_EQ(report.dropped_lines, 2);
  EXPECT_EQ(report.operators, 1);
}

TEST_F(TableTest, SparedKernelsTakeTheirFiguresFromOthers) {
  KernelProfile spared = make_kernel(kConv, 0, 0);
  spared.cold = spared.hot = Summary{};
  KernelProfile half = make_kernel(kRelu, 4, 3);
  half.cold = Summary{};
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)}), make_profile("b", {spared, half})}, make_run());
  const auto table = LatencyTable::open(folder_);
  EXPECT_EQ(table->find_kernel(kConv.key)->sources, 1);
  const auto relu = table->find_kernel(kRelu.key);
  EXPECT_EQ(relu->cold_us, relu->hot_us);
  EXPECT_EQ(relu->flags, "few");
}

TEST_F(TableTest, FlagsThatAllSourcesCarryStay) {
  ModelProfile a = make_profile("a", {make_kernel(kConv, 20, 10), make_kernel(kRelu, 4, 3)});
  ModelProfile b = make_profile("b", {make_kernel(kConv, 20, 10)});
  a.flags = "steal,migrated";
  b.flags = "steal";
  write_journal({a, b}, make_run());
  const auto table = LatencyTable::open(folder_);
  EXPECT_EQ(table->find_kernel(kConv.key)->flags, "steal");
  EXPECT_EQ(table->find_kernel(kRelu.key)->flags, "steal,migrated");
}

TEST_F(TableTest, OverheadsComeFromTheOperatorsTotals) {
  std::vector<ModelProfile> profiles;
  for (int count = 1; count <= 6; ++count) {  // 4 µs a run, 0.5 µs a kernel.
    profiles.push_back(make_profile("op" + std::to_string(count),
                                    std::vector<KernelProfile>(count, make_kernel(kConv, 20, 10)), 4 + 0.5 * count));
  }
  write_journal(profiles, make_run());
  const auto table = LatencyTable::open(folder_);
  EXPECT_NEAR(table->config().run_overhead_us, 4, 1e-6);
  EXPECT_NEAR(table->config().kernel_overhead_us, 0.5, 1e-6);
  EXPECT_NEAR(table->config().overhead_residual, 0, 1e-6);
  EXPECT_EQ(table->config().operators, 6);
  EXPECT_EQ(table->config().kernels, 1);
}

TEST_F(TableTest, HoldsWhatChainsToldOfTheCaches) {
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)})}, make_run());
  EXPECT_TRUE(LatencyTable::open(folder_)->config().cache.empty());
  {
    JournalWriter writer(file("latency.jsonl"), make_run());
    writer.append(CacheCurve{{4e6, 8e6}, {400, 800}, {10, 20}, {100, 100}});
  }
  {
    JournalWriter writer(file("latency.jsonl"), make_run());
    writer.append(CacheCurve{{4e6, 8e6}, {400, 800}, {5, 10}, {50, 100}});
  }
  EXPECT_EQ(LatencyTable::open(folder_)->config().cache, (CacheCurve{{4e6, 8e6}, {400, 800}, {15, 30}, {150, 200}}));
}

TEST_F(TableTest, ConfigurationsNeverMix) {
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)})}, make_run(1));
  write_journal({make_profile("a", {make_kernel(kConv, 12, 6)}), make_profile("b", {make_kernel(kRelu, 4, 3)})},
                make_run(2));
  std::string message;
  EXPECT_EQ(code_of([&] { LatencyTable::open(folder_); }, &message), ErrorCode::kInvalidArgument);
  const std::string one = make_run(1).config_id(), two = make_run(2).config_id();
  EXPECT_THAT(message, HasSubstr(one));
  EXPECT_THAT(message, HasSubstr("threads 2"));
  EXPECT_EQ(code_of([&] { LatencyTable::open(folder_, "zz"); }), ErrorCode::kInvalidArgument);

  const auto first = LatencyTable::open(folder_, one);
  const auto second = LatencyTable::open(folder_, two.substr(0, 8));
  EXPECT_NEAR(first->find_kernel(kConv.key)->hot_us, 10, 1e-9);
  EXPECT_NEAR(second->find_kernel(kConv.key)->hot_us, 6, 1e-9);
  EXPECT_EQ(first->find_kernel(kRelu.key), nullptr);
  EXPECT_EQ(first->find_operator(identity_hex("b"))->status, "unmeasured");
  EXPECT_EQ(second->config().run.facts.threads, 2);
  EXPECT_EQ(second->config().run.seed, 18446744073709551615u);
  EXPECT_EQ(list_configs(folder_).size(), 2u);
}

TEST_F(TableTest, WhatWasMeasuredAsInsideAModelTakesThePlaceOfWhatWasNot) {
  Provenance inside = make_run(1);
  inside.displace_bytes = 1 << 20;
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)}), make_profile("b", {make_kernel(kRelu, 4, 3)})},
                make_run(1));
  write_journal({make_profile("a", {make_kernel(kConv, 12, 8)})}, inside);
  const auto table = LatencyTable::open(folder_);
  EXPECT_EQ(table->config().config_id, inside.config_id());
  EXPECT_NEAR(table->find_kernel(kConv.key)->hot_us, 8, 1e-9);
  EXPECT_EQ(table->find_kernel(kRelu.key), nullptr) << "the two are no longer mixed";
  EXPECT_EQ(list_configs(folder_).size(), 1u);
}

TEST_F(TableTest, ThePriceOfColdMemoryIsThatOfWeights) {
  const auto kernel = [](const std::string& shapes, std::int64_t weights, std::int64_t outputs, double extra_us) {
    KernelSignature signature = make_signature("Convolution", "relu=1", shapes);
    signature.weight_bytes = weights;
    signature.output_bytes = outputs;
    return make_kernel(signature, 10 + extra_us, 10);
  };
  const std::vector<ModelProfile> profiles = {make_profile("a", {kernel("a", 4 << 20, 1 << 10, 160)}),
                                              make_profile("b", {kernel("b", 2 << 20, 1 << 10, 60)}),
                                              make_profile("few bytes", {kernel("c", 1 << 10, 1 << 4, 9)}),
                                              make_profile("mostly outputs", {kernel("d", 1 << 20, 64 << 20, 900)})};
  write_journal(profiles, make_run());
  EXPECT_EQ(LatencyTable::open(folder_)->config().cold_us_per_mib, 0) << "there activations are cold too";
  Provenance inside = make_run();
  inside.displace_bytes = 1 << 20;
  write_journal(profiles, inside);
  EXPECT_NEAR(LatencyTable::open(folder_)->config().cold_us_per_mib, 40, 2) << "of most of the weights";
}

TEST_F(TableTest, NearestOperatorsFirst) {
  const auto entry = [](const std::string& name, const std::string& parameters, std::vector<int> shape) {
    OperatorEntry made = make_operator(name);
    made.parameters_json = parameters;
    made.inputs[0].shape = std::move(shape);
    return made;
  };
  OperatorEntry other = entry("other", R"({"kernel_size":3})", {1, 8, 8, 8});
  other.class_name = "torch.nn.MaxPool2d";
  write_manifest_of({entry("far", R"({"kernel_size":7})", {1, 64, 64, 64}),
                     entry("near", R"({"kernel_size":3})", {1, 8, 16, 16}),
                     entry("list", R"({"kernel_size":[3,3]})", {1, 8, 8, 9}), other,
                     entry("unmeasured", R"({"kernel_size":3})", {1, 8, 8, 8})});
  write_journal(
      {make_profile("far", {}), make_profile("near", {}), make_profile("list", {}), make_profile("other", {})},
      make_run());
  const auto table = LatencyTable::open(folder_);
  const auto rows = table->nearest_operators("torch.nn.Conv2d", R"({"kernel_size":3})", {{1, 8, 8, 8}}, 2);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fingerprint, identity_hex("list"));
  EXPECT_EQ(rows[1].fingerprint, identity_hex("near"));
  EXPECT_TRUE(table->nearest_operators("my.Class", "{}", {}, 5).empty());
}

TEST_F(TableTest, SimilarKernelsShareTypeAndAttributesFirst) {
  const auto same = make_signature("Convolution", "kernel=3x3", "[1,8,8,8]");
  const auto also = make_signature("Convolution", "kernel=3x3", "[1,9,9,9]");
  const auto before = make_signature("Convolution", "kernel=1x1", "[1,8,8,8]");
  const auto after = make_signature("Convolution", "kernel=5x5", "[1,8,8,8]");
  write_journal({make_profile("a", {make_kernel(after, 4, 3), make_kernel(same, 2, 1), make_kernel(before, 6, 5),
                                    make_kernel(also, 8, 7), make_kernel(kRelu, 1, 1)})},
                make_run());
  const auto table = LatencyTable::open(folder_);
  const auto rows = table->similar_kernels("Convolution", "kernel=3x3", 10);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].attributes, "kernel=3x3");
  EXPECT_EQ(rows[1].attributes, "kernel=3x3");
  EXPECT_EQ(rows[2].attributes, "kernel=1x1");
  EXPECT_EQ(rows[3].attributes, "kernel=5x5");
  EXPECT_EQ(table->similar_kernels("Convolution", "kernel=3x3", 1).size(), 1u);
  EXPECT_TRUE(table->similar_kernels("While", "", 10).empty());
}

TEST_F(TableTest, WholeRunsStandForOperatorsWhereKernelsCannotBeTimed) {
  Provenance run = make_run();
  run.facts.backend = "opencl";
  run.facts.per_kernel = false;
  std::vector<ModelProfile> profiles;
  std::vector<OperatorEntry> operators;
  // 100 us for the way to the device and back, 10 us for a million operations.
  for (const double mflops : {1.0, 10.0, 50.0, 200.0, 400.0}) {
    operators.push_back(make_operator("op" + std::to_string(mflops)));
    profiles.push_back(make_profile("op" + std::to_string(mflops), {}, 100 + 10 * mflops));
    profiles.back().mflops = mflops;
    profiles.back().cold = make_summary(900 + 10 * mflops);
  }
  write_manifest_of(operators);
  write_journal(profiles, run);
  const auto table = LatencyTable::open(folder_);
  EXPECT_NEAR(table->config().run_overhead_us, 100, 5);
  EXPECT_DOUBLE_EQ(table->config().kernel_overhead_us, -table->config().run_overhead_us);
  for (const ModelProfile& profile : profiles) {
    const auto row = table->find_operator(profile.fingerprint);
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->contexts.at(0).kernel_keys, std::vector<std::string>{profile.fingerprint});
    const auto kernel = table->find_kernel(profile.fingerprint);
    ASSERT_NE(kernel, nullptr);
    EXPECT_EQ(kernel->type, kWholeRun);
    EXPECT_DOUBLE_EQ(kernel->hot_us, profile.hot.median_us);
    EXPECT_DOUBLE_EQ(kernel->cold_us, kernel->hot_us);
  }
}

}  // namespace
}  // namespace mmt
