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
#include "table/sql.h"

namespace mmt::table {

class Builder {
 public:
  /// `path` must not exist.
  explicit Builder(const std::string& path);
  void add(const OperatorEntry& entry);
  /// Later profiles of the same operator, context and configuration replace earlier ones; a failed one never replaces
  /// one that succeeded.
  void add(const JournalEntry& entry);
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
  std::int64_t kernel_number(const KernelSignature& signature);
  /// False: what is there already is to be kept. Otherwise its rows are gone.
  bool make_room(int config, std::int64_t operator_no, const ModelProfile& profile);
  void add_ports(int config, std::int64_t operator_no, const std::string& context, const char* direction,
                 const std::vector<PortDesc>& ports);
  void pool_kernels();
  void fit_overheads(int config, ConfigRow& row);

  Database database_;
  Statement insert_operator_, insert_measurement_, insert_kernel_, insert_operator_kernel_, insert_port_, insert_cost_;
  std::map<std::string, int> config_numbers_;
  std::map<int, ConfigState> configs_;
  std::unordered_map<Blob16, std::int64_t, BlobHash> operators_, kernels_;
  std::map<std::tuple<int, std::int64_t, std::string>, bool> measured_;  // Value: it succeeded.
};

}  // namespace mmt::table
