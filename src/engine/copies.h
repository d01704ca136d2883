// Copies between an engine's backends, which the engine makes without listing them.
#pragma once

#include "mmt/engine.h"

namespace mmt {

/// Gives copies (kCopyType), of which the engine tells only what reads them, their sources: the latest tensor of that
/// shape and type, preferably one that no kernel reads. What has no source was no copy (constant data that a kernel
/// keeps for itself): it is taken out of the session, and so is a kernel that copies nothing then.
void name_copies(SessionDesc& session);

}  // namespace mmt
