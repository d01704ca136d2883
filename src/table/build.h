// The atomic part of building a table, apart from where the rows come from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "mmt/table.h"

namespace mmt::table {

class Builder;

/// Adds all rows; returns the number of journal lines that were dropped.
using Fill = std::function<std::int64_t(Builder&)>;

/// Builds `<folder>/latency.db` in a temporary file beside it, flushes and renames it. Where `fill` throws, the old
/// table stays as it was and the temporary file goes.
TableBuildReport build(const std::string& folder, const Fill& fill);

}  // namespace mmt::table
