// One connection to a finished table with its prepared statements. Used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mmt/table.h"
#include "table/packed.h"
#include "table/sql.h"

namespace mmt::table {

struct NumberedConfig {
  int number = 0;
  ConfigRow row;
};

class Reader {
 public:
  explicit Reader(const std::string& path);
  /// Takes a connection over.
  explicit Reader(OpenedTable table);
  /// Of a table that is not finished; `database` outlives this.
  explicit Reader(Database& database);

  std::vector<NumberedConfig> configs();
  std::string build_id() const;

  /// The number of the configuration that all further calls look at.
  void use(int config) { config_ = config; }
  std::optional<KernelRow> kernel(const Blob16& key);
  /// `kernels`, where given, gets the rows of the operator's kernels that have a cost: who asks for an operator asks
  /// for its kernels next.
  std::optional<OperatorRow> op(const Blob16& fingerprint, KernelRows* kernels = nullptr);
  /// The same from the rows that it was packed from.
  std::optional<OperatorRow> unpacked_op(const Blob16& fingerprint, KernelRows* kernels = nullptr);
  std::vector<KernelRow> similar(const std::string& type, const std::string& attributes, int limit);
  /// Descriptions (without contexts) of operators of a class: those with these shapes first, then those with these
  /// parameters, then others, `limit` of each at most.
  std::vector<OperatorRow> candidates(const std::string& class_name, const std::string& input_shapes,
                                      const std::string& parameters, int limit);
  std::vector<KernelRow> all_kernels();
  std::vector<std::string> all_fingerprints();

 private:
  Reader(OpenedTable&& table, Database& database);
  KernelRow read_kernel(Statement& statement);
  std::int64_t read_operator(Statement& statement, OperatorRow& row);
  void add_contexts(std::int64_t operator_no, OperatorRow& row, KernelRows* kernels);
  std::string key_of(std::int64_t kernel_no, KernelRows* kernels);

  OpenedTable table_;
  Database& database_;
  bool can_unpack_;  ///< Operators were packed as this program does it.
  int config_ = 0;
  LazyStatement packed_, operator_, measurements_, operator_kernels_, numbered_kernel_, ports_, kernel_,
      same_attributes_, below_, above_, same_shapes_, same_parameters_, same_class_;
};

}  // namespace mmt::table
