// The messages of a run: thousands a second pass between a worker's parent and child, where making and reading JSON
// would take as long as a small model runs. Their frames have no header; both ends are the same program.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "engine/frame.h"
#include "mmt/engine.h"

namespace mmt {

struct RunCall {
  std::int64_t session = 0;
  RunRequest request;
};

struct RunAnswer {
  std::uint64_t runs = 0, kernels = 0;  ///< Numbers of doubles and floats that follow.
  double timed_us = 0, overhead_us = 0, steal_share = 0;
  std::int64_t migrations = 0;
};

static_assert(std::is_trivially_copyable_v<RunCall> && std::is_trivially_copyable_v<RunAnswer>);

inline Frame run_call(std::int64_t session, const RunRequest& request) {
  const RunCall call{session, request};
  Frame frame;
  frame.append(std::span(&call, 1));
  return frame;
}

inline RunCall read_run_call(const Frame& frame) { return PayloadReader(frame.payload).take<RunCall>(1).front(); }

inline Frame run_answer(const RunSamples& samples) {
  const RunAnswer answer{samples.run_us.size(), samples.kernel_us.size(), samples.timed_us,
                         samples.overhead_us,   samples.steal_share,      samples.migrations};
  Frame frame;
  frame.append(std::span(&answer, 1));
  frame.append(std::span<const double>(samples.run_us));
  frame.append(std::span<const float>(samples.kernel_us));
  return frame;
}

/// Throws Error(kParse) where the frame is no such answer.
inline RunSamples read_run_answer(const Frame& frame) {
  PayloadReader reader(frame.payload);
  const auto answer = reader.take<RunAnswer>(1).front();
  RunSamples samples;
  samples.run_us = reader.take<double>(answer.runs);
  samples.kernel_us = reader.take<float>(answer.kernels);
  samples.timed_us = answer.timed_us;
  samples.overhead_us = answer.overhead_us;
  samples.steal_share = answer.steal_share;
  samples.migrations = static_cast<int>(answer.migrations);
  return samples;
}

}  // namespace mmt
