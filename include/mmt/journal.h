// The journal: the meter's append-only output, one JSON object per line (`latency.jsonl`). Format: docs/formats.md.
//
// The first line of each run is its provenance ({"type":"run",…}), every further one a profile ({"type":"profile",…}),
// or, at its end, what chains of operators told of the caches ({"type":"cache",…}).
// Each line ends with a checksum field and is handed to the system in one piece before the next: after a kill at any
// byte the reader drops at most the line that was being written, and the writer goes on after the last whole line.
// Lines reach the disk itself (fdatasync) in groups: with every line that comes 0.2 s or more after the last flush, by
// flush(), and when the writer is closed. What a power failure can cost is what was measured since then.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mmt/cache_curve.h"
#include "mmt/profile.h"

namespace mmt {

/// Name of the journal within a folder.
inline constexpr const char* kJournalName = "latency.jsonl";

struct JournalEntry {
  Provenance run;
  std::string config_id;  ///< Of `run`, as its lines say.
  ModelProfile profile;
};

class JournalWriter {
 public:
  /// Opens or creates; a torn last line is cut off. Throws Error(kIo), also where another writer holds the file.
  JournalWriter(const std::string& path, const Provenance& run);
  ~JournalWriter();  ///< Flushes.
  /// Appends one line.
  void append(const ModelProfile& profile);
  /// Appends one line; none for an empty curve.
  void append(const CacheCurve& curve);
  /// Waits until everything is on the disk.
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct JournalReport {
  std::int64_t lines = 0, dropped = 0;  ///< Dropped: torn or failing their checksum.
  std::string first_drop;               ///< "line 17: checksum differs"
};

/// A run's cache line. `run` and `config_id` as in JournalEntry.
struct JournalCache {
  Provenance run;
  std::string config_id;
  CacheCurve curve;
};

/// Calls `each` for every whole profile and `each_cache` for every cache line, in order. Missing file: nothing to read.
JournalReport read_journal(const std::string& path, const std::function<void(const JournalEntry&)>& each,
                           const std::function<void(const JournalCache&)>& each_cache = {});

/// The same objects that the journal's lines hold, as JSON text (field list: mmt/profile_fields.h).
std::string profile_json(const ModelProfile& profile);
std::string provenance_json(const Provenance& run);

}  // namespace mmt
