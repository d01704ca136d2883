#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "mmt/error.h"
#include "mmt/hash.h"
#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "mmt/table_tools.h"
#include "table/freshness.h"
#include "table/locate.h"
#include "table/sql.h"

namespace mmt {
namespace table {
namespace {

using Key = std::pair<std::string, std::string>;  // Fingerprint, context.

class Checker {
 public:
  explicit Checker(const std::string& path) : location_(locate(path)) {}

  TableCheck run() {
    const bool has_journal = stamp(location_.file(kJournalName)).exists;
    const bool has_manifest = stamp(location_.file(kManifestName)).exists;
    if (!has_journal && !has_manifest && !stamp(location_.database).exists) {
      throw Error(ErrorCode::kNotFound, location_.folder +
                                            ": holds neither table, journal nor manifest; run `mmt generate` "
                                            "and `mmt meter` on it first");
    }
    check_database(has_journal);
    if (has_journal && location_.rebuildable) check_journal();
    if (has_manifest && location_.rebuildable) check_manifest();
    const auto rank = [](const TableFinding& finding) {
      return finding.severity == "error" ? 0 : finding.severity == "warning" ? 1 : 2;
    };
    std::stable_sort(check_.findings.begin(), check_.findings.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return std::move(check_);
  }

 private:
  void find(const char* severity, const char* kind, const std::string& subject, const std::string& text) {
    check_.findings.push_back({severity, kind, subject, text});
  }

  void check_database(bool has_journal) {
    std::string reason;
    const TableState state = inspect(location_, reason);
    const char* severity = has_journal ? "note" : "error";  // With a journal the next opening mends it.
    switch (state) {
      case TableState::kFresh:
      case TableState::kStale:
        break;
      case TableState::kMissing:
        find(severity, "stale", location_.database,
             "does not exist yet; `mmt meter` measures, `mmt table rebuild` folds");
        return;
      default:
        find(severity, "damaged", location_.database, reason + "; run `mmt table rebuild`");
        return;
    }
    if (state == TableState::kStale)
      find("note", "stale", location_.database, reason + "; it is rebuilt when it is opened");
    try {
      Database database(location_.database, OpenMode::kRead);
      const std::string verdict = database.value("PRAGMA integrity_check");
      if (verdict != "ok") find("error", "damaged", location_.database, verdict + "; run `mmt table rebuild`");
      check_.operators = database.integer("SELECT COUNT(*) FROM operator");
      check_.measurements = database.integer("SELECT COUNT(*) FROM measurement");
      check_.kernels = database.integer("SELECT COUNT(*) FROM kernel");
      Statement configs(database, "SELECT config_id FROM config ORDER BY config_no");
      while (configs.step()) check_.configs.push_back(configs.text(0));
      check_rows(database);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;
      find("error", "damaged", location_.database, error.what());
    }
  }

  void check_rows(Database& database) {
    Statement failed(database, "SELECT fingerprint, class_name, context, reason FROM operators WHERE status <> 'ok'");
    while (failed.step()) {
      find("error", "failed", failed.text(0), failed.text(1) + " (" + failed.text(2) + "): " + failed.text(3));
    }
    Statement noisy(
        database, "SELECT fingerprint, class_name, context, flags FROM operators WHERE status = 'ok' AND flags <> ''");
    while (noisy.step()) {
      find("warning", "noisy", noisy.text(0),
           noisy.text(1) + " (" + noisy.text(2) + "): " + noisy.text(3) + "; measure it again on a quieter machine");
    }
  }

  void check_journal() {
    const JournalReport report = read_journal(location_.file(kJournalName), [&](const JournalEntry& entry) {
      const ModelProfile& profile = entry.profile;
      if (profile.status == "ok") measured_[{profile.fingerprint, profile.context}] = profile.file_sha256;
    });
    if (report.dropped > 0) {
      find("warning", "dropped_line", location_.file(kJournalName),
           std::to_string(report.dropped) + " line(s) are not used: " + report.first_drop +
               "; run `mmt meter` to measure what they held");
    }
  }

  void check_manifest() {
    std::set<std::string> known;
    for (const OperatorEntry& entry : read_manifest(location_.folder).operators) {
      known.insert(entry.fingerprint);
      if (!entry.error.empty()) {
        find("error", "failed", entry.fingerprint, entry.class_name + ": was not converted: " + entry.error);
        continue;
      }
      for (const OperatorModel& model : entry.models) check_model(entry, model);
    }
    std::set<std::string> orphans;
    for (const auto& [key, hash] : measured_) {
      if (known.count(key.first) == 0 && orphans.insert(key.first).second) {
        find("note", "orphan", key.first, "is measured, but the manifest does not name it");
      }
    }
  }

  void check_model(const OperatorEntry& entry, const OperatorModel& model) {
    const auto found = measured_.find({entry.fingerprint, model.context});
    if (found == measured_.end()) {
      find("warning", "unmeasured", entry.fingerprint,
           entry.class_name + " (" + model.context + "): run `mmt meter " + location_.folder + "`");
    } else if (!found->second.empty() && !model.sha256.empty() && found->second != model.sha256) {
      find("warning", "changed_file", entry.fingerprint,
           entry.class_name + " (" + model.context +
               "): was converted again after it was measured; run `mmt meter` on it");
    }
    const std::string path = location_.file(model.file);
    const FileStamp file = stamp(path);
    if (!file.exists) {
      find("warning", "missing_file", path, "is named by the manifest; run `mmt generate` again before measuring");
    } else if (file.size_bytes != model.size_bytes ||
               (!model.sha256.empty() && sha256_file_hex(path) != model.sha256)) {
      find("error", "changed_file", path, "is not what the manifest says; run `mmt generate` again");
    }
  }

  Location location_;
  TableCheck check_;
  std::map<Key, std::string> measured_;  // Hash of the measured file.
};

}  // namespace
}  // namespace table

bool TableCheck::ok() const {
  return std::none_of(findings.begin(), findings.end(), [](const TableFinding& f) { return f.severity == "error"; });
}

TableCheck check_table(const std::string& path) { return table::Checker(path).run(); }

}  // namespace mmt
