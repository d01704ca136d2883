// A whole folder: manifest in, journal out, resumed by a second run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "meter/bench_of_fakes.h"
#include "meter/scratch_folder.h"
#include "meter/throttle.h"
#include "mmt/file.h"
#include "mmt/hash.h"
#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "mmt/meter_folder.h"

namespace mmt {
namespace {

using testing::FakeKernel;
using ::testing::HasSubstr;

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    hooks_.plan = &testing::plan_by_name;
    hooks_.throttled = [] { return false; };
    manifest_.converter = "MNN 3.6.1";
    make_folders(folder_ / "models");
    for (int i = 0; i < 6; ++i) add_operator(i);
    write_manifest(folder_.path(), manifest_);
  }

  void add_operator(int number) {
    OperatorEntry entry;
    entry.fingerprint = "f" + std::to_string(number);
    entry.kind = "module";
    entry.class_name = number % 2 ? "torch.nn.Conv2d" : "torch.nn.Linear";
    entry.inputs = {{.shape = {1, 8}, .dtype = "int64", .low = 0, .high = 10}};
    const double us = 100 + 10 * number;
    for (const std::string context : {"plain", "packed"}) {
      const std::string file = "models/" + entry.fingerprint + "." + context + ".mnn";
      std::ofstream(folder_ / file) << "model " << number << context;
      entry.models.push_back({context, file, file_size(folder_ / file), sha256_file_hex(folder_ / file)});
      engine_.program(folder_ / file,
                      testing::fake_model({FakeKernel(entry.fingerprint + context, "Convolution", us, 1.5 * us)}));
    }
    manifest_.operators.push_back(entry);
  }

  FolderReport run() {
    return metering::meter_folder_with(
        hooks_, folder_.path(), engine_, options_, clock_, [this](const MeterProgress& state) { last_ = state; },
        stop_);
  }

  std::vector<ModelProfile> journal() const {
    std::vector<ModelProfile> profiles;
    read_journal(folder_ / kJournalName, [&](const JournalEntry& entry) { profiles.push_back(entry.profile); });
    return profiles;
  }

  testing::ScratchFolder folder_;
  FakeClock clock_;
  testing::FakeEngine engine_{clock_};
  metering::Hooks hooks_;
  FolderOptions options_;
  StopHook stop_;
  Manifest manifest_;
  MeterProgress last_;
};

TEST_F(FolderTest, EveryModelOfTheManifestGetsALine) {
  const FolderReport report = run();
  EXPECT_EQ(report.result.measured, 12);
  EXPECT_EQ(report.result.failed, 0);
  EXPECT_EQ(last_.done, 12);
  EXPECT_EQ(last_.total, 12);
  const auto profiles = journal();
  ASSERT_EQ(profiles.size(), 12u);
  for (const ModelProfile& profile : profiles) {
    EXPECT_EQ(profile.file_sha256.size(), 64u);
    EXPECT_EQ(profile.cold.count > 0, profile.context == "plain");
    EXPECT_GT(profile.kernels[0].cold.count, 0);
  }
  const auto& inputs = engine_.last_options[folder_ / "models/f0.plain.mnn"].inputs;
  ASSERT_EQ(inputs.size(), 1u);
  EXPECT_EQ(inputs[0].shape, (std::vector<int>{1, 8}));
  EXPECT_EQ(inputs[0].high, 10);
}

TEST_F(FolderTest, ASecondRunMeasuresOnlyWhatIsNewOrChanged) {
  run();
  EXPECT_EQ(run().result.skipped, 12);
  EXPECT_EQ(journal().size(), 12u);

  add_operator(6);
  manifest_.operators[2].models[0].sha256 = "another";
  write_manifest(folder_.path(), manifest_);
  const FolderReport report = run();
  EXPECT_EQ(report.result.skipped, 11);
  EXPECT_EQ(report.result.measured, 3);
  EXPECT_EQ(last_.done, 14);
  EXPECT_EQ(last_.total, 14);
  EXPECT_EQ(journal().size(), 15u);

  options_.config.precision = "low";  // Another configuration knows nothing of these rows.
  EXPECT_EQ(run().result.skipped, 0);
  options_.again = true;
  EXPECT_EQ(run().result.measured, 14);
}

TEST_F(FolderTest, AnInterruptedRunGoesOnOnTheSameScale) {
  stop_ = [this] { return journal().size() >= 3; };
  for (int i = 3; i < 6; ++i) {
    for (const char* context : {"plain", "packed"}) {
      engine_.model(folder_ / ("models/f" + std::to_string(i) + "." + context + ".mnn")).noise = 0.02;
    }
  }
  const FolderReport first = run();
  EXPECT_TRUE(first.result.interrupted);
  EXPECT_LT(first.result.measured, 12);
  stop_ = {};
  engine_.set_drift([](double) { return 1.3; });
  const FolderReport second = run();
  EXPECT_EQ(first.result.measured + second.result.measured, 12);
  EXPECT_EQ(second.result.skipped, first.result.measured);
  for (const ModelProfile& profile : journal()) {
    if (profile.context == "plain") {
      const double us = 100 + 10 * (profile.fingerprint[1] - '0');
      EXPECT_NEAR(profile.hot.median_us / (us + 2), 1.0, 0.02) << profile.fingerprint;
    }
  }
}

TEST_F(FolderTest, AKilledRunLeavesWhatItKnewAndIsGoneOnWith) {
  for (int i = 1; i < 6; ++i) {
    for (const char* context : {"plain", "packed"}) {
      engine_.model(folder_ / ("models/f" + std::to_string(i) + "." + context + ".mnn")).noise = 0.1;
    }
  }
  options_.meter.times = 4000;
  options_.meter.target_ci = 0.001;
  const std::string path = folder_ / kJournalName;
  std::string killed;  // The journal as it is after four seconds, which is all that a killed run leaves.
  stop_ = [&] {
    if (killed.empty() && clock_.now() > std::chrono::seconds(4)) killed = read_file(path);
    return !killed.empty();
  };
  run();
  std::ofstream(path, std::ios::binary) << killed;
  std::map<std::string, ModelProfile> left;
  for (const ModelProfile& profile : journal()) left[profile.fingerprint + profile.context] = profile;
  EXPECT_EQ(left.size(), 12u);
  const auto finished = std::count_if(left.begin(), left.end(), [](const auto& one) { return is_final(one.second); });
  EXPECT_GT(finished, 0);
  EXPECT_LT(finished, 12);
  for (const auto& [name, profile] : left) {
    if (profile.context == "plain") EXPECT_NEAR(profile.hot.median_us, 102 + 10 * (profile.fingerprint[1] - '0'), 8);
  }

  stop_ = {};
  options_.meter.times = 40;
  const FolderReport second = run();
  EXPECT_EQ(second.result.skipped, finished);
  EXPECT_EQ(second.result.measured, 12 - finished);
  EXPECT_EQ(run().result.skipped, 12);
}

TEST_F(FolderTest, RowsThatABudgetLeftThinAreMeasuredAgain) {
  options_.meter.budget = std::chrono::milliseconds(60);
  const FolderReport first = run();
  EXPECT_TRUE(first.result.budget_ended);
  EXPECT_GT(first.flagged, 0);
  options_.meter.budget = {};
  EXPECT_GE(run().result.measured, first.flagged);
  std::map<std::string, std::string> flags;
  for (const ModelProfile& profile : journal()) flags[profile.fingerprint + profile.context] = profile.flags;
  EXPECT_EQ(flags.size(), 12u);
  for (const auto& [name, text] : flags) EXPECT_EQ(text, "") << name;
}

TEST_F(FolderTest, KernelsAreKnownOnlyFromModelsThatTheFolderStillLists) {
  run();
  // A new operator has the same kernel as an old one; in another folder's list the old one would be gone.
  add_operator(6);
  const std::string file = folder_ / "models/f6.packed.mnn";
  engine_.program(file, testing::fake_model({FakeKernel("f0packed", "Convolution", 100, 150)}));
  write_manifest(folder_.path(), manifest_);
  run();
  EXPECT_EQ(journal().back().fingerprint, "f6");
  const auto own_samples = [&] {
    for (const ModelProfile& profile : journal()) {
      if (profile.fingerprint == "f6" && profile.context == "packed") return profile.kernels[0].cold.count;
    }
    return -1;
  };
  EXPECT_EQ(own_samples(), 0);

  std::filesystem::remove(folder_ / kJournalName);
  manifest_.operators.pop_back();
  write_manifest(folder_.path(), manifest_);
  run();
  manifest_.operators.erase(manifest_.operators.begin());
  add_operator(6);
  engine_.program(file, testing::fake_model({FakeKernel("f0packed", "Convolution", 100, 150)}));
  write_manifest(folder_.path(), manifest_);
  run();
  EXPECT_GT(own_samples(), 0);
}

TEST_F(FolderTest, MissingAndDamagedFilesAreFailedRows) {
  std::filesystem::remove(folder_ / "models/f1.plain.mnn");
  std::ofstream(folder_ / "models/f2.packed.mnn") << "longer than before, much longer";
  const FolderReport report = run();
  EXPECT_EQ(report.result.failed, 2);
  EXPECT_EQ(report.result.measured, 10);
  ASSERT_EQ(report.failures.size(), 2u);
  EXPECT_THAT(report.failures[0].first, HasSubstr("torch.nn.Conv2d [1,8]"));
  EXPECT_THAT(report.failures[0].second, HasSubstr("the file is missing"));
  EXPECT_THAT(report.failures[1].second, HasSubstr("the manifest says"));
  EXPECT_EQ(last_.failed, 2);
  EXPECT_EQ(run().result.skipped, 12);  // Failed ones stay failed until they change …
  options_.retry_failed = true;         // … or somebody asks.
  EXPECT_EQ(run().result.failed, 2);
}

TEST_F(FolderTest, FiltersNameClassesOrFingerprints) {
  options_.only = {"Linear"};
  EXPECT_EQ(run().result.measured, 6);
  options_.only = {"f1", "f2"};
  const FolderReport report = run();
  EXPECT_EQ(report.result.measured, 2);
  EXPECT_EQ(report.result.skipped, 2);
  options_.only = {"NoSuchClass"};
  EXPECT_THROW(run(), Error);
}

TEST_F(FolderTest, TwoMetersInOneFolderAreRefused) {
  const JournalWriter other(folder_ / kJournalName, {});
  try {
    run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.what(), HasSubstr("latency.jsonl: another process is writing it"));
  }
}

TEST_F(FolderTest, OperatorsWithoutFilesAreCountedNotMeasured) {
  OperatorEntry entry;
  entry.fingerprint = "bad";
  entry.kind = "module";
  entry.class_name = "Broken";
  entry.error = "no converter for it";
  manifest_.operators.push_back(entry);
  write_manifest(folder_.path(), manifest_);
  const FolderReport report = run();
  EXPECT_EQ(report.unconverted, 1);
  EXPECT_EQ(report.result.failed, 0);
}

TEST_F(FolderTest, WholeModelsAreKnownByTheirFiles) {
  const auto models = list_models(folder_ / "models");
  EXPECT_EQ(models.size(), 12u);
  FolderReport report = metering::meter_models_with(hooks_, models, folder_ / "out", engine_, options_, clock_, {}, {});
  EXPECT_EQ(report.result.measured, 12);
  report = metering::meter_models_with(hooks_, models, folder_ / "out", engine_, options_, clock_, {}, {});
  EXPECT_EQ(report.result.skipped, 12);
  EXPECT_EQ(report.journal, folder_ / "out/latency.jsonl");
  EXPECT_THROW(list_models(folder_ / "out"), Error);
  EXPECT_THROW(list_models(folder_ / "nowhere"), Error);
}

TEST_F(FolderTest, OperatorsFindTheCachesAsInAModelAndModelsAsTheyAre) {
  const FolderReport operators = run();
  EXPECT_GT(operators.run.displace_bytes, 0);
  ASSERT_EQ(engine_.requests.size(), 12u);
  for (const auto& [path, requests] : engine_.requests) {
    ASSERT_GT(requests.size(), 3u);
    EXPECT_EQ(requests[0].displace_bytes, operators.run.displace_bytes) << path << ": looks where its data lies";
    std::vector<std::int64_t> displaced;
    for (const RunRequest& request : requests) {
      if (request.runs == 1 || (request.settling_runs == 0 && request.displace_bytes == 0))
        continue;  // The first; chains.
      EXPECT_EQ(request.settling_runs, kSettlingRuns) << path;
      displaced.push_back(request.displace_bytes);
    }
    const auto measuring =
        std::find_if(displaced.begin(), displaced.end(), [](std::int64_t bytes) { return bytes != 0; });
    const auto warming = measuring - displaced.begin();
    EXPECT_TRUE(warming == 1 || warming == 2) << path << ": whole runs, profiled ones, or both";
    EXPECT_GT(displaced.end() - measuring, 2) << path;
    EXPECT_EQ(std::count(measuring, displaced.end(), operators.run.displace_bytes), displaced.end() - measuring)
        << path;
  }
  engine_.requests.clear();
  const FolderReport models = metering::meter_models_with(hooks_, list_models(folder_ / "models"), folder_ / "out",
                                                          engine_, options_, clock_, {}, {});
  EXPECT_EQ(models.run.displace_bytes, 0);
  ASSERT_EQ(engine_.requests.size(), 12u);
  for (const auto& [path, requests] : engine_.requests) {
    for (const RunRequest& request : requests) EXPECT_EQ(request.displace_bytes, 0) << path;
  }
}

TEST(Throttle, LimitsFrequenciesAndTemperaturesAreWatched) {
  testing::ScratchFolder root;
  const auto put = [&](const std::string& path, const std::string& text) {
    make_folders(std::filesystem::path(root / path).parent_path().string());
    std::ofstream(root / path) << text << "\n";
  };
  const std::string cpu = "sys/devices/system/cpu/cpu0/cpufreq/";
  put("sys/devices/system/cpu/online", "0");
  put(cpu + "scaling_max_freq", "2400000");
  put(cpu + "scaling_cur_freq", "2400000");
  put("sys/class/thermal/thermal_zone0/type", "cpu-thermal");
  put("sys/class/thermal/thermal_zone0/temp", "60000");
  metering::ThrottleWatch watch({0}, 90, root.path());
  EXPECT_FALSE(watch.throttled());
  put(cpu + "scaling_max_freq", "1800000");
  EXPECT_TRUE(watch.throttled());
  put(cpu + "scaling_max_freq", "2400000");
  put(cpu + "scaling_cur_freq", "1200000");
  EXPECT_TRUE(watch.throttled());
  put(cpu + "scaling_cur_freq", "2200000");
  EXPECT_FALSE(watch.throttled());
  put("sys/class/thermal/thermal_zone0/temp", "95000");
  EXPECT_TRUE(watch.throttled());
  testing::ScratchFolder empty;
  EXPECT_FALSE(metering::ThrottleWatch({}, 90, empty.path()).throttled());
}

TEST(Provenance, NamesTheMachineAndTheEngine) {
  const EngineFacts facts = testing::FakeEngine::default_facts();
  const Provenance run = collect_provenance(facts, {.precision = "low"}, "board-7");
  EXPECT_EQ(run.device, "board-7");
  EXPECT_EQ(run.facts.name, "fake");
  EXPECT_EQ(run.config.precision, "low");
  EXPECT_FALSE(run.mmt_version.empty());
  EXPECT_EQ(run.started_at.size(), 20u);
  EXPECT_FALSE(collect_provenance(facts, {}).device.empty());
}

}  // namespace
}  // namespace mmt
