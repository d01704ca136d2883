// build_table: from the files of a folder to its database, atomically.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "mmt/error.h"
#include "mmt/hash.h"
#include "mmt/log.h"
#include "table/build.h"
#include "table/builder.h"
#include "table/freshness.h"
#include "table/locate.h"

namespace mmt {
namespace table {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kAbandonedSeconds = 600;

/// Removes what killed builds left behind. Young files are kept: their builder may live on another machine or in
/// another container, where its process number says nothing here.
void remove_abandoned(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kTemporaryPrefix, 0) != 0) continue;
    const FileStamp file = stamp(entry.path().string());
    const std::int64_t age = std::time(nullptr) - file.modified_ns / 1'000'000'000;
    if (file.exists && age > kAbandonedSeconds) fs::remove(entry.path(), ignored);
  }
}

[[noreturn]] void fail(const std::string& path, const std::string& doing) {
  throw Error(ErrorCode::kIo, path + ": " + doing + ": " + std::strerror(errno) +
                                  "; the folder of a latency table must be writable to build it");
}

void flush(const std::string& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) fail(path, "cannot be opened");
  const bool done = ::fsync(file) == 0;
  ::close(file);
  // Some file systems cannot flush a folder; the rename is done all the same.
  if (!done && (flags & O_DIRECTORY) == 0) fail(path, "cannot be flushed to disk");
}

/// Deletes the temporary file unless it was renamed.
struct Temporary {
  std::string path;
  ~Temporary() {
    std::error_code ignored;
    if (!path.empty()) fs::remove(path, ignored);
  }
};

/// Without its journal a table cannot be made again: what it holds is not thrown away.
void refuse_to_lose(const Location& location) {
  std::string reason;
  if (inspect(location, reason) != TableState::kFresh) return;
  Database database(location.database, OpenMode::kRead);
  if (database.integer("SELECT COUNT(*) FROM config") == 0) return;
  throw Error(ErrorCode::kNotFound,
              location.file(kJournalName) + ": does not exist, and " + location.database +
                  " holds measurements that would be lost; copy the journal here, or delete the table first");
}

}  // namespace

TableBuildReport build(const std::string& folder, const Fill& fill) {
  remove_abandoned(folder);
  Temporary temporary{folder + "/" + temporary_name()};
  const int probe = ::open(temporary.path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (probe < 0) {
    const std::string path = std::exchange(temporary.path, "");
    fail(path, "cannot be created");
  }
  ::close(probe);
  TableBuildReport report;
  {
    Builder builder(temporary.path);
    const std::int64_t dropped = fill(builder);
    report = builder.finish();
    report.dropped_lines = dropped;
  }
  flush(temporary.path, O_RDWR);
  const std::string target = folder + "/" + kTableName;
  if (::rename(temporary.path.c_str(), target.c_str()) != 0) fail(target, "cannot be replaced");
  temporary.path.clear();
  flush(folder, O_RDONLY | O_DIRECTORY);
  return report;
}

}  // namespace table

TableBuildReport build_table(const std::string& path) {
  const table::Location location = table::locate(path);
  const std::string journal = location.file(kJournalName);
  const std::string manifest = location.file(kManifestName);
  // Stamps first: what is appended while the table is built makes it stale, not wrongly fresh.
  const table::FileStamp journal_stamp = table::stamp_with_hash(journal);
  const table::FileStamp manifest_stamp = table::stamp_with_hash(manifest);
  if (!journal_stamp.exists && !manifest_stamp.exists) {
    throw Error(ErrorCode::kNotFound, location.folder + ": holds neither " + kManifestName + " nor " + kJournalName +
                                          "; run `mmt generate` and `mmt meter` on it first");
  }
  if (!journal_stamp.exists) table::refuse_to_lose(location);
  return table::build(location.folder, [&](table::Builder& builder) {
    if (manifest_stamp.exists) {
      for (const OperatorEntry& entry : read_manifest(location.folder).operators) builder.add(entry);
      builder.set(kManifestName, table::stamp_text(manifest_stamp));
    }
    std::int64_t nameless = 0;
    const JournalReport read = read_journal(
        journal, [&](const JournalEntry& entry) { nameless += builder.add(entry) ? 0 : 1; },
        [&](const JournalCache& cache) { builder.add(cache); });
    const std::int64_t dropped = read.dropped + nameless;
    if (dropped > 0) {
      const std::string first = read.dropped > 0 ? read.first_drop : "identities that are not 32 hexadecimal digits";
      log(LogLevel::kWarning, journal + ": " + std::to_string(dropped) + " lines dropped: " + first);
    }
    if (journal_stamp.exists) builder.set(kJournalName, table::stamp_text(journal_stamp));
    builder.set("build_id", identity_hex(journal_stamp.sha256 + manifest_stamp.sha256));
    builder.set("dropped_lines", std::to_string(dropped));
    return dropped;
  });
}

}  // namespace mmt
