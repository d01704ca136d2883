#include <algorithm>

#include "mmt/error.h"
#include "mmt/table.h"
#include "mmt/table_tools.h"
#include "table/ready.h"
#include "table/schema.h"
#include "table/sql.h"

namespace mmt {
namespace {

using table::CellKind;
using table::Statement;

RecordValue value_of(const Statement& statement, int column, const CellKind* kind) {
  if (statement.is_null(column)) return std::monostate{};
  if (statement.is_integer(column)) {
    const std::int64_t value = statement.integer(column);
    if (kind != nullptr && *kind == CellKind::kBoolean) return value != 0;
    return value;
  }
  if (statement.is_real(column)) return statement.real(column);
  if (kind != nullptr && *kind == CellKind::kJson) return JsonText{statement.text(column)};
  return statement.text(column);
}

/// The whole id that `wanted` begins.
std::string whole_config_id(const std::string& path, const std::string& wanted) {
  std::vector<std::string> matches;
  std::string known;
  for (const ConfigRow& row : list_configs(path)) {
    known += (known.empty() ? "" : ", ") + row.config_id;
    if (row.config_id == wanted) return wanted;
    if (row.config_id.rfind(wanted, 0) == 0) matches.push_back(row.config_id);
  }
  if (matches.size() == 1) return matches.front();
  throw Error(ErrorCode::kInvalidArgument,
              path + ": \"" + wanted + "\" names no single configuration; there are: " + known);
}

}  // namespace

std::vector<std::string> record_views() { return {"operators", "kernels", "operator_kernels", "configs"}; }

void read_records(const std::string& path, const std::string& view, const std::string& config_id, RecordSink& sink,
                  std::int64_t limit) {
  const std::vector<std::string> views = record_views();
  if (std::find(views.begin(), views.end(), view) == views.end()) {
    std::string known;
    for (const std::string& name : views) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::kInvalidArgument, "a table has no \"" + view + "\"; it has " + known);
  }
  const table::Location location = table::ready_table(path);
  table::Database database(location.database, table::OpenMode::kRead);
  const bool one = !config_id.empty();
  Statement statement(
      database, "SELECT * FROM " + view + (one ? " WHERE config_id = ?1" : "") + " LIMIT " + std::to_string(limit));
  statement.start();
  if (one) statement.bind(whole_config_id(path, config_id));

  std::vector<std::string> names;
  std::vector<const CellKind*> kinds;
  std::vector<int> shown;
  for (int column = 0; column < statement.columns(); ++column) {
    const std::string name = statement.column_name(column);
    if (name == "config_no") continue;  // A number that means something only inside this file.
    const auto found = table::special_columns().find(name);
    names.push_back(name);
    kinds.push_back(found == table::special_columns().end() ? nullptr : &found->second);
    shown.push_back(column);
  }
  sink.columns(names);
  Record record(names.size());
  while (statement.step()) {
    for (std::size_t i = 0; i < shown.size(); ++i) record[i] = value_of(statement, shown[i], kinds[i]);
    sink.row(record);
  }
  sink.finish();
}

}  // namespace mmt
