#include "table/schema.h"

#include <optional>
#include <string>
#include <vector>

#include "mmt/hash.h"
#include "table/cells.h"

namespace mmt::table {
namespace {

struct Column {
  std::string name;
  std::string type;
  std::optional<CellKind> kind = std::nullopt;
};
using Columns = std::vector<Column>;

/// The columns that `fields` of a T make.
template <class T, class Fields>
Columns columns_of(const Fields& fields) {
  Columns columns;
  T object{};
  auto visit = [&](std::string_view prefix, std::string_view name, const auto& value) {
    const std::string whole = prefix.empty() ? std::string(name) : std::string(prefix) + "_" + std::string(name);
    using Value = std::remove_cvref_t<decltype(value)>;
    Column column{whole, sql_type<Value>()};
    if (std::is_same_v<Value, bool>) column.kind = CellKind::kBoolean;
    if (IsVector<Value>::value || whole == "parameters") column.kind = CellKind::kJson;
    columns.push_back(column);
  };
  walk_cells(fields, object, visit);
  return columns;
}

Columns operator+(Columns left, const Columns& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Columns measurement_columns() { return columns_of<ModelProfile>(kMeasurementFields); }
Columns operator_columns() { return columns_of<OperatorRow>(kOperatorIdentityFields); }
Columns kernel_columns() { return columns_of<KernelRow>(kKernelIdentityFields); }
Columns cost_columns() { return columns_of<KernelRow>(kKernelCostFields); }
Columns port_columns() { return columns_of<PortDesc>(FieldList<PortDesc>::fields); }
Columns used_kernel_columns() { return columns_of<KernelProfile>(kOperatorKernelFields); }
Columns used_kernel_time_columns() { return columns_of<KernelProfile>(kOperatorKernelTimeFields); }

Columns config_table() {
  Columns provenance = columns_of<Provenance>(FieldList<Provenance>::fields);
  return Columns{{"config_no", "INTEGER"}, {"config_id", "TEXT"}} + provenance +
         columns_of<ConfigRow>(kConfigFitFields);
}
Columns operator_table() {
  return Columns{{"operator_no", "INTEGER"}, {"fingerprint", "BLOB"}} + operator_columns() + Columns{{"error", "TEXT"}};
}
Columns measurement_table() {
  return Columns{{"config_no", "INTEGER"}, {"operator_no", "INTEGER"}} + measurement_columns();
}
Columns kernel_table() { return Columns{{"kernel_no", "INTEGER"}, {"key", "BLOB"}} + kernel_columns(); }
Columns operator_kernel_key() {
  return {{"config_no", "INTEGER"}, {"operator_no", "INTEGER"}, {"context", "TEXT"}, {"position", "INTEGER"}};
}
Columns operator_kernel_table() {
  return operator_kernel_key() + Columns{{"kernel_no", "INTEGER"}} + used_kernel_columns();
}
/// Apart, for predictions do not ask for them: without these wide rows all kernels of an operator lie on one page.
Columns operator_kernel_time_table() { return operator_kernel_key() + used_kernel_time_columns(); }
Columns port_table() {
  return Columns{{"config_no", "INTEGER"},
                 {"operator_no", "INTEGER"},
                 {"context", "TEXT"},
                 {"direction", "TEXT"},
                 {"position", "INTEGER"}} +
         port_columns();
}
Columns cost_table() { return Columns{{"config_no", "INTEGER"}, {"kernel_no", "INTEGER"}} + cost_columns(); }

/// What `pack` makes of measured operators.
Columns packed_table() { return {{"operator_no", "INTEGER"}, {"config_no", "INTEGER"}, {"bytes", "BLOB"}}; }

struct Table {
  std::string name;
  Columns columns;
  std::string constraints;
  bool rowid;
  bool optional = false;  ///< Holds nothing that others do not: a table without it is whole.
};
/// All but meta.
std::vector<Table> tables() {
  const std::string used = "PRIMARY KEY (config_no, operator_no, context, position)";
  return {{"config", config_table(), "PRIMARY KEY (config_no), UNIQUE (config_id)", true},
          {"operator", operator_table(), "PRIMARY KEY (operator_no), UNIQUE (fingerprint)", true},
          {"measurement", measurement_table(), "PRIMARY KEY (config_no, operator_no, context)", false},
          {"kernel", kernel_table(), "PRIMARY KEY (kernel_no), UNIQUE (key)", true},
          {"operator_kernel", operator_kernel_table(), used, false},
          {"operator_kernel_time", operator_kernel_time_table(), used, false},
          {"port", port_table(), "PRIMARY KEY (config_no, operator_no, context, direction, position)", false},
          {"kernel_cost", cost_table(), "PRIMARY KEY (config_no, kernel_no)", false},
          // With rows apart from the index: as a part of it, pages of the index would hold few of these large cells.
          {"packed_operator", packed_table(), "PRIMARY KEY (operator_no, config_no)", true, true}};
}

std::string join(const Columns& columns, const std::string& prefix = "") {
  std::string text;
  for (const Column& column : columns) text += (text.empty() ? "" : ", ") + prefix + column.name;
  return text;
}

/// "m.status AS status, …": a view's columns are named without their table.
std::string aliased(const Columns& columns, const std::string& table) {
  std::string text;
  for (const Column& column : columns)
    text += (text.empty() ? "" : ", ") + table + "." + column.name + " AS " + column.name;
  return text;
}

std::string create(const Table& table) {
  std::string sql = "CREATE TABLE " + table.name + " (";
  for (const Column& column : table.columns) sql += column.name + " " + column.type + ", ";
  return sql + table.constraints + ")" + (table.rowid ? "" : " WITHOUT ROWID") + ";\n";
}

std::string insert(const std::string& table, const Columns& columns) {
  std::string marks;
  for (std::size_t i = 0; i < columns.size(); ++i) marks += i == 0 ? "?" : ",?";
  return "INSERT OR REPLACE INTO " + table + " (" + join(columns) + ") VALUES (" + marks + ")";
}

/// What Reader::read_kernel reads, in its order.
std::string kernel_cells() {
  return "SELECT k.key, " + join(kernel_columns(), "k.") + ", " + join(cost_columns(), "c.");
}

std::string kernel_with_cost() {
  return kernel_cells() +
         " FROM kernel k CROSS JOIN kernel_cost c ON c.config_no = ?1 AND c.kernel_no = k.kernel_no WHERE ";
}

std::string operator_select() {
  return "SELECT operator_no, fingerprint, " + join(operator_columns()) + ", error FROM operator WHERE ";
}

}  // namespace

std::string tables_sql() {
  std::string sql = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;\n";
  for (const Table& table : tables()) sql += create(table);
  return sql;
}

std::vector<ExpectedTable> table_list() {
  std::vector<ExpectedTable> list;
  for (const Table& table : tables()) {
    ColumnDefaults& defaults = list.emplace_back(ExpectedTable{table.name, {}, table.optional}).columns;
    for (const Column& column : table.columns) {
      const bool text = column.type == "TEXT" || column.type == "BLOB";
      defaults.emplace_back(column.name, column.kind == CellKind::kJson ? "'[]'" : text ? "''" : "0");
    }
  }
  return list;
}

std::string schema_identity() {
  static const std::string kIdentity = identity_hex(tables_sql());
  return kIdentity;
}

std::string indexes_sql() {
  return "CREATE INDEX operator_by_shapes ON operator (class_name, input_shapes);\n"
         "CREATE INDEX operator_by_parameters ON operator (class_name, parameters);\n"
         "CREATE INDEX kernel_by_type ON kernel (type, attributes);\n";
}

std::string views_sql() {
  // What people look at and what is exported: identities as text, configurations by id.
  return "CREATE VIEW operators AS SELECT c.config_id AS config_id, lower(hex(o.fingerprint)) AS fingerprint, " +
         aliased(operator_columns(), "o") +
         ", m.hot_mean_us AS average_us, m.hot_min_us AS minimum_us, m.hot_max_us AS maximum_us, " +
         aliased(measurement_columns(), "m") +
         " FROM measurement m JOIN operator o ON o.operator_no = m.operator_no"
         " JOIN config c ON c.config_no = m.config_no;\n"
         "CREATE VIEW kernels AS SELECT c.config_id AS config_id, lower(hex(k.key)) AS key, " +
         aliased(kernel_columns(), "k") + ", " + aliased(cost_columns(), "p") +
         " FROM kernel_cost p JOIN kernel k ON k.kernel_no = p.kernel_no JOIN config c ON c.config_no = p.config_no;\n"
         "CREATE VIEW operator_kernels AS SELECT c.config_id AS config_id, lower(hex(o.fingerprint)) AS fingerprint, "
         "p.context AS context, p.position AS position, lower(hex(k.key)) AS key, k.type AS type, k.text AS text, " +
         aliased(used_kernel_columns(), "p") + ", " + aliased(used_kernel_time_columns(), "t") +
         " FROM operator_kernel p JOIN operator_kernel_time t ON t.config_no = p.config_no"
         " AND t.operator_no = p.operator_no AND t.context = p.context AND t.position = p.position"
         " JOIN operator o ON o.operator_no = p.operator_no"
         " JOIN kernel k ON k.kernel_no = p.kernel_no JOIN config c ON c.config_no = p.config_no;\n"
         "CREATE VIEW configs AS SELECT " +
         join(config_table()) + " FROM config;\n";
}

const std::map<std::string, CellKind>& special_columns() {
  static const std::map<std::string, CellKind> kinds = [] {
    std::map<std::string, CellKind> found;
    for (const Table& table : tables()) {
      for (const Column& column : table.columns) {
        if (column.kind) found.emplace(column.name, *column.kind);
      }
    }
    return found;
  }();
  return kinds;
}

std::string operator_kernel_time_columns_sql(const std::string& row) {
  return join(used_kernel_time_columns(), row + ".");
}

std::string insert_config_sql() { return insert("config", config_table()); }
std::string insert_operator_sql() { return insert("operator", operator_table()); }
std::string insert_measurement_sql() { return insert("measurement", measurement_table()); }
std::string insert_kernel_sql() { return insert("kernel", kernel_table()); }
std::string insert_operator_kernel_sql() { return insert("operator_kernel", operator_kernel_table()); }
std::string insert_operator_kernel_time_sql() { return insert("operator_kernel_time", operator_kernel_time_table()); }
std::string insert_port_sql() { return insert("port", port_table()); }
std::string insert_cost_sql() { return insert("kernel_cost", cost_table()); }
std::string insert_packed_sql() { return insert("packed_operator", packed_table()); }

// Every opening prepares the first: its text is put together once.
std::string select_configs_sql() {
  static const std::string kSql = "SELECT " + join(config_table()) + " FROM config ORDER BY config_no";
  return kSql;
}
std::string select_packed_sql() {
  return "SELECT p.bytes FROM operator o CROSS JOIN packed_operator p ON p.operator_no = o.operator_no"
         " AND p.config_no = ?2 WHERE o.fingerprint = ?1";
}
std::string select_operator_sql() { return operator_select() + "fingerprint = ?1"; }
std::string select_measurements_sql() {
  return "SELECT " + join(measurement_columns()) +
         " FROM measurement WHERE config_no = ?1 AND operator_no = ?2 ORDER BY context";
}
std::string select_operator_kernels_sql() {
  return "SELECT role, port, tensors, kernel_no FROM operator_kernel"
         " WHERE config_no = ?1 AND operator_no = ?2 AND context = ?3 ORDER BY position";
}
std::string select_numbered_kernel_sql() {
  return kernel_cells() +
         ", c.kernel_no IS NOT NULL FROM kernel k LEFT JOIN kernel_cost c ON c.config_no = ?1 "
         "AND c.kernel_no = k.kernel_no "
         "WHERE k.kernel_no = ?2";
}
std::string select_ports_sql() {
  return "SELECT direction, " + join(port_columns()) +
         " FROM port WHERE config_no = ?1 AND operator_no = ?2 AND context = ?3 ORDER BY direction, position";
}
std::string select_kernel_sql() { return kernel_with_cost() + "k.key = ?2"; }
std::string select_all_kernels_sql() {
  return kernel_cells() +
         " FROM kernel_cost c CROSS JOIN kernel k ON k.kernel_no = c.kernel_no WHERE c.config_no = ?1 ORDER BY "
         "c.kernel_no";
}
std::string select_same_attributes_sql() { return kernel_with_cost() + "k.type = ?2 AND k.attributes = ?3 LIMIT ?4"; }
std::string select_attributes_below_sql() {
  return kernel_with_cost() + "k.type = ?2 AND k.attributes < ?3 ORDER BY k.attributes DESC LIMIT ?4";
}
std::string select_attributes_above_sql() {
  return kernel_with_cost() + "k.type = ?2 AND k.attributes > ?3 ORDER BY k.attributes LIMIT ?4";
}
std::string select_same_shapes_sql() { return operator_select() + "class_name = ?1 AND input_shapes = ?2 LIMIT ?3"; }
std::string select_same_parameters_sql() { return operator_select() + "class_name = ?1 AND parameters = ?2 LIMIT ?3"; }
std::string select_same_class_sql() { return operator_select() + "class_name = ?1 LIMIT ?2"; }

std::vector<std::pair<std::string, std::string>> query_list() {
  return {{"packed", select_packed_sql()},
          {"operator", select_operator_sql()},
          {"measurements", select_measurements_sql()},
          {"operator_kernels", select_operator_kernels_sql()},
          {"numbered_kernel", select_numbered_kernel_sql()},
          {"ports", select_ports_sql()},
          {"kernel", select_kernel_sql()},
          {"same_attributes", select_same_attributes_sql()},
          {"attributes_below", select_attributes_below_sql()},
          {"attributes_above", select_attributes_above_sql()},
          {"same_shapes", select_same_shapes_sql()},
          {"same_parameters", select_same_parameters_sql()},
          {"same_class", select_same_class_sql()}};
}

}  // namespace mmt::table
