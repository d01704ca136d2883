// Predictions: from a plan and a table to microseconds, with an interval and a breakdown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mmt/cold_curve.h"
#include "mmt/plan.h"
#include "mmt/table.h"

namespace mmt {

/// The time of one kernel of a prediction.
struct KernelCost {
  double us = 0;
  double se_us = 0;  ///< Standard error from the table's own noise.
  double hot_us = 0, cold_us = 0;
  bool rereads = false;    ///< Pays what is cold of it by ColdShare::again.
  double memory_us = 0;    ///< What it takes longer where the memory that it is the first to use is cold.
  double return_us = 0;    ///< Part of `us`: reading tensors again that were last used long before.
  bool estimated = false;  ///< No row in the table.
};

/// Sums that stay the same when plans are put together: what a search space adds up per choice.
struct PlanSums {
  double hot_us = 0;  ///< Σ hot, and of reading tensors again that were last used long before.
  /// Σ of what is cold inside a model too: of kernels, their overhead, the memory that they are the first to use, and
  /// the run's.
  double cold_extra_us = 0;
  /// The same of kernels that read weights several times in a run (rereads_weights), which stay in the caches longer.
  double reread_extra_us = 0;
  double kernels = 0;          ///< Number of kernels.
  double footprint_bytes = 0;  ///< Bytes that one run touches: weights once, a part of the activations.
  double variance_us2 = 0;     ///< Σ se².
  double estimated_us = 0;     ///< Part of the sum that has no row, or hangs on the values that it is computed from.
};

struct Prediction {
  double latency_us = 0;
  double low_us = 0, high_us = 0;  ///< 95 % interval.
  double run_overhead_us = 0;      ///< Part of latency_us: once per run.
  double kernel_overhead_us = 0;   ///< Part of latency_us: all kernels' own overheads.
  double cold_share = 0;           ///< λ: how far between hot (0) and cold (1) the kernels were taken.
  double reread_share = 0;         ///< The same of kernels that read weights several times.
  PlanSums sums;
  std::vector<KernelCost> kernels;  ///< One per plan kernel.
  std::vector<double> node_us;      ///< One per plan node.
  std::string flags;                ///< Noise flags of the rows that were used, "estimated", "unsure", "values", ….
};

/// λ of a run.
struct ColdShare {
  double once = 0;   ///< Of what it reads once.
  double again = 0;  ///< Of weights that it reads several times (rereads_weights).
};

/// What turns sums into a latency: constants of the table, and the two shares that intervals are made of.
struct CostModel {
  double run_overhead_us = 0, kernel_overhead_us = 0;  ///< Hot.
  /// What a cold run and a cold kernel add to these; part of PlanSums::cold_extra_us.
  double cold_run_extra_us = 0, cold_kernel_extra_us = 0;
  double cold_us_per_byte = 0;  ///< Of memory that has left the caches.
  ColdCurve cold;               ///< Of the table's chains of operators.
  int threads = 1;
  /// Systematic part of the interval, as a share of the latency (docs/design.md, "Intervals").
  double model_share = 0.0125;
  /// Share of an estimated kernel's time that its interval spans to each side.
  double estimate_share = 0.5;

  static CostModel from(const ConfigRow& config);
  /// What a run takes that is half cold: a sum, unlike the latency.
  double usual_us(const PlanSums& sums) const;
  static constexpr double kUsuallyCold = 0.5;
  static constexpr double kUsuallyRereadCold = 0.25;  ///< The same of kernels that read weights several times.
  /// λ depends on the time that others have to fill the caches, and that on λ: so often it is worked out again with the
  /// time that follows from the last one, from usual_us on.
  static constexpr int kShareSteps = 3;
  /// What a run with these λ takes beyond usual_us, in microseconds. Extras: as of PlanSums.
  static constexpr double beyond_usual_us(const ColdShare& share, double cold_extra_us, double reread_extra_us) {
    return (share.once - kUsuallyCold) * cold_extra_us + (share.again - kUsuallyRereadCold) * reread_extra_us;
  }
  /// So worked out. `share_of`: a ColdShare from bytes, own ones and others'; `usual_bytes`: with others' in usual_us.
  template <typename ShareOf>
  static ColdShare settled_share(const ShareOf& share_of, double usual_bytes, double others_bytes_per_us,
                                 double cold_extra_us, double reread_extra_us) {
    ColdShare share = share_of(usual_bytes);
    for (int step = 0; step < kShareSteps && others_bytes_per_us > 0; ++step) {
      const double beyond_us = beyond_usual_us(share, cold_extra_us, reread_extra_us);
      share = share_of(usual_bytes + others_bytes_per_us * beyond_us);
    }
    return share;
  }
  /// λ of a run: of its own bytes, and of those that others touch meanwhile.
  ColdShare cold_share(const PlanSums& sums) const;
  double latency_us(const PlanSums& sums) const;
  /// What a kernel adds to a run of a model where nothing stays in the caches, in microseconds, its overhead included;
  /// a run pays λ of it. `hot_us`, `cold_us`: of its row.
  double cold_extra_us(double hot_us, double cold_us) const;
  /// What writing to so many bytes takes beyond hot where they have left the caches, in microseconds.
  double writing_us(double bytes) const;
  /// What reading a tensor again takes beyond hot, in microseconds, after the run touched `since_bytes` in `since_us`.
  double return_us(double tensor_bytes, double since_bytes, double since_us) const;
  /// rereads_weights(), remembered.
  bool rereads(const KernelSignature& kernel) const;
  /// What a kernel adds to the bytes that a run touches.
  double footprint_bytes(const KernelSignature& kernel) const;
  double half_width_us(const PlanSums& sums) const;
};

/// Predicts `plan` from `table`. Deterministic; touches only the rows that the plan names.
Prediction predict(const ModelPlan& plan, LatencyTable& table);

}  // namespace mmt
