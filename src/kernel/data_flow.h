// Which kernel reads what another one wrote, in a form that a table can keep.
#pragma once

#include <string>
#include <vector>

#include "mmt/engine.h"

namespace mmt {

/// PlannedKernel::tensors of every kernel of a session.
std::vector<std::string> data_flow(const SessionDesc& session);

}  // namespace mmt
