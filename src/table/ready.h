// A table that can be read: found, and rebuilt where that is needed and possible.
#pragma once

#include <string>

#include <memory>

#include "table/locate.h"
#include "table/sql.h"

namespace mmt::table {

/// Throws Error as LatencyTable::open does. `opened`: as `inspect` says; nullptr where the file was written just now.
Location ready_table(const std::string& path, std::unique_ptr<Database>* opened = nullptr);

}  // namespace mmt::table
