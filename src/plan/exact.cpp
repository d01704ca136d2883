#include "mmt/exact.h"

#include <filesystem>

namespace mmt {

ModelPlan exact_plan(Engine& engine, const std::string& model_path, const OpenOptions& options) {
  check_model_file(model_path);
  const auto session = engine.open(model_path, options);
  ModelPlan plan = plan_from_schedule(plan_kernels(model_path, session->desc(), ""), session->desc());
  std::error_code ignored;  // A size that cannot be read is reported as 0; the model itself was just opened.
  const auto size = std::filesystem::file_size(model_path, ignored);
  plan.file_bytes = ignored ? 0 : static_cast<std::int64_t>(size);
  return plan;
}

}  // namespace mmt
