// Exact plans and their storage.
#pragma once

#include <string>
#include <string_view>

#include "mmt/engine.h"
#include "mmt/plan.h"

namespace mmt {

/// Opens a whole model and reads its schedule; nothing is executed. `file_bytes` of the plan is the file's size.
/// Throws what Engine::open and plan_kernels throw.
ModelPlan exact_plan(Engine& engine, const std::string& model_path, const OpenOptions& options = {});

/// JSON text of a plan, for caches; `read_plan(write_plan(p))` gives `p` again. Throws Error(kParse).
std::string write_plan(const ModelPlan& plan);
ModelPlan read_plan(std::string_view json_text);

}  // namespace mmt
