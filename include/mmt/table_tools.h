// What is done with whole tables: looking them through, exporting and joining them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mmt/records.h"

namespace mmt {

/// Names of what can be exported: "operators" (one row per operator, context and configuration, with average, minimum
/// and maximum), "kernels" (pooled costs), "operator_kernels" (each kernel of each operator), "configs".
std::vector<std::string> record_views();

/// Hands the rows of a view to `sink`; the columns are those of the SQLite view of that name. `config_id`: only that
/// configuration (a unique prefix will do); empty: all, they are told apart by the column config_id.
/// `limit`: at most so many rows, negative: all. Throws Error as LatencyTable::open, kInvalidArgument for an unknown
/// view.
void read_records(const std::string& path, const std::string& view, const std::string& config_id, RecordSink& sink,
                  std::int64_t limit = -1);

/// Something that a user may want to know of a table.
struct TableFinding {
  std::string severity;  ///< "error" (figures are missing or wrong), "warning" (they may be), "note".
  std::string kind;     ///< Stable word: "damaged", "stale", "dropped_line", "unmeasured", "failed", "noisy", "orphan",
                        ///< "missing_file", "changed_file".
  std::string subject;  ///< Fingerprint or file.
  std::string text;     ///< What is the matter, and the cure.
};

struct TableCheck {
  std::vector<TableFinding> findings;  ///< Errors first.
  std::int64_t operators = 0, measurements = 0, kernels = 0;
  std::vector<std::string> configs;
  bool ok() const;  ///< No errors.
};

/// Reads everything: the database's own integrity, journal and manifest against the table, and the model files.
/// Throws Error(kNotFound) where there is nothing to check. Changes nothing.
TableCheck check_table(const std::string& path);

struct MergeReport {
  std::int64_t profiles = 0;   ///< Taken over.
  std::int64_t skipped = 0;    ///< Already there, or older than what is there.
  std::int64_t operators = 0;  ///< New in the manifest.
  std::int64_t files = 0;      ///< Model files copied.
};

/// Takes the operators and measurements of other folders over into `target` (made where it does not exist): manifests
/// are joined, journals appended, the table is built anew. Of two measurements of one operator, context and
/// configuration the later one (measured_at) stays. Doing it again changes nothing. Throws Error(kNotFound) for a
/// source without a journal, before anything is written; kIo.
MergeReport merge_tables(const std::string& target, const std::vector<std::string>& sources);

}  // namespace mmt
