// What an earlier run left: finished items, known kernels, the level of its scale.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "mmt/meter.h"

namespace mmt::metering {

class EarlierRuns {
 public:
  /// Reads the journal's lines of one configuration; the last line of an item counts,
  /// but that of an unfinished measurement does not hide a finished one of the same file.
  EarlierRuns(const std::string& journal, const std::string& config_id);

  /// Removes the items that need not be measured again: the same file, finished, with enough samples. Failed ones stay
  /// removed unless `retry_failed`.
  std::vector<MeterItem> skip_done(const std::vector<MeterItem>& items, bool retry_failed) const;

  /// Kernels of which the finished ones among these items hold at least `min_times` samples. Rows of other models do
  /// not count (the table leaves out what the folder does not list), nor do rows that are about to be replaced.
  std::vector<std::string> known_kernels(const std::vector<MeterItem>& items, int min_times) const;

  /// Median of the item's hot runs on the common scale; 0 where it was not measured.
  double hot_us(const MeterItem& item) const;

 private:
  struct Row {
    std::string file_sha256, status;
    bool few = false, finished = true;
    double hot_us = 0;
    std::vector<std::pair<std::string, int>> kernels;  ///< Key and number of samples.
  };
  const Row* find(const MeterItem& item) const;

  std::map<std::pair<std::string, std::string>, Row> rows_;  ///< By fingerprint and context.
};

}  // namespace mmt::metering
