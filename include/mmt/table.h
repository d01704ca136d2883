// The latency table: an SQLite file that the journal(s) and the manifest are folded into. Schema: docs/formats.md.
//
// Opening reads nothing but the schema version; rows are fetched by key when they are asked for and kept in a small
// cache, so the cost of a prediction does not depend on the size of the table. One object may be used by several
// threads at once (each gets its own connection); the file is never written through it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mmt/cache_curve.h"
#include "mmt/profile.h"

namespace mmt {

/// Name of the table within a folder.
inline constexpr const char* kTableName = "latency.db";

/// A kernel's time under one configuration, pooled over all operators that contain it (precision-weighted medians).
/// Whole models ("model" in the manifest) and what a manifest does not list are never pooled: they stay independent of
/// what predicts them.
/// On backends whose kernels cannot be timed the table holds whole runs of operators ("plain") as kernels of this type,
/// keyed by the operator's fingerprint; a model is then the sum of its operators.
inline constexpr const char* kWholeRun = "WholeRun";

struct KernelRow {
  std::string key, type, attributes, text;
  double cold_us = 0, hot_us = 0;
  double cold_se_us = 0, hot_se_us = 0;  ///< Standard error of each, widened where sources disagree.
  double cold_spread_us = 0,
         hot_spread_us = 0;  ///< Standard deviation between sources that their own errors do not explain.
  std::int64_t weight_bytes = 0, input_bytes = 0, output_bytes = 0;
  int sources = 0;    ///< How many operator kernels were pooled.
  std::string flags;  ///< Noise flags (profile.h); "few" where cold or hot was never measured and stands for the other.
};

/// One measured context of an operator, as composition needs it.
struct ContextRow {
  std::string context;                   ///< "plain", "packed"
  Summary cold, hot;                     ///< Whole run.
  std::vector<std::string> kernel_keys;  ///< In execution order.
  std::vector<KernelRole> roles;
  std::vector<int> ports;
  std::vector<std::string> tensors;  ///< Of each kernel: PlannedKernel::tensors.
  std::vector<PortDesc> inputs, outputs;
  double memory_mib = 0, resident_mib = 0, peak_mib = 0, mflops = 0;
  std::int64_t file_bytes = 0, weight_bytes = 0;
  std::string flags;
};

struct OperatorRow {
  std::string fingerprint, kind, class_name, parameters_json;
  std::vector<std::vector<int>> input_shapes, output_shapes;
  std::vector<std::string> input_dtypes, output_dtypes;
  std::int64_t parameter_count = 0;
  std::int64_t flops = -1;  ///< Of one run, a multiply-add counts as two; -1: not known.
  /// "ok"; "failed" (conversion or every context failed, see `reason`); "unmeasured" (in the manifest, but not measured
  /// under this configuration). Only "ok" rows have contexts.
  std::string status = "ok", reason;
  std::vector<ContextRow> contexts;  ///< The measured ones, "packed" before "plain".
};

/// Constants of one configuration, fitted from the operators' own measurements when the table is built:
/// whole run = run_overhead + kernels · kernel_overhead + Σ kernel times.
struct ConfigRow {
  std::string config_id;
  Provenance run;
  double run_overhead_us = 0, kernel_overhead_us = 0;  ///< Hot.
  double cold_run_overhead_us = 0,
         cold_kernel_overhead_us = 0;  ///< Cold: the engine's own bookkeeping is cold as well.
  double overhead_residual = 0;        ///< Median absolute relative residual of that fit.
  /// What a cold run takes longer for each MiB of weights, as the kernels keep them: the price of memory that has left
  /// the caches. 0 where no kernel tells, and where operators were not measured in the caches of a model.
  double cold_us_per_mib = 0;
  CacheCurve cache;  ///< What chains of operators told; empty where the journal has no such line.
  std::int64_t operators = 0, kernels = 0;
};

struct TableBuildReport {
  std::int64_t operators = 0, kernels = 0, failed = 0, dropped_lines = 0;
  std::vector<std::string> configs;
};

/// Folds `<folder>/ops.json` and `<folder>/latency.jsonl` into `<folder>/latency.db` (atomically replaced: a reader, or
/// a kill at any time, sees the old or the new one). Of several profiles of one operator, context and configuration the
/// latest that succeeded wins. Throws Error(kNotFound) where neither file exists, kParse for a damaged manifest, kIo.
TableBuildReport build_table(const std::string& folder);

/// The configurations of a table, found as LatencyTable::open finds it. The same errors, but for several
/// configurations.
std::vector<ConfigRow> list_configs(const std::string& path);

class LatencyTable {
 public:
  /// `path`: the operator folder, its latency.db, or any other name inside the folder that older scripts use for the
  /// table (meta_latency.pkl). Rebuilds the database where the journal is newer. `config_id` empty: the only
  /// configuration; an error that lists them where there are several. A unique prefix of an id is enough.
  /// Throws Error: kNotFound (no folder, no table: what to run), kInvalidArgument (several configurations, or an
  /// unknown one), kUnsupported (a table of a newer version), kCorrupt (damaged, and no journal to rebuild it from),
  /// kIo.
  static std::shared_ptr<LatencyTable> open(const std::string& path, const std::string& config_id = "");
  virtual ~LatencyTable() = default;

  virtual const ConfigRow& config() const = 0;
  virtual std::string path() const = 0;    ///< The database file.
  virtual std::string folder() const = 0;  ///< The folder it lies in.
  virtual std::shared_ptr<const OperatorRow> find_operator(const std::string& fingerprint) = 0;  ///< nullptr: absent.
  virtual std::shared_ptr<const KernelRow> find_kernel(const std::string& key) = 0;              ///< nullptr: absent.
  /// Operators of the same class, nearest first by parameters and shapes.
  virtual std::vector<OperatorRow> nearest_operators(const std::string& class_name, const std::string& parameters_json,
                                                     const std::vector<std::vector<int>>& input_shapes, int limit) = 0;
  /// Kernel rows of the same type and attributes first, then of the same type, for estimating an absent one.
  virtual std::vector<KernelRow> similar_kernels(const std::string& type, const std::string& attributes, int limit) = 0;
  virtual std::vector<OperatorRow> all_operators() = 0;
  virtual std::vector<KernelRow> all_kernels() = 0;
};

}  // namespace mmt
