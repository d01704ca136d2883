// The state of one model during a run, and the kernels that models share.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "meter/samples.h"
#include "mmt/engine.h"
#include "mmt/kernel.h"
#include "mmt/meter.h"

namespace mmt::metering {

/// Of cold times predictions take only a part of what they are beyond hot ones, and the first run after others scatters
/// several times as much as those that follow.
inline constexpr double kColdSlack = 4;

/// One kernel signature, pooled over all models that contain it.
struct SharedKernel {
  Quantity cold{kColdSlack}, hot;
  int open_models = 0;  ///< Unfinished models that contain it.
  int covered_round = -1;

  bool wanted(const Precision& precision) const { return cold.wanted(precision) || hot.wanted(precision); }
};

class KernelPool {
 public:
  /// Index of the kernel; a new one where the key is not known yet.
  int add(const std::string& key) {
    const auto [place, is_new] = indices_.try_emplace(key, static_cast<int>(kernels_.size()));
    if (is_new) kernels_.emplace_back();
    return place->second;
  }
  SharedKernel& operator[](int index) { return kernels_[static_cast<std::size_t>(index)]; }
  const SharedKernel& operator[](int index) const { return kernels_[static_cast<std::size_t>(index)]; }
  int size() const { return static_cast<int>(kernels_.size()); }
  std::vector<SharedKernel>& all() { return kernels_; }

 private:
  std::unordered_map<std::string, int> indices_;
  std::vector<SharedKernel> kernels_;
};

enum class Phase { kWaiting, kOpen, kFinished };

/// The two parts of a visit.
enum Part { kPlain = 0, kProfiled = 1 };

struct ItemState {
  const MeterItem* item = nullptr;
  bool reported = true;  ///< False: only a reference, it gives no profile.
  Phase phase = Phase::kWaiting;
  std::unique_ptr<Session> session;  ///< Null also where the worker was lost; opened again when it is needed.
  KernelPlan plan;
  bool planned = false;
  std::vector<int> keys;                       ///< Into the pool, by kernel; -1: not wanted (stubs).
  Quantity total_cold{kColdSlack}, total_hot;  ///< Plain runs.
  std::vector<std::vector<Sample>> cold, hot;  ///< The model's own samples, by kernel.
  int rows[4] = {-1, -1, -1, -1};              ///< Of the drift fit: part × (cold, hot).
  int crashes = 0;
  bool failed = false;           ///< Given up: never opened again.
  bool on_cpu = false;           ///< In part, although another backend was asked for.
  double cost_us[2] = {0, 0};    ///< Wall time per run, by part.
  int cost_answers[2] = {0, 0};  ///< Visits that these rest on.
  double memory_mib = 0, resident_mib = 0, peak_mib = 0, mflops = 0;
  std::int64_t bytes_touched = 0;    ///< By one run, roughly.
  std::int64_t touched_before = -1;  ///< What all models had touched when this one last ran.
  int rounds = 0, last_round = -1;
  int visits = 0, migrated_visits = 0;
  int kept_visits = -1;      ///< Visits when its unfinished state was given away last; -1: never.
  std::vector<int> columns;  ///< In which it was visited, in order, each once.

  void drop_column(int column) {
    total_cold.drop_column(column);
    total_hot.drop_column(column);
    for (auto* side : {&cold, &hot}) {
      for (auto& samples : *side) std::erase_if(samples, [column](const Sample& s) { return s.column == column; });
    }
    std::erase(columns, column);
  }
};

}  // namespace mmt::metering
