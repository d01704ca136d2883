// The meter: measures a batch of models in random-order rounds (protocol: docs/design.md, "Measuring protocol").
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mmt/cache_curve.h"
#include "mmt/clock.h"
#include "mmt/engine.h"
#include "mmt/profile.h"

namespace mmt {

struct MeterItem {
  std::string fingerprint;
  std::string context = "plain";
  std::string path;  ///< Absolute path of the `.mnn`.
  OpenOptions open;
  std::int64_t file_bytes = 0;
  std::string file_sha256;
  std::string label;       ///< For progress and errors: "torch.nn.Conv2d [1,64,56,56]".
  bool need_total = true;  ///< False: only its kernels are wanted (packed context); then kernels that others measure
                           ///< already are not measured again.
};

/// Runs between a visit's cold one and its hot ones that do not count: after the first run of a convolution of a
/// megabyte of weights the second was seen to take 1.3 times, the third 1.1 times as long as those after the fourth.
inline constexpr int kSettlingRuns = 3;

struct MeterOptions {
  int times = 100;          ///< At most this many samples of a quantity.
  int min_times = 8;        ///< At least this many before a quantity may stop.
  double target_ci = 0.01;  ///< Stop when the half-width of the median's 95 % interval is below this share of it.
  int hot_runs = 3;         ///< Hot runs per visit.
  int settling_runs = kSettlingRuns;   ///< Before them, per visit.
  std::chrono::nanoseconds budget{0};  ///< 0: none.
  std::uint64_t seed = 1;
  double max_steal = 0.02;  ///< A round with more is measured again, at most `max_retries` times.
  int max_retries = 3;
  std::int64_t batch_memory_mib = 2048;  ///< Sessions held open at once.
  bool share_kernels = true;             ///< Kernels with equal signatures share their samples' stopping rule.
  /// A `.mnn` that is run in every round to tie the rounds together; empty: the first item that runs.
  std::string reference;
  /// Bytes that other models must touch before a run counts as cold, as far as the models of a batch suffice for that.
  /// 0: another model's run is enough.
  std::int64_t evict_bytes = 0;
  /// RunRequest::displace_bytes of all runs. 0: none.
  std::int64_t displace_bytes = 0;
  /// Size of the largest cache, whose pressure is measured with chains of models (mmt/cache_curve.h). 0: is not
  /// measured.
  std::int64_t cache_bytes = 0;
  /// Where the CPU throttles: wait at most this long for it to recover. 0: go on and flag the rows.
  std::chrono::nanoseconds cooldown{0};

  int runs_per_visit() const { return 1 + (hot_runs > 0 ? settling_runs + hot_runs : 0); }
};

struct MeterProgress {
  int done = 0, total = 0, failed = 0;
  double noise = 0;  ///< Current median half-width of the open quantities' intervals, as a share.
  double elapsed_s = 0, left_s = 0;
  double engine_share = 0;  ///< Share of the wall time inside timed or warming runs of the engine.
  std::string current;      ///< Label.
};

struct MeterResult {
  int measured = 0, failed = 0, skipped = 0;
  bool interrupted = false, budget_ended = false;
  double wall_s = 0, engine_share = 0;
  int rounds = 0;
  std::int64_t kernels_total = 0,
               kernels_shared = 0;  ///< Kernels met, and those of them that another model had already.
  CacheCurve cache;                 ///< Empty where it was not measured.
};

using ProgressHook = std::function<void(const MeterProgress&)>;
using StopHook = std::function<bool()>;                        ///< True: finish what is running and return.
using ProfileSink = std::function<void(const ModelProfile&)>;  ///< Called once per finished item, ok or failed.

/// Measures `items` on `engine`; every finished item goes to `sink` at once, an interrupted one not at all
/// (meter_folder() writes down what is known of it, flagged "unfinished"). With a
/// budget, what is not finished when it ends goes to `sink` with the flag "few" if it has samples of everything that it
/// needs. Does not throw for a failing item: that becomes one profile with status "failed". Throws
/// Error(kInvalidArgument) for options that make no sense, what `sink` throws, and what the engine's restart throws
/// where it cannot be started again. The same items, options and engine answers give the same order of runs.
MeterResult meter(Engine& engine, const std::vector<MeterItem>& items, const MeterOptions& options, Clock& clock,
                  const ProfileSink& sink, const ProgressHook& progress = {}, const StopHook& stop = {});

/// "90", "90s", "1.5m", "2h" or "250ms" as a duration; a bare number counts seconds. Throws Error(kInvalidArgument).
std::chrono::nanoseconds parse_duration(const std::string& text);

}  // namespace mmt
