// Opening and running models on an engine that may refuse, crash or hang.
#pragma once

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

class Sessions {
 public:
  Sessions(Engine& engine, const Hooks& hooks, Clock& clock, std::vector<ItemState>& items)
      : engine_(engine), hooks_(hooks), clock_(clock), items_(items) {}

  /// Opens the item's session where there is none, plans its kernels and runs it once, uncounted.
  Outcome open(ItemState& state);
  /// Runs an open item. `samples` is filled where the outcome is ok.
  Outcome run(ItemState& state, int runs, Part part, RunSamples& samples);
  void close(ItemState& state);

  double engine_us() const { return engine_us_; }           ///< Inside runs of the engine so far.
  std::int64_t bytes_touched() const { return bytes_touched_; }

 private:
  Outcome failed(ItemState& state, const Error& error);
  void check(const ItemState& state, const RunRequest& request, const RunSamples& samples) const;

  Engine& engine_;
  const Hooks& hooks_;
  Clock& clock_;
  std::vector<ItemState>& items_;
  double engine_us_ = 0;
  std::int64_t bytes_touched_ = 0;
};

}  // namespace mmt::metering
