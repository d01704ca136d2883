#include "mmt/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "meter/scratch_folder.h"
#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/hash.h"
#include "mmt/profile_fields.h"

namespace mmt {
namespace {

using ::testing::HasSubstr;

Provenance some_run() {
  Provenance run;
  run.device = "board-7";
  run.cpu = "Some CPU";
  run.config.cpus = {4, 5};
  run.facts.name = "fake";
  run.facts.version = "1.0";
  run.seed = 18446744073709551615u;
  return run;
}

ModelProfile some_profile(int number) {
  ModelProfile profile;
  profile.fingerprint = "f" + std::to_string(number);
  profile.context = "plain";
  profile.cold = {.count = 9, .mean_us = 12.5, .median_us = 12.25 + number, .expected_us = 12.5};
  profile.hot.noisy = true;
  KernelProfile kernel;
  kernel.kernel.signature.type = "Convolution";
  kernel.kernel.signature.text = "Convolution{} [1] -> [1]";
  kernel.kernel.signature.key = "00ff";
  kernel.kernel.role = KernelRole::kOutputConvert;
  kernel.kernel.port = 0;
  kernel.hot.median_us = 3.00004;
  profile.kernels = {kernel, KernelProfile{}};
  profile.inputs.push_back({.shape = {1, 3, 8, 8}, .dtype = "float32", .layout = Layout::kNc4hw4});
  profile.flags = "noisy,few";
  profile.file_bytes = 1234567890123;
  return profile;
}

std::vector<JournalEntry> read_all(const std::string& path, JournalReport* report = nullptr) {
  std::vector<JournalEntry> entries;
  const JournalReport got = read_journal(path, [&](const JournalEntry& entry) { entries.push_back(entry); });
  if (report != nullptr) *report = got;
  return entries;
}

TEST(Journal, GivesBackWhatChainsTold) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  const CacheCurve curve{{4e6, 8e6}, {400, 900}, {1.5, 20}, {100, 100}, {3, 4.5}, {10, 9}};
  {
    JournalWriter writer(path, some_run());
    writer.append(some_profile(1));
    writer.append(CacheCurve{});
    writer.append(curve);
  }
  std::vector<JournalCache> caches;
  const JournalReport report = read_journal(
      path, [](const JournalEntry&) {}, [&](const JournalCache& cache) { caches.push_back(cache); });
  EXPECT_EQ(report.dropped, 0);
  ASSERT_EQ(caches.size(), 1u) << "an empty curve is no line";
  EXPECT_EQ(caches[0].curve, curve);
  EXPECT_EQ(caches[0].config_id, some_run().config_id());
  EXPECT_EQ(read_all(path).size(), 1u);
}

TEST(Journal, PassesOverChainsOfEarlierVersionsThatHaveNoTime) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  {
    JournalWriter writer(path, some_run());
    writer.append(CacheCurve{{4e6}, {400}, {1.5}, {100}});
  }
  std::string text = read_file(path);
  const std::string time = "\"loop_us\":[400.0],", sum = ",\"sum\":\"";
  const std::size_t line = text.rfind('\n', text.size() - 2) + 1;
  ASSERT_NE(text.find(time, line), std::string::npos);
  text.erase(text.find(time, line), time.size());
  const std::size_t seal = text.rfind(sum);
  text = text.substr(0, seal) + sum + sha256_hex(text.substr(line, seal - line)).substr(0, 16) + "\"}\n";
  std::ofstream(path) << text;
  std::vector<JournalCache> caches;
  const JournalReport report = read_journal(
      path, [](const JournalEntry&) {}, [&](const JournalCache& cache) { caches.push_back(cache); });
  EXPECT_EQ(report.dropped, 0);
  EXPECT_TRUE(caches.empty());
}

TEST(Journal, ProfilesOfEarlierVersionsHaveTheirMeanHeldNearTheMedian) {
  testing::ScratchFolder folder;
  ModelProfile profile = some_profile(1);
  profile.cold = {.count = 9, .mean_us = 30, .median_us = 20};
  profile.kernels[0].hot = {.count = 9, .mean_us = 3.1, .median_us = 3};
  {
    JournalWriter writer(folder / "latency.jsonl", some_run());
    writer.append(profile);
  }
  const auto entries = read_all(folder / "latency.jsonl");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_DOUBLE_EQ(entries[0].profile.cold.expected_us, 22);
  EXPECT_DOUBLE_EQ(entries[0].profile.kernels[0].hot.expected_us, 3.1);
  EXPECT_EQ(entries[0].profile.hot.expected_us, 0) << "no samples";
}

TEST(Journal, GivesBackWhatWasWritten) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  EXPECT_TRUE(read_all(path).empty());
  {
    JournalWriter writer(path, some_run());
    writer.append(some_profile(1));
    writer.append(some_profile(2));
  }
  JournalReport report;
  const auto entries = read_all(path, &report);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(report.lines, 3);
  EXPECT_EQ(report.dropped, 0);
  EXPECT_EQ(provenance_json(entries[1].run), provenance_json(some_run()));
  EXPECT_EQ(entries[1].run.config_id(), some_run().config_id());
  EXPECT_EQ(profile_json(entries[1].profile), profile_json(some_profile(2)));
  const ModelProfile& profile = entries[1].profile;
  EXPECT_DOUBLE_EQ(profile.cold.median_us, 14.25);
  EXPECT_DOUBLE_EQ(profile.kernels[0].hot.median_us, 3.0);  // Kept to a tenth of a nanosecond.
  EXPECT_EQ(profile.kernels[0].kernel.role, KernelRole::kOutputConvert);
  EXPECT_EQ(profile.kernels[0].kernel.port, 0);
  EXPECT_EQ(profile.kernels[1].kernel.port, -1);
  EXPECT_EQ(profile.inputs[0].layout, Layout::kNc4hw4);
  EXPECT_EQ(profile.file_bytes, 1234567890123);
  EXPECT_TRUE(profile.hot.noisy);
}

TEST(Journal, TornAtAnyByteKeepsEveryWholeLineAndGoesOn) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl", torn = folder / "torn.jsonl";
  {
    JournalWriter writer(path, some_run());
    for (int i = 0; i < 3; ++i) writer.append(some_profile(i));
  }
  const std::string whole = read_file(path);
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::string left = whole.substr(0, size);
    const auto lines = static_cast<std::size_t>(std::count(left.begin(), left.end(), '\n'));
    const std::size_t profiles = lines == 0 ? 0 : lines - 1;
    std::ofstream(torn, std::ios::binary) << left;
    ASSERT_EQ(read_all(torn).size(), profiles) << "cut at byte " << size;
    {
      JournalWriter writer(torn, some_run());
      writer.append(some_profile(9));
    }
    JournalReport report;
    const auto entries = read_all(torn, &report);
    ASSERT_EQ(entries.size(), profiles + 1) << "cut at byte " << size;
    ASSERT_EQ(entries.back().profile.fingerprint, "f9");
    ASSERT_EQ(report.dropped, 0) << "cut at byte " << size;
  }
}

TEST(Journal, AnyDamagedByteLosesOnlyItsLine) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  {
    JournalWriter writer(path, some_run());
    for (int i = 0; i < 3; ++i) writer.append(some_profile(i));
  }
  const std::string whole = read_file(path);
  const std::size_t first = whole.find('\n') + 1, second = whole.find('\n', first) + 1;
  for (std::size_t at = first; at + 1 < second; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    if (damaged[at] == '\n') continue;
    std::ofstream(path, std::ios::binary) << damaged;
    JournalReport report;
    const auto entries = read_all(path, &report);
    ASSERT_EQ(entries.size(), 2u) << "byte " << at;
    EXPECT_EQ(report.dropped, 1);
    EXPECT_THAT(report.first_drop, HasSubstr("line 2: "));
  }
}

TEST(Journal, ProfilesAreNeverTakenForAnotherRuns) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  Provenance other = some_run();
  other.config.precision = "low";
  JournalWriter(path, some_run()).append(some_profile(1));
  JournalWriter(path, other).append(some_profile(2));
  ASSERT_EQ(read_all(path).size(), 2u);
  // Damage the second run's first line: its profile must not be read as one of the first run.
  std::string text = read_file(path);
  text[text.rfind("\"type\":\"run\"") + 3] = 'X';
  std::ofstream(path, std::ios::binary) << text;
  JournalReport report;
  EXPECT_EQ(read_all(path, &report).size(), 1u);
  EXPECT_EQ(report.dropped, 2);
}

TEST(Journal, TwoWritersAreRefused) {
  testing::ScratchFolder folder;
  JournalWriter first(folder / "latency.jsonl", some_run());
  EXPECT_THROW(JournalWriter(folder / "latency.jsonl", some_run()), Error);
}

TEST(Journal, ANewerFormatIsNotGuessedAt) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  { JournalWriter writer(path, some_run()); }
  const std::string text = read_file(path);
  EXPECT_THAT(text, HasSubstr("\"type\":\"run\",\"format\":1,"));
}

TEST(Journal, AReasonThatIsNoTextIsKept) {
  testing::ScratchFolder folder;
  const std::string path = folder / "latency.jsonl";
  ModelProfile profile;
  profile.status = "failed";
  profile.reason = "engine: \xff\xfe\n said so";
  JournalWriter(path, some_run()).append(profile);
  ASSERT_EQ(read_all(path).size(), 1u);
  EXPECT_THAT(read_all(path)[0].profile.reason, HasSubstr("said so"));
}

TEST(Provenance, IdentityChangesWithWhatChangesTimes) {
  const std::string id = some_run().config_id();
  Provenance same = some_run();
  same.started_at = "later";
  same.seed = 3;
  same.governor = "performance";
  EXPECT_EQ(same.config_id(), id);
  Provenance threads = some_run();
  threads.facts.threads = 2;
  EXPECT_NE(threads.config_id(), id);
  Provenance cpus = some_run();
  cpus.config.cpus = {45};
  EXPECT_NE(cpus.config_id(), id);
  Provenance build = some_run();
  build.facts.build = "sdk";
  EXPECT_NE(build.config_id(), id);
  Provenance inside = some_run();
  inside.displace_bytes = 1 << 20;
  EXPECT_NE(inside.config_id(), id);
  Provenance more = inside;
  more.displace_bytes = 2 << 20;
  EXPECT_EQ(more.config_id(), inside.config_id()) << "how the caches are told is no other machine";
}

TEST(ProfileFields, NamesAreUniqueAndCarryTheirUnits) {
  std::vector<std::string_view> names;
  for_each_field<ModelProfile>([&](const auto& field) { names.push_back(field.name); });
  for_each_field<Summary>([&](const auto& field) {
    if (field.unit == "us") EXPECT_TRUE(field.name.ends_with("_us")) << field.name;
  });
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace mmt
