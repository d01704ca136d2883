#include "table/freshness.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/hash.h"
#include "mmt/log.h"
#include "table/older.h"
#include "table/schema.h"

namespace mmt::table {
namespace {

/// What the first bytes of a database tell, so that nothing is asked of SQLite for it.
struct Header {
  std::int64_t application_id = 0, user_version = 0;
};

/// A file that was cut short is found by its own header, without reading the rest: nothing then.
std::optional<Header> whole_file_header(const std::string& path, std::int64_t size_bytes, std::string& reason) {
  std::ifstream stream(path, std::ios::binary);
  unsigned char head[100] = {};
  stream.read(reinterpret_cast<char*>(head), sizeof(head));
  if (stream.gcount() != sizeof(head) || std::string(reinterpret_cast<char*>(head), 15) != "SQLite format 3") {
    reason = "is not an SQLite file";
    return std::nullopt;
  }
  const auto number_at = [&head](int place) {
    std::int64_t number = 0;
    for (int i = place; i < place + 4; ++i) number = number * 256 + head[i];
    return number;
  };
  const std::int64_t page = head[16] == 0 && head[17] == 1 ? 65536 : head[16] * 256 + head[17];
  const std::int64_t pages = number_at(28);
  if (page * pages != size_bytes) {
    reason = "has " + std::to_string(size_bytes) + " bytes where its header says " + std::to_string(page * pages);
    return std::nullopt;
  }
  return Header{number_at(68), number_at(60)};
}

FileStamp recorded(const Meta& meta, const std::string& name) {
  FileStamp stamp;
  std::istringstream text(value_of(meta, name));
  stamp.exists = static_cast<bool>(text >> stamp.size_bytes >> stamp.modified_ns >> stamp.sha256);
  return stamp;
}

bool same_file(const Location& location, const char* file, const Meta& meta, bool& touched) {
  const FileStamp then = recorded(meta, file);
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
      const Meta meta = read_meta(database);
      for (const char* file : {kJournalName, kManifestName}) {
        FileStamp now = stamp(location.file(file));
        if (!now.exists) continue;
        now.sha256 = recorded(meta, file).sha256;
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

TableState inspect(const Location& location, std::string& reason, OpenedTable* opened) {
  const FileStamp file = stamp(location.database);
  if (!file.exists) return TableState::kMissing;
  const std::optional<Header> header = whole_file_header(location.database, file.size_bytes, reason);
  if (!header) return TableState::kDamaged;
  if (header->application_id != kApplicationId) {
    reason = "is an SQLite file, but no latency table";
    return header->application_id == 0 && location.rebuildable ? TableState::kDamaged : TableState::kForeign;
  }
  const std::int64_t version = header->user_version;
  reason = "has schema version " + std::to_string(version) + ", this program reads " + std::to_string(kSchemaVersion);
  if (version > kSchemaVersion) return TableState::kNew;
  if (version < kSchemaVersion) return TableState::kOld;
  bool touched = false;
  try {
    OpenedTable table = open_frozen(location.database);
    const bool rebuildable = location.rebuildable && stamp(location.file(kJournalName)).exists;
    if (value_of(table.meta, "schema") != schema_identity()) {
      reason = "has other columns than this version of mmt";
      if (rebuildable || !complete_columns(*table.database, table.meta)) return TableState::kOld;
    }
    // Where only the table was brought here, there is nothing to rebuild it from: it stands for itself.
    if (rebuildable) {
      for (const char* name : {kJournalName, kManifestName}) {
        reason = std::string("is older than ") + name;
        if (!same_file(location, name, table.meta, touched)) return TableState::kStale;
      }
    }
    if (opened != nullptr && !touched) *opened = std::move(table);
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
