// A table that can be read: found, and rebuilt where that is needed and possible.
#pragma once

#include <string>

#include "table/locate.h"

namespace mmt::table {

/// Throws Error as LatencyTable::open does.
Location ready_table(const std::string& path);

}  // namespace mmt::table
