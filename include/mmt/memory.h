// Size and memory of whole models, from the operators that a plan consists of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mmt/plan.h"
#include "mmt/table.h"
#include "mmt/trace.h"

namespace mmt {

/// Memory of one session, as the engine counts it (the figure that rows of the table hold as `memory_mib`).
struct MemoryEstimate {
  /// Whether the table holds what is needed: how the operators' kernels pass tensors on. Else `why` says what to do.
  bool known = false;
  std::string why;
  double session_mib = 0;  ///< weights_mib + activations_mib + unexplained_mib.
  double weights_mib = 0;  ///< Weights in the form in which the kernels want them.
  /// One pool for activations and the kernels' scratch, as large as its fullest moment needs.
  double activations_mib = 0;
  /// The most that weights and copies that rearrange them take while the model is loaded; -1: not known.
  double loading_mib = -1;
  /// Freed after loading, but not returned to the system by the process (as glibc does it); -1: not known.
  double holes_mib = -1;
  /// What the operators' own sessions took beyond what follows from their kernels, added up. A measure of trust: small
  /// where the engine's rules are known.
  double unexplained_mib = 0;
  /// What the weights asked for, one list per kernel that has any, in order: bytes that stay (positive), then bytes
  /// taken while they are rearranged and given back at its end (negative).
  std::vector<std::vector<std::int64_t>> weight_steps;
};

/// Weights in MiB of models whose steps are put together from parts: `parts` holds the steps of each slot's choices,
/// `rows` (row-major) one choice per slot. The engine's heap is followed over each model, so that pieces that one part
/// leaves are used by a later one. Throws Error(kInvalidArgument) for choices that do not exist.
std::vector<double> weights_mib(const std::vector<std::vector<std::vector<std::vector<std::int64_t>>>>& parts,
                                std::span<const std::int32_t> rows);

/// Size of a model, each part the sum over its operators.
struct SizeEstimate {
  std::int64_t parameters = 0;
  std::int64_t flops = 0;       ///< A multiply-add counts as two. Without the operators whose count is not known.
  std::int64_t file_bytes = 0;  ///< Of the converted model.
  int uncounted = 0;            ///< Operators whose operations are not known.
};

/// One node's part; `known` as above.
struct NodeSize {
  std::int64_t parameters = 0;
  std::int64_t flops = -1;       ///< -1: not known.
  std::int64_t file_bytes = -1;  ///< Of the operator's own file; -1: it has none.
  double session_mib = -1;       ///< Of the operator's own session, measured; -1: not measured.
};

/// Memory of the model that `plan` was composed for from `trace` (mmt/plan.h).
///
/// The kernels' data flow (KernelProfile::tensors) is put together from the operators, in the contexts that the plan
/// chose, and the engine's way of handing out memory is followed over it. What an operator's own session took beyond
/// the same account of itself is added once per operator.
MemoryEstimate estimate_memory(const Trace& trace, const ModelPlan& plan, LatencyTable& table);

/// What the account of one operator's own session says, beside the measured ContextRow::memory_mib.
MemoryEstimate explain_memory(const ContextRow& context, LatencyTable& table);

/// Size of the model that `plan` was composed for from `trace`.
SizeEstimate estimate_size(const Trace& trace, const ModelPlan& plan, LatencyTable& table);

/// Size of every node of the plan, in order.
std::vector<NodeSize> node_sizes(const Trace& trace, const ModelPlan& plan, LatencyTable& table);

}  // namespace mmt
