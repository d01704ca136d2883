#include "table/ready.h"

#include "mmt/error.h"
#include "mmt/log.h"
#include "mmt/table.h"
#include "table/freshness.h"

namespace mmt::table {
namespace {

bool has_sources(const Location& location) { return location.rebuildable && stamp(location.file(kJournalName)).exists; }

}  // namespace

Location ready_table(const std::string& path, OpenedTable* opened) {
  Location location = locate(path);
  std::string reason;
  const TableState state = inspect(location, reason, opened);
  const std::string problem = location.database + ": " + reason;
  switch (state) {
    case TableState::kFresh:
      return location;
    case TableState::kNew:
      throw Error(ErrorCode::kUnsupported, problem + "; upgrade mmt, or run `mmt table rebuild` to fold it anew");
    case TableState::kForeign:
      throw Error(ErrorCode::kParse, problem + "; give an operator folder or its latency.db");
    case TableState::kMissing:
      if (!has_sources(location)) {
        throw Error(ErrorCode::kNotFound, location.folder + ": has no latency table; run `mmt meter " +
                                              location.folder +
                                              "` first (it measures the operators that `mmt generate` made)");
      }
      break;
    case TableState::kDamaged:
    case TableState::kOld:
      if (!has_sources(location)) {
        throw Error(state == TableState::kOld ? ErrorCode::kUnsupported : ErrorCode::kCorrupt,
                    problem + ", and there is no " + kJournalName +
                        " to rebuild it from; copy the journal here or measure again");
      }
      log(LogLevel::kWarning, problem + "; it is rebuilt from the journal");
      break;
    case TableState::kStale:
      log(LogLevel::kInfo, problem + "; it is rebuilt");
      break;
  }
  build_table(location.folder);
  return location;
}

}  // namespace mmt::table
