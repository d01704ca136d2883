// Device and engine facts, for people and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mmt/engine.h"
#include "mmt/host.h"

namespace mmt::app {

/// What is known of the engine.
struct EngineProbe {
  std::optional<EngineFacts> facts;
  std::string error;  ///< Why there are none.
  std::vector<CodePath> code;
  std::vector<std::string> backends, missing_backends;  ///< Those that ran a small model here, and the others.
};

std::string describe_json(const HostFacts& host, const EngineProbe& engine);
std::string describe_text(const HostFacts& host, const EngineProbe& engine);

}  // namespace mmt::app
