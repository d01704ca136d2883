// The truth that predictions are judged by: whole models, run the way a user runs them.
#pragma once

#include <string>
#include <vector>

#include "mmt/cache_curve.h"
#include "mmt/clock.h"
#include "mmt/engine.h"
#include "mmt/meter.h"

namespace mmt {

struct TruthOptions {
  int rounds = 24;    ///< Visits of each model.
  int runs = 2;       ///< Timed back-to-back runs per visit: those of one visit resemble each other, visits tell more.
  int warm_runs = 5;  ///< Runs before them that are not counted, at least: until a model's data lies where it stays.
  std::uint64_t seed = 1;
  double max_steal = 0.02;  ///< A visit with more is made again, at most `max_retries` times.
  int max_retries = 3;
  bool profile = false;             ///< Also the times of each kernel inside the model.
  std::int64_t displace_bytes = 0;  ///< RunRequest::displace_bytes of companions' runs.
  std::int64_t cache_bytes = 0;     ///< As in MeterOptions: chains of companions, run among the models.
};

/// One model's truth. The halves (even and odd rounds, on one drift scale) tell the noise floor.
struct Truth {
  std::string fingerprint;
  std::string label;
  std::string reason;  ///< Not empty: it could not be measured, and why.
  Summary total;       ///< Of the visits' medians.
  double half_a_us = 0, half_b_us = 0;
  double memory_mib = 0;
  double resident_mib = 0;
  std::vector<KernelProfile> kernels;  ///< With `profile`: hot summaries inside the model.
};

/// A kernel of the companions, on the scale of the same rounds.
struct FreshKernel {
  std::string key;
  Summary cold, hot;
};

struct TruthReport {
  std::vector<Truth> models;
  std::vector<FreshKernel> kernels;  ///< One per signature.
  CacheCurve cache;                  ///< What chains of the companions told; empty where there were none.
  std::vector<double> drift;         ///< Factor on all times, of one stretch of the run after the other; median 1.
};

/// Measures `models` in rounds of random order on fresh input. Every model keeps its own session open meanwhile.
/// `companions`: operators that are visited in the same rounds, cold and hot, kernel by kernel, so that a table and the
/// truth share one drift scale. A model or operator that fails is reported or left out; the others go on.
TruthReport measure_truth(Engine& engine, const std::vector<MeterItem>& models,
                          const std::vector<MeterItem>& companions, const TruthOptions& options, Clock& clock,
                          const ProgressHook& progress = {}, const StopHook& stop = {});

}  // namespace mmt
