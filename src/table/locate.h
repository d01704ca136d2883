// From what a user gives as "the table" to the files that are meant.
#pragma once

#include <string>

#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "mmt/table.h"

namespace mmt::table {

inline constexpr const char* kPlansFile = "plans.db";

struct Location {
  std::string folder;    ///< Where manifest and journal may lie; never empty.
  std::string database;  ///< The SQLite file.
  bool rebuildable =
      true;  ///< False: a table under a name of its own (a copy), which no folder's journal stands behind.
  std::string file(const std::string& name) const { return folder + "/" + name; }
};

/// What the names of unfinished tables begin with, and a name that nobody else uses.
inline constexpr const char* kTemporaryPrefix = "latency.db.tmp-";
std::string temporary_name();

/// A folder stands for its latency.db; so does any name inside a folder that does not exist or is no SQLite file (older
/// scripts pass meta_latency.pkl; nothing of such a file is read but its first bytes). Throws Error(kNotFound) where
/// the folder does not exist.
Location locate(const std::string& path);

}  // namespace mmt::table
