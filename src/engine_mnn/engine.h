// The MNN engine: checks the loaded MNN once, then opens sessions.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine_mnn/session.h"
#include "mmt/engine.h"

namespace mmt::mnn {

class MnnEngine {
 public:
  /// Throws Error(kUnsupported) where the loaded MNN or the configuration cannot be served, kInvalidArgument.
  explicit MnnEngine(const EngineConfig& config);

  const EngineFacts& facts() const { return facts_; }
  std::unique_ptr<MnnSession> open(const std::string& path, const OpenOptions& options);
  /// Of this process, without what is kept for sessions to come.
  ProcessMemory memory() const;

 private:
  EngineConfig config_;
  EngineFacts facts_;
  SharedRuntime runtime_;
  std::optional<Model> anchor_;  // On other backends than the CPU: tells how much memory the open sessions hold.
  Shared shared_;
};

}  // namespace mmt::mnn
