#include "table/freshness.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/hash.h"
#include "mmt/log.h"
#include "table/older.h"
#include "table/schema.h"

namespace mmt::table {
namespace {

/// A file that was cut short is found by its own header, without reading the rest.
bool is_whole(const std::string& path, std::int64_t size_bytes, std::string& reason) {
  std::ifstream stream(path, std::ios::binary);
  unsigned char head[100] = {};
  stream.read(reinterpret_cast<char*>(head), sizeof(head));
  if (stream.gcount() != sizeof(head) || std::string(reinterpret_cast<char*>(head), 15) != "SQLite format 3") {
    reason = "is not an SQLite file";
    return false;
  }
  const std::int64_t page = head[16] == 0 && head[17] == 1 ? 65536 : head[16] * 256 + head[17];
  std::int64_t pages = 0;
  for (int i = 28; i < 32; ++i) pages = pages * 256 + head[i];
  if (page * pages != size_bytes) {
    reason = "has " + std::to_string(size_bytes) + " bytes where its header says " + std::to_string(page * pages);
    return false;
  }
  return true;
}

FileStamp recorded(Database& database, const std::string& name) {
  Statement statement(database, "SELECT value FROM meta WHERE name = ?1");
  FileStamp stamp;
  if (!statement.start().bind(name).step()) return stamp;
  std::istringstream text(statement.text(0));
  stamp.exists = static_cast<bool>(text >> stamp.size_bytes >> stamp.modified_ns >> stamp.sha256);
  return stamp;
}

bool same_file(const Location& location, const char* file, Database& database, bool& touched) {
  const FileStamp then = recorded(database, file);
  const FileStamp now = stamp(location.file(file));
  if (!now.exists) return true;
  if (then.exists && then.size_bytes == now.size_bytes && then.modified_ns == now.modified_ns) return true;
  if (!then.exists || then.size_bytes != now.size_bytes) return false;
  touched = true;
  return sha256_file_hex(location.file(file)) == then.sha256;
}

/// Notes the new time stamps in a copy that takes the table's place: readers rely on a file that does not change.
void note_stamps(const Location& location) {
  const std::string copy = location.file(temporary_name());
  std::error_code error;
  std::filesystem::copy_file(location.database, copy, error);
  if (error) throw Error(ErrorCode::kIo, copy + ": cannot be written: " + error.message());
  try {
    {
      Database database(copy, OpenMode::kReadWrite);
      for (const char* file : {kJournalName, kManifestName}) {
        FileStamp now = stamp(location.file(file));
        if (!now.exists) continue;
        now.sha256 = recorded(database, file).sha256;
        Statement(database, "UPDATE meta SET value = ?1 WHERE name = ?2").bind(stamp_text(now)).bind(file).run();
      }
    }
    replace_file(copy, location.database);
  } catch (const Error&) {
    std::filesystem::remove(copy, error);
    throw;
  }
}

}  // namespace

FileStamp stamp(const std::string& path) {
  FileStamp stamp;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return stamp;
  stamp.exists = true;
  stamp.size_bytes = status.st_size;
  stamp.modified_ns = status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
  return stamp;
}

FileStamp stamp_with_hash(const std::string& path) {
  FileStamp result = stamp(path);
  if (result.exists) result.sha256 = sha256_file_hex(path);
  return result;
}

std::string stamp_text(const FileStamp& stamp) {
  return std::to_string(stamp.size_bytes) + " " + std::to_string(stamp.modified_ns) + " " + stamp.sha256;
}

TableState inspect(const Location& location, std::string& reason, std::unique_ptr<Database>* opened) {
  const FileStamp file = stamp(location.database);
  if (!file.exists) return TableState::kMissing;
  if (!is_whole(location.database, file.size_bytes, reason)) return TableState::kDamaged;
  bool touched = false;
  try {
    auto connection = std::make_unique<Database>(location.database, OpenMode::kFrozen);
    Database& database = *connection;
    const std::int64_t application = database.integer("PRAGMA application_id");
    if (application != kApplicationId) {
      reason = "is an SQLite file, but no latency table";
      return application == 0 && location.rebuildable ? TableState::kDamaged : TableState::kForeign;
    }
    const std::int64_t version = database.integer("PRAGMA user_version");
    reason = "has schema version " + std::to_string(version) + ", this program reads " + std::to_string(kSchemaVersion);
    if (version > kSchemaVersion) return TableState::kNew;
    if (version < kSchemaVersion) return TableState::kOld;
    const bool rebuildable = location.rebuildable && stamp(location.file(kJournalName)).exists;
    if (database.value("SELECT value FROM meta WHERE name = 'schema'") != schema_identity()) {
      reason = "has other columns than this version of mmt";
      if (rebuildable || !complete_columns(database)) return TableState::kOld;
    }
    // Where only the table was brought here, there is nothing to rebuild it from: it stands for itself.
    if (rebuildable) {
      for (const char* name : {kJournalName, kManifestName}) {
        reason = std::string("is older than ") + name;
        if (!same_file(location, name, database, touched)) return TableState::kStale;
      }
    }
    if (opened != nullptr && !touched) *opened = std::move(connection);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
    reason = error.what();
    return TableState::kDamaged;
  }
  reason.clear();
  if (touched) {
    try {
      note_stamps(location);
    } catch (const Error& error) {  // A folder that may only be read: the next opening hashes again.
      log(LogLevel::kDebug, error.what());
    }
  }
  return TableState::kFresh;
}

}  // namespace mmt::table
