#include "table/older.h"

#include <set>

#include "table/schema.h"

namespace mmt::table {
namespace {

std::set<std::string> columns_in(Database& database, const std::string& table) {
  std::set<std::string> names;
  Statement statement(database, "SELECT name FROM pragma_table_info(?1, 'main')");
  statement.bind(table);
  while (statement.step()) names.insert(statement.next<std::string>());
  return names;
}

}  // namespace

bool complete_columns(Database& database, const Meta& meta) {
  if (value_of(meta, "schema") == schema_identity()) return true;
  std::string views;
  for (const auto& [table, columns, optional] : table_list()) {
    std::string source = table;
    std::set<std::string> present = columns_in(database, table);
    if (present.empty() && table == "operator_kernel_time") {  // Was a part of it.
      source = "operator_kernel";
      present = columns_in(database, source);
    }
    if (present.empty() && !optional) return false;
    std::string missing;
    for (const auto& [name, value] : columns) {
      if (!present.contains(name)) missing.append(", ").append(value).append(" AS ").append(name);
    }
    if (missing.empty() && source == table) continue;
    views.append("CREATE TEMP VIEW IF NOT EXISTS ").append(table).append(" AS SELECT ");
    views.append(present.empty() ? missing.substr(2) + " WHERE 0" : "*" + missing + " FROM main." + source)
        .append(";\n");
  }
  if (!views.empty()) database.execute(views);
  return true;
}

}  // namespace mmt::table
