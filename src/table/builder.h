// Folds manifest and profiles into the rows of a fresh database. Rows go to disk as they come: memory holds only the
// numbers that identities were given.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "mmt/table.h"
#include "table/overhead.h"
#include "table/sql.h"

namespace mmt::table {

class Builder {
 public:
  /// `path` must not exist.
  explicit Builder(const std::string& path);
  /// Operators come before the journal's entries.
  void add(const OperatorEntry& entry);
  /// Later profiles of the same operator, context and configuration replace earlier ones; a failed one never replaces
  /// one that succeeded. Operators that no manifest entry described are "unlisted" where there were entries: they may
  /// be whole models, so they are kept, but not pooled. False: the line's identities make no sense, it was left out.
  bool add(const JournalEntry& entry);
  /// Later curves of a configuration count more. Curves of configurations without a profile are left out.
  void add(const JournalCache& cache);
  /// A row of the meta table.
  void set(const std::string& name, const std::string& value);
  /// Pools kernels, fits overheads, adds indexes and views, and closes the file.
  TableBuildReport finish();

 private:
  struct BlobHash {
    std::size_t operator()(const Blob16& blob) const noexcept;
  };
  struct ConfigState {
    std::string id;
    Provenance run;
  };

  int config_number(const JournalEntry& entry);
  std::int64_t operator_number(const Blob16& fingerprint);
  std::int64_t kernel_number(const Blob16& key, const KernelSignature& signature);
  /// False: what is there already is to be kept. Otherwise its rows are gone.
  bool make_room(int config, std::int64_t operator_no, const ModelProfile& profile);
  void add_ports(int config, std::int64_t operator_no, const std::string& context, const char* direction,
                 const std::vector<PortDesc>& ports);
  /// Removes what the same device and configuration measured in the way of earlier versions, if it was measured anew.
  void drop_superseded();
  void pool_kernels();
  /// Once the rest is there: what was measured, by configuration and operator, as readers ask for it.
  void pack_operators();
  void fit_overheads(int config, ConfigRow& row);
  double cold_us_per_mib(int config, const Provenance& run);
  /// What a whole run takes beside its work, from how times grow with operations and memory.
  double whole_run_overhead_us(int config);
  /// What runs took beside their kernels; `state`: "hot" or "cold".
  std::vector<OverheadPoint> overhead_points(int config, const std::string& state);

  Database database_;
  Statement insert_operator_, insert_measurement_, insert_kernel_, insert_operator_kernel_,
      insert_operator_kernel_time_, insert_port_, insert_cost_;
  std::map<std::string, int> config_numbers_;
  std::map<int, ConfigState> configs_;
  std::map<std::string, CacheCurve> caches_;  // By configuration.
  std::unordered_map<Blob16, std::int64_t, BlobHash> operators_, kernels_;
  bool has_manifest_ = false;
  std::map<std::tuple<int, std::int64_t, std::string>, bool> measured_;  // Value: is_final().
};

}  // namespace mmt::table
