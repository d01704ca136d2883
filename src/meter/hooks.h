// What the meter needs besides an engine and a clock; tests and meter_folder() give their own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mmt/kernel.h"
#include "mmt/meter.h"
#include "mmt/meter_folder.h"
#include "mmt/truth.h"

namespace mmt::metering {

struct Hooks {
  /// The kernels of a model. Default: plan_kernels(path, session, kStubPrefix).
  std::function<KernelPlan(const std::string& path, const SessionDesc& session)> plan;
  /// True while the CPU runs slower than it could. Asked between stretches. Default: never.
  std::function<bool()> throttled;
  /// For ModelProfile::measured_at. Default: the system's time.
  std::function<std::string()> utc_now;
  /// Takes what is known of the open models, flagged "unfinished", every few seconds and where a run is interrupted:
  /// each model again when its visits have tripled. Default: nobody does.
  ProfileSink unfinished;
  /// Keys of kernels that are known well enough from before (not measured for their own sake).
  std::vector<std::string> known_kernels;
  /// Takes the place of MeterOptions::reference where it has a path: a reference with inputs of its own.
  MeterItem reference;
  /// Median of the reference model's hot runs in an earlier run that this one continues; 0: there is none.
  double reference_us = 0;
};

/// With the defaults of `plan` and `utc_now`.
Hooks complete(Hooks hooks);

/// meter() of mmt/meter.h with its surroundings given.
MeterResult meter_with(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& items,
                       const MeterOptions& options, Clock& clock, const ProfileSink& sink, const ProgressHook& progress,
                       const StopHook& stop);

/// meter_folder() and meter_models() of mmt/meter_folder.h with some of their surroundings given.
FolderReport meter_folder_with(const Hooks& hooks, const std::string& folder, Engine& engine,
                               const FolderOptions& options, Clock& clock, const ProgressHook& progress,
                               const StopHook& stop);
FolderReport meter_models_with(const Hooks& hooks, const std::vector<ModelFile>& models,
                               const std::string& journal_folder, Engine& engine, const FolderOptions& options,
                               Clock& clock, const ProgressHook& progress, const StopHook& stop);

/// measure_truth() of mmt/truth.h with its surroundings given: `plan` alone counts.
TruthReport measure_truth_with(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& models,
                               const std::vector<MeterItem>& companions, const TruthOptions& options, Clock& clock,
                               const ProgressHook& progress, const StopHook& stop);

}  // namespace mmt::metering
