// Proves on a tiny model that the loaded MNN is the one that our declarations describe: numbers, kernels, layouts,
// copies.
#pragma once

#include "engine_mnn/host_probe.h"
#include "engine_mnn/model.h"
#include "mmt/engine.h"

namespace mmt::mnn {

struct Shared;

struct SelfTestResult {
  int threads = 1;      ///< Effective.
  std::string backend;  ///< Effective.
};

/// Throws Error(kUnsupported) that says what was expected and what came.
SelfTestResult self_test(const EngineConfig& config, SharedRuntime& runtime, Shared& shared);
/// The tiny model alone.
Model self_test_model(const EngineConfig& config, SharedRuntime& runtime);

}  // namespace mmt::mnn
