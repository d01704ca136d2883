// The SQL of latency.db, generated from the field list. Documented in docs/formats_table.md.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mmt::table {

/// PRAGMA user_version of a finished table. Raised when an old reader could misread a new table.
inline constexpr int kSchemaVersion = 2;
/// PRAGMA application_id: "MMTL".
inline constexpr int kApplicationId = 0x4d4d544c;

/// Identity of all columns: a table with others cannot be read by this program's statements.
std::string schema_identity();

/// Every table's columns with the value, as SQL text, of one that an older table does not have.
using ColumnDefaults = std::vector<std::pair<std::string, std::string>>;
struct ExpectedTable {
  std::string name;
  ColumnDefaults columns;
  bool optional = false;  ///< A table without it is whole.
};
std::vector<ExpectedTable> table_list();

/// Tables, then (after the rows are in) indexes and views.
std::string tables_sql();
std::string indexes_sql();
std::string views_sql();

/// Columns of the views whose values are more than SQLite's types say.
enum class CellKind { kBoolean, kJson };
const std::map<std::string, CellKind>& special_columns();

/// The columns of kOperatorKernelTimeFields, in their order, of the row that a statement calls `row`.
std::string operator_kernel_time_columns_sql(const std::string& row);

/// Statements of the writer; parameters in field-list order.
std::string insert_config_sql();
std::string insert_operator_sql();
std::string insert_measurement_sql();
std::string insert_kernel_sql();
std::string insert_operator_kernel_sql();
std::string insert_operator_kernel_time_sql();
std::string insert_port_sql();
std::string insert_cost_sql();
std::string insert_packed_sql();

/// Statements of the reader. `query_list` names all of them, so that a test can show that each one uses an index.
std::string select_configs_sql();
std::string select_packed_sql();
std::string select_operator_sql();
std::string select_measurements_sql();
std::string select_operator_kernels_sql();
std::string select_numbered_kernel_sql();
std::string select_ports_sql();
std::string select_kernel_sql();
std::string select_all_kernels_sql();
std::string select_same_attributes_sql();
std::string select_attributes_below_sql();
std::string select_attributes_above_sql();
std::string select_same_shapes_sql();
std::string select_same_parameters_sql();
std::string select_same_class_sql();
std::vector<std::pair<std::string, std::string>> query_list();

}  // namespace mmt::table
