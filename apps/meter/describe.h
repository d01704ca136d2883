// Device and engine facts, for people and as JSON.
#pragma once

#include <string>

#include "mmt/engine.h"
#include "mmt/host.h"

namespace mmt::app {

/// `engine` may be null: then `engine_error` says why.
std::string describe_json(const HostFacts& host, const EngineFacts* engine, const std::string& engine_error);
std::string describe_text(const HostFacts& host, const EngineFacts* engine, const std::string& engine_error);

}  // namespace mmt::app
