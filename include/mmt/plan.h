// Plans: the kernels that a whole model will execute, without running it.
//
// Two ways to one: `compose` puts a plan together from the table's operators (fast, needs a trace only), and
// `plan_from_schedule` takes the engine's own schedule of the converted model (exact).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mmt/kernel.h"
#include "mmt/table.h"
#include "mmt/trace.h"

namespace mmt {

/// One kernel of a plan. `signature.key` finds its row; where the table has none, the bytes and the text serve to
/// estimate it.
struct PlanKernel {
  KernelSignature signature;
  int node = -1;        ///< Index into ModelPlan::nodes: whose time it is.
  double mflops = 0;    ///< Where known; 0 otherwise.
  bool folded = false;  ///< Carries another operator's activation or scaling besides its own work.
  /// Kernels before it that wrote what it reads: indices into ModelPlan::kernels. Inputs of the model have none.
  std::vector<int> reads;
};

/// One operator or function of the model, for reports.
struct PlanNode {
  std::string module;       ///< Path in the model: "layers.0.conv".
  std::string name;         ///< Class or function.
  std::string fingerprint;  ///< Of the operator or glue; "" where the plan is exact.
  std::string arguments_json;
  std::vector<std::vector<std::int64_t>> input_shapes, output_shapes;
  /// "table", "table, packed", "folded into <module>", "merged", "free", "schedule", or "estimated: <reason>".
  std::string found;
};

/// Something that the table does not hold.
struct MissingRow {
  std::string what;    ///< Class or kernel type.
  std::string detail;  ///< Parameters and shapes, or the kernel's text.
  std::string cure;    ///< What to add, for example YAML lines.
  int node = -1;
};

struct ModelPlan {
  std::vector<PlanNode> nodes;
  std::vector<PlanKernel> kernels;  ///< In execution order.
  std::vector<MissingRow> missing;
  std::vector<std::string> doubts;  ///< Why the kernel list may differ from the engine's own schedule; empty: sure.
  bool exact = false;               ///< From the engine's schedule.
  std::int64_t weight_bytes = 0;
  std::int64_t file_bytes = 0;
  double memory_mib = 0;
  double mflops = 0;
  std::int64_t parameters = -1,
               flops = -1;  ///< Of an exact plan, where the model that it was made of told; -1: not known.
};

/// Composes a plan from the operators that `trace` kept closed and the glue between them.
///
/// Layouts are carried along the edges in the engine's own way: an operator is taken in the context ("plain",
/// "packed") in which its inputs arrive; conversions are charged once per tensor, and only where producer and consumer
/// really differ; activations and batch norms are folded into the convolution or binary operator before them where
/// nothing else reads that; neighbouring copies merge. Rows that the table lacks are listed in `missing` and estimated.
ModelPlan compose(const Trace& trace, LatencyTable& table);

/// An exact plan: every kernel of `plan`, each attributed to a node of its own type.
ModelPlan plan_from_schedule(const KernelPlan& plan, const SessionDesc& session);

}  // namespace mmt
