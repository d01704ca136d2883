#include "meter/resume.h"

#include "mmt/journal.h"
#include "mmt/log.h"

namespace mmt::metering {
EarlierRuns::EarlierRuns(const std::string& journal, const std::string& config_id) {
  const JournalReport report = read_journal(journal, [&](const JournalEntry& entry) {
    if (entry.config_id != config_id) return;
    const ModelProfile& profile = entry.profile;
    const bool unfinished = has_flag(profile.flags, "unfinished");
    const bool few = unfinished || has_flag(profile.flags, "few");
    Row row{profile.file_sha256, profile.status, few, !unfinished, profile.hot.median_us, {}};
    for (const KernelProfile& kernel : profile.kernels) {
      if (kernel.kernel.role != KernelRole::kStub)
        row.kernels.emplace_back(kernel.kernel.signature.key, kernel.cold.count);
    }
    const auto [place, fresh] = rows_.try_emplace({profile.fingerprint, profile.context}, row);
    const bool hides = place->second.finished && place->second.file_sha256 == row.file_sha256;
    if (!fresh && (row.finished || !hides)) place->second = std::move(row);
  });
  if (report.dropped > 0) {
    log(LogLevel::kWarning, journal + ": " + std::to_string(report.dropped) +
                                " lines are damaged and count as not measured; the first: " + report.first_drop);
  }
}

const EarlierRuns::Row* EarlierRuns::find(const MeterItem& item) const {
  const auto found = rows_.find({item.fingerprint, item.context});
  if (found == rows_.end() || found->second.file_sha256 != item.file_sha256) return nullptr;
  return &found->second;
}

std::vector<MeterItem> EarlierRuns::skip_done(const std::vector<MeterItem>& items, bool retry_failed) const {
  std::vector<MeterItem> left;
  for (const MeterItem& item : items) {
    const Row* row = find(item);
    const bool done = row != nullptr && (row->status == "ok" ? !row->few : !retry_failed);
    if (!done) left.push_back(item);
  }
  return left;
}

std::vector<std::string> EarlierRuns::known_kernels(const std::vector<MeterItem>& items, int min_times) const {
  std::map<std::string, int> samples;
  for (const MeterItem& item : items) {
    const Row* row = find(item);
    if (row == nullptr || row->status != "ok" || row->few) continue;
    for (const auto& [key, count] : row->kernels) samples[key] += count;
  }
  std::vector<std::string> keys;
  for (const auto& [key, count] : samples) {
    if (count >= min_times) keys.push_back(key);
  }
  return keys;
}

double EarlierRuns::hot_us(const MeterItem& item) const {
  const Row* row = find(item);
  return row != nullptr && row->status == "ok" ? row->hot_us : 0;
}

}  // namespace mmt::metering
