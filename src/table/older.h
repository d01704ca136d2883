// Tables of older versions that stand for themselves, because their journal is not there.
#pragma once

#include "table/sql.h"

namespace mmt::table {

/// Lets this program's statements read a table whose columns are those of an older version: for each table that lacks
/// some, a temporary view of the same name adds them with the value of a field that a journal does not have (0, empty).
/// Nothing is written to the file. False where more than columns is missing.
/// `meta`: what the file's meta table says.
bool complete_columns(Database& database, const Meta& meta);

}  // namespace mmt::table
