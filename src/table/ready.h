// A table that can be read: found, and rebuilt where that is needed and possible.
#pragma once

#include <string>

#include "table/locate.h"
#include "table/sql.h"

namespace mmt::table {

/// Throws Error as LatencyTable::open does. `opened`: as `inspect` says; empty where the file was written just now.
Location ready_table(const std::string& path, OpenedTable* opened = nullptr);

}  // namespace mmt::table
