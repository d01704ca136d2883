// One connection to a finished table with its prepared statements. Used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "mmt/table.h"
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
  explicit Reader(std::unique_ptr<Database> database);

  std::vector<NumberedConfig> configs();
  std::string build_id();

  /// The number of the configuration that all further calls look at.
  void use(int config) { config_ = config; }
  std::optional<KernelRow> kernel(const Blob16& key);
  /// `kernels`, where given, gets the rows of those of the operator's kernels that were not given before: who asks for
  /// an operator asks for its kernels next.
  std::optional<OperatorRow> op(const Blob16& fingerprint,
                                std::vector<std::shared_ptr<const KernelRow>>* kernels = nullptr);
  std::vector<KernelRow> similar(const std::string& type, const std::string& attributes, int limit);
  /// Descriptions (without contexts) of operators of a class: those with these shapes first, then those with these
  /// parameters, then others, `limit` of each at most.
  std::vector<OperatorRow> candidates(const std::string& class_name, const std::string& input_shapes,
                                      const std::string& parameters, int limit);
  std::vector<KernelRow> all_kernels();
  std::vector<std::string> all_fingerprints();

 private:
  KernelRow read_kernel(Statement& statement);
  std::int64_t read_operator(Statement& statement, OperatorRow& row);
  void add_contexts(std::int64_t operator_no, OperatorRow& row, std::vector<std::shared_ptr<const KernelRow>>* kernels);
  const std::string& key_of(std::int64_t kernel_no, std::vector<std::shared_ptr<const KernelRow>>* kernels);

  std::unique_ptr<Database> connection_;
  Database& database_;
  int config_ = 0;
  LazyStatement operator_, measurements_, operator_kernels_, numbered_kernel_, ports_, kernel_, same_attributes_,
      below_, above_, same_shapes_, same_parameters_, same_class_;
  std::unordered_map<std::int64_t, std::string> keys_;  ///< Of kernels that were given already, by their number.
};

}  // namespace mmt::table
