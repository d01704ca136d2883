// Opening and running models on an engine that may refuse, crash or hang.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "meter/hooks.h"
#include "meter/item.h"
#include "mmt/error.h"

namespace mmt::metering {

/// What became of a request. `lost`: the worker died and was started again; the item may be tried once more.
struct Outcome {
  std::optional<std::string> failure;  ///< Reason for giving the item up.
  bool lost = false;
  bool ok() const { return !failure && !lost; }
};

enum class Purpose {
  kMeasuring,
  kOpening,  ///< The first run of all.
  kWarming,
  kFilling,  ///< To push others out of the cache.
};

/// Runs that were asked for.
struct Visiting {
  int item = -1;
  Part part = kPlain;
  int runs = 1;
  Purpose purpose = Purpose::kMeasuring;
};

class Sessions {
 public:
  /// Of `options`: what happens before runs.
  Sessions(Engine& engine, const Hooks& hooks, const MeterOptions& options, Clock& clock, std::vector<ItemState>& items)
      : engine_(engine),
        hooks_(hooks),
        clock_(clock),
        items_(items),
        displace_bytes_(options.displace_bytes),
        settling_runs_(options.settling_runs) {}

  /// Opens the item's session where there is none, plans its kernels and runs it once, uncounted.
  Outcome open(ItemState& state);
  /// Asks an open item for runs. They are made in the order in which they were asked for, while this program goes on;
  /// nothing else may be asked of the engine before all are finished.
  void start(const Visiting& visiting);
  bool any_started() const { return !started_.empty(); }
  /// True where so much is asked for already that the engine has no need to wait for the next request, also where this
  /// program does something else first, for so long.
  bool is_busy(std::chrono::nanoseconds meanwhile = {}) const;
  /// True where so much of that is unfinished that there is no need yet to ask for more.
  bool is_half_busy() const;
  /// True while the engine should have so much left to do that this program may do something else; always for an engine
  /// that works in this program's own time.
  bool has_time() const;
  /// Sleeps until the engine should be half through with what it was asked for or, `all`, near the end of it: the last
  /// answers are waited for, so that a wrong guess does not leave the engine idle. Reading an answer means work of this
  /// process beside the engine's next run; whatever shares a core, a cache or the memory with it makes that run slower.
  /// So answers are read many at a time, and most runs have the machine for themselves.
  void rest(bool all = false);
  /// Waits for the first of the started runs. `samples` is filled where the outcome is ok; where the worker was lost
  /// all started runs are forgotten.
  Visiting finish(RunSamples& samples, Outcome& outcome);
  /// Runs open items one after another, several times over (Engine::run_chain). Nothing where that failed; a worker
  /// that was lost with it is started again.
  std::optional<ChainSamples> run_chain(std::span<const int> items, int times);
  void close(ItemState& state);

  double engine_us() const { return engine_us_; }  ///< Inside runs of the engine so far.
  std::int64_t bytes_touched() const { return bytes_touched_; }

 private:
  struct Started {
    Visiting visiting;
    double expected_us = 0;
    std::chrono::nanoseconds end{0};  ///< When the engine should be through with it.
    std::optional<Error> error;       ///< Of the start itself.
  };
  void make_plan(ItemState& state);
  void lose_all();
  Outcome failed(ItemState& state, const Error& error);
  RunRequest request_of(const Visiting& visiting) const {
    // What a run finds in the caches is of no interest where its time is not; but the first one looks where its data
    // is.
    const bool as_inside = visiting.purpose == Purpose::kMeasuring || visiting.purpose == Purpose::kOpening;
    return {visiting.runs, visiting.part == kProfiled, as_inside ? displace_bytes_ : 0, settling_runs_};
  }
  void check(const ItemState& state, const RunRequest& request, const RunSamples& samples) const;

  Engine& engine_;
  const Hooks& hooks_;
  Clock& clock_;
  std::vector<ItemState>& items_;
  const std::int64_t displace_bytes_;
  const int settling_runs_;
  std::deque<Started> started_;
  double started_us_ = 0;               ///< Expected time of what is started.
  std::optional<double> resident_mib_;  ///< Of the engine's process, where nothing ran since it was asked.
  double engine_us_ = 0;
  std::int64_t bytes_touched_ = 0;
};

}  // namespace mmt::metering
