#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "mmt/table.h"
#include "mmt/table_tools.h"
#include "table/freshness.h"
#include "table/locate.h"

namespace mmt {
namespace table {
namespace {

namespace fs = std::filesystem;

std::string run_name(const Provenance& run) { return run.config_id() + run.started_at + std::to_string(run.seed); }

class Merger {
 public:
  explicit Merger(std::string target) : target_(std::move(target)) {
    make_folders(target_);
    read_journal(target_ + "/" + kJournalName, [&](const JournalEntry& entry) { note(entry); });
    if (file_exists(target_ + "/" + kManifestName)) manifest_ = read_manifest(target_);
    for (std::size_t i = 0; i < manifest_.operators.size(); ++i) places_[manifest_.operators[i].fingerprint] = i;
  }

  void take(const std::string& source) {
    if (file_exists(source + "/" + kManifestName)) take_manifest(source);
    std::unique_ptr<JournalWriter> writer;  // One run line per run of the source.
    std::string writing;
    const auto take_profile = [&](const JournalEntry& entry) {
      if (!note(entry)) {
        ++report_.skipped;
        return;
      }
      const std::string run = run_name(entry.run);
      if (writer == nullptr || run != writing) {
        writer.reset();  // The file's lock must be free for the next one.
        writer = std::make_unique<JournalWriter>(target_ + "/" + kJournalName, entry.run);
        writing = run;
      }
      writer->append(entry.profile);
      ++report_.profiles;
    };
    const auto take_cache = [&](const JournalCache& cache) {
      // Of runs whose profiles were all there already nothing new is to be learned.
      if (writer != nullptr && writing == run_name(cache.run)) writer->append(cache.curve);
    };
    read_journal(source + "/" + kJournalName, take_profile, take_cache);
  }

  MergeReport finish() {
    if (changed_manifest_) write_manifest(target_, manifest_);
    build_table(target_);
    return report_;
  }

 private:
  /// False: what is there is as new. What is not final takes no other's place, as in the table.
  bool note(const JournalEntry& entry) {
    const ModelProfile& profile = entry.profile;
    const auto [place, fresh] = latest_.try_emplace({entry.run.config_id(), profile.fingerprint, profile.context},
                                                    is_final(profile), profile.measured_at);
    if (fresh) return true;
    const std::pair<bool, std::string> mine{is_final(profile), profile.measured_at};
    if (mine <= place->second) return false;
    place->second = mine;
    return true;
  }

  void take_manifest(const std::string& source) {
    const Manifest other = read_manifest(source);
    if (manifest_.operators.empty() && manifest_.converter.empty()) {
      manifest_.mmt_version = other.mmt_version;
      manifest_.converter = other.converter;
    }
    for (const OperatorEntry& entry : other.operators) {
      const auto [place, fresh] = places_.try_emplace(entry.fingerprint, manifest_.operators.size());
      if (fresh) {
        manifest_.operators.push_back(entry);
        ++report_.operators;
      } else if (manifest_.operators[place->second].models.empty() && !entry.models.empty()) {
        manifest_.operators[place->second] = entry;  // It could be converted there.
      } else {
        continue;
      }
      changed_manifest_ = true;
      for (const OperatorModel& model : entry.models) copy_file(source, model.file);
    }
  }

  void copy_file(const std::string& source, const std::string& name) {
    const fs::path from = fs::path(source) / name, to = fs::path(target_) / name;
    // A manifest from elsewhere must not write outside the folder.
    const fs::path inside = fs::path(name).lexically_normal();
    if (inside.is_absolute() || inside.empty() || *inside.begin() == "..") {
      throw Error(ErrorCode::kParse, source + "/" + kManifestName + ": \"" + name + "\" leads out of the folder");
    }
    std::error_code error;
    if (!fs::exists(from, error) || fs::exists(to, error)) return;
    make_folders(to.parent_path().string());
    fs::copy_file(from, to, error);
    if (error) throw Error(ErrorCode::kIo, to.string() + ": cannot be copied: " + error.message());
    ++report_.files;
  }

  std::string target_;
  Manifest manifest_;
  std::map<std::string, std::size_t> places_;
  bool changed_manifest_ = false;
  std::map<std::tuple<std::string, std::string, std::string>, std::pair<bool, std::string>> latest_;
  MergeReport report_;
};

}  // namespace
}  // namespace table

MergeReport merge_tables(const std::string& target, const std::vector<std::string>& sources) {
  if (sources.empty()) throw Error(ErrorCode::kInvalidArgument, "name at least one folder to take over into " + target);
  std::vector<std::string> folders;
  for (const std::string& source : sources) {
    const std::string folder = table::locate(source).folder;
    std::error_code error;
    if (std::filesystem::equivalent(folder, target, error)) {
      throw Error(ErrorCode::kInvalidArgument, source + ": is the folder to merge into");
    }
    if (!file_exists(folder + "/" + kJournalName)) {
      throw Error(ErrorCode::kNotFound, folder + ": has no " + kJournalName + "; tables are merged by their journals");
    }
    folders.push_back(folder);
  }
  table::Merger merger(target);
  for (const std::string& folder : folders) merger.take(folder);
  return merger.finish();
}

}  // namespace mmt
