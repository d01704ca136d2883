// Exports, checks and merges of whole tables.
#include "mmt/table_tools.h"

#include <gmock/gmock.h>

#include "fixture.h"
#include "mmt/error.h"
#include "mmt/table.h"
#include "table/sql.h"

namespace mmt {
namespace {

namespace fs = std::filesystem;
using test::make_kernel;
using test::make_operator;
using test::make_profile;
using test::make_run;
using test::make_signature;
using testing::Contains;
using testing::ElementsAre;

const KernelSignature kConv = make_signature("Convolution", "kernel=3x3", "[1,16,8,8]");

struct Collector final : RecordSink {
  std::vector<std::string> names;
  std::vector<Record> rows;
  bool finished = false;
  void columns(const std::vector<std::string>& columns) override { names = columns; }
  void row(const Record& values) override { rows.push_back(values); }
  void finish() override { finished = true; }
  RecordValue at(std::size_t row, const std::string& name) const {
    const auto place = std::find(names.begin(), names.end(), name);
    EXPECT_NE(place, names.end()) << name;
    return rows.at(row).at(static_cast<std::size_t>(place - names.begin()));
  }
};

class ToolsTest : public test::FolderTest {
 protected:
  Collector read(const std::string& view, const std::string& config = "") {
    Collector collector;
    read_records(folder_, view, config, collector);
    return collector;
  }
  /// A folder with one operator, its file and a measurement of it.
  std::string side_folder(const std::string& name, const ModelProfile& profile, const Provenance& run = make_run()) {
    const std::string folder = file(name);
    fs::create_directories(folder + "/models");
    OperatorEntry entry = make_operator(name);
    entry.models = {{"plain", "models/" + entry.fingerprint + ".mnn", 5, sha256_hex("model")}};
    test::spill(folder + "/" + entry.models[0].file, "model");
    Manifest manifest;
    manifest.operators = {entry};
    write_manifest(folder, manifest);
    JournalWriter writer(folder + "/latency.jsonl", run);
    writer.append(profile);
    return folder;
  }
  static std::vector<std::string> kinds(const TableCheck& check) {
    std::vector<std::string> list;
    for (const TableFinding& finding : check.findings) list.push_back(finding.kind);
    return list;
  }
};

TEST_F(ToolsTest, ViewsHoldWhatWasMeasured) {
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10), make_kernel(kConv, 20, 10)})}, make_run());
  const Collector operators = read("operators");
  ASSERT_EQ(operators.rows.size(), 1u);
  EXPECT_TRUE(operators.finished);
  EXPECT_EQ(operators.at(0, "fingerprint"), RecordValue(identity_hex("a")));
  EXPECT_EQ(operators.at(0, "hot_median_us"), RecordValue(25.0));
  EXPECT_EQ(operators.at(0, "average_us"), operators.at(0, "hot_mean_us"));
  EXPECT_EQ(operators.at(0, "minimum_us"), operators.at(0, "hot_min_us"));
  EXPECT_EQ(operators.at(0, "maximum_us"), operators.at(0, "hot_max_us"));
  EXPECT_EQ(operators.at(0, "hot_noisy"), RecordValue(false));
  EXPECT_EQ(operators.at(0, "input_shapes"), RecordValue(JsonText{"[]"}));
  const Collector kernels = read("kernels", make_run().config_id().substr(0, 6));
  ASSERT_EQ(kernels.rows.size(), 1u);
  EXPECT_EQ(kernels.at(0, "key"), RecordValue(kConv.key));
  EXPECT_EQ(kernels.at(0, "sources"), RecordValue(std::int64_t{2}));
  EXPECT_EQ(read("operator_kernels").rows.size(), 2u);
  EXPECT_EQ(read("configs").at(0, "engine_version"), RecordValue(std::string("1.0")));
  EXPECT_EQ(read("configs").at(0, "per_kernel"), RecordValue(true));
  EXPECT_THROW(read("nothing"), Error);
  EXPECT_THROW(read("kernels", "no such id"), Error);
}

TEST_F(ToolsTest, ColumnNamesAreUnique) {
  write_journal({make_profile("a", {make_kernel(kConv, 20, 10)})}, make_run());
  for (const std::string& view : record_views()) {
    const auto names = read(view).names;
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << view;
  }
}

TEST_F(ToolsTest, ACheckOfAHealthyFolderFindsNothing) {
  const std::string folder = side_folder("a", make_profile("a", {make_kernel(kConv, 20, 10)}));
  build_table(folder);
  const TableCheck check = check_table(folder);
  EXPECT_TRUE(check.ok());
  EXPECT_THAT(kinds(check), ElementsAre());
  EXPECT_EQ(check.measurements, 1);
  EXPECT_THROW(check_table(file("empty/or/not")), Error);
}

TEST_F(ToolsTest, ACheckNamesWhatIsWrong) {
  ModelProfile flagged = make_profile("a", {make_kernel(kConv, 20, 10)});
  flagged.flags = "steal";
  flagged.file_sha256 = "of another file";
  const std::string folder = side_folder("a", flagged);
  {
    JournalWriter writer(folder + "/latency.jsonl", make_run());
    ModelProfile failed = make_profile("orphan", {});
    failed.status = "failed";
    failed.reason = "timeout";
    writer.append(failed);
    writer.append(make_profile("stranger", {}));
  }
  build_table(folder);
  auto manifest = read_manifest(folder);
  manifest.operators.push_back(make_operator("unmeasured"));
  manifest.operators.back().models = {{"plain", "models/none.mnn", 1, ""}};
  manifest.operators.push_back(make_operator("refused"));
  manifest.operators.back().error = "no";
  write_manifest(folder, manifest);
  test::spill(folder + "/" + manifest.operators[0].models[0].file, "other");
  const TableCheck check = check_table(folder);
  EXPECT_FALSE(check.ok());
  EXPECT_EQ(check.findings.front().severity, "error");
  for (const char* kind : {"stale", "failed", "noisy", "orphan", "unmeasured", "missing_file", "changed_file"}) {
    EXPECT_THAT(kinds(check), Contains(kind));
  }
  test::spill(folder + "/latency.db", "no database");
  EXPECT_THAT(kinds(check_table(folder)), Contains("damaged"));
}

TEST_F(ToolsTest, FoldersAreMerged) {
  const std::string a = side_folder("a", make_profile("a", {make_kernel(kConv, 20, 10)}));
  const std::string b = side_folder("b", make_profile("b", {make_kernel(kConv, 24, 12)}), make_run(1, "board"));
  const std::string c = side_folder("c", make_profile("c", {make_kernel(kConv, 12, 6)}), make_run(2));
  const std::string target = file("all");
  const MergeReport report = merge_tables(target, {a, b, c});
  EXPECT_EQ(report.profiles, 3);
  EXPECT_EQ(report.operators, 3);
  EXPECT_EQ(report.files, 3);
  const auto table = LatencyTable::open(target, make_run(1).config_id());
  EXPECT_EQ(table->find_kernel(kConv.key)->sources, 2);
  EXPECT_EQ(list_configs(target).size(), 2u);
  EXPECT_TRUE(check_table(target).ok());

  const MergeReport again = merge_tables(target, {a, b, c});
  EXPECT_EQ(again.profiles, 0);
  EXPECT_EQ(again.skipped, 3);
  EXPECT_EQ(again.operators, 0);
}

TEST_F(ToolsTest, OfTwoMeasurementsTheLaterOneStays) {
  ModelProfile early = make_profile("a", {make_kernel(kConv, 20, 10)}),
               late = make_profile("a", {make_kernel(kConv, 24, 12)});
  early.measured_at = "2024-01-01T00:00:00Z";
  late.measured_at = "2024-02-01T00:00:00Z";
  const std::string old_folder = side_folder("a", early);
  fs::rename(old_folder, file("old"));
  const std::string new_folder = side_folder("a", late);
  merge_tables(file("all"), {new_folder, file("old")});
  EXPECT_NEAR(LatencyTable::open(file("all"))->find_kernel(kConv.key)->hot_us, 12, 1e-9);
  merge_tables(file("other"), {file("old"), new_folder});
  EXPECT_NEAR(LatencyTable::open(file("other"))->find_kernel(kConv.key)->hot_us, 12, 1e-9);
}

TEST_F(ToolsTest, MergesRefuseWhatCannotBeMerged) {
  const std::string a = side_folder("a", make_profile("a", {}));
  fs::create_directories(file("empty"));
  EXPECT_THROW(merge_tables(file("all"), {a, file("empty")}), Error);
  EXPECT_FALSE(fs::exists(file("all"))) << "nothing is written";
  EXPECT_THROW(merge_tables(a, {a}), Error);
  EXPECT_THROW(merge_tables(a, {}), Error);
  auto manifest = read_manifest(a);
  manifest.operators[0].models[0].file = "../../outside.mnn";
  write_manifest(a, manifest);
  EXPECT_THROW(merge_tables(file("all"), {a}), Error);
}

}  // namespace
}  // namespace mmt
