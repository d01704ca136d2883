// Reads MNN's schedule of a session: its commands, their tensors, and the copies of Raster commands.
#pragma once

#include "engine_mnn/model.h"

namespace mmt::mnn {

/// Lists the commands by "running" the session with callbacks that skip every command.
/// Throws Error(kEngine) where MNN refuses.
SessionDesc describe(const Model& model, const std::string& origin);

}  // namespace mmt::mnn
