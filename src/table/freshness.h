// Is the database as new as the files that it was folded from?
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "table/locate.h"
#include "table/sql.h"

namespace mmt::table {

/// A file as it was when it was read.
struct FileStamp {
  bool exists = false;
  std::int64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::string sha256;  ///< Filled by `with_hash` only.
};

FileStamp stamp(const std::string& path);
FileStamp stamp_with_hash(const std::string& path);

/// A stamp as the meta table keeps it, under the file's name.
std::string stamp_text(const FileStamp& stamp);

/// What was found at the place of a table.
enum class TableState {
  kFresh,  ///< Usable as it is.
  kMissing,
  kStale,    ///< Journal or manifest changed since.
  kDamaged,  ///< Not a database, cut short, or not finished.
  kOld,      ///< Schema of an older version.
  kNew,      ///< Schema of a newer version.
  kForeign,  ///< A database, but no latency table.
};

/// Costs the same for every size of table, unless the time stamps of journal or manifest changed (a copied folder):
/// then their contents are hashed, and where these are the same the new time stamps are noted (if the file may be
/// written). `reason`: for messages. `opened`, where given, gets the connection to a database that is fresh and was
/// left as it is.
TableState inspect(const Location& location, std::string& reason, OpenedTable* opened = nullptr);

}  // namespace mmt::table
