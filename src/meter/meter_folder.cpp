#include "mmt/meter_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "meter/hooks.h"
#include "meter/resume.h"
#include "meter/throttle.h"
#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/hash.h"
#include "mmt/host.h"
#include "mmt/journal.h"
#include "mmt/log.h"
#include "mmt/manifest.h"

namespace mmt {
namespace {

/// Where the system does not tell.
constexpr std::int64_t kUsualL1dBytes = 64 << 10, kUsualL2Bytes = 1 << 20;

std::string shapes_text(const std::vector<OperatorInput>& inputs) {
  std::string text;
  for (const OperatorInput& input : inputs) {
    text += " [";
    for (std::size_t i = 0; i < input.shape.size(); ++i) text += (i ? "," : "") + std::to_string(input.shape[i]);
    text += "]";
  }
  return text;
}

bool is_wanted(const OperatorEntry& entry, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& text) {
           return entry.fingerprint.starts_with(text) || entry.class_name.find(text) != std::string::npos;
         });
}

MeterItem item_of(const OperatorEntry& entry, const OperatorModel& model, const std::string& folder,
                  std::uint64_t seed) {
  MeterItem item;
  item.fingerprint = entry.fingerprint;
  item.context = model.context;
  item.path = (std::filesystem::absolute(folder) / model.file).string();
  for (const OperatorInput& input : entry.inputs)
    item.open.inputs.push_back({"", input.shape, input.low, input.high, input.shared});
  item.open.seed = seed;
  item.open.independent = entry.kind == "model";
  item.file_bytes = model.size_bytes;
  item.file_sha256 = model.sha256;
  item.label = entry.class_name + shapes_text(entry.inputs) + (model.context == "packed" ? " (packed)" : "");
  item.need_total = model.context != "packed";
  return item;
}

/// Why the item's file cannot be what the manifest says; empty where it can.
std::string file_error(const MeterItem& item) {
  if (!file_exists(item.path)) return "not_found: " + item.path + ": the file is missing; generate the folder again";
  const std::int64_t size = file_size(item.path);
  if (item.file_bytes == 0 || size == item.file_bytes) return "";
  return "corrupt: " + item.path + " has " + std::to_string(size) + " bytes, the manifest says " +
         std::to_string(item.file_bytes) + "; generate the folder again";
}

/// What an operator's kernels would not find again in a model, whose other kernels use more than these caches hold: all
/// but the last. Never 0.
std::int64_t displaced_in_models(const Provenance& run) {
  if (run.l3_bytes > 0) return run.l2_bytes > 0 ? run.l2_bytes : kUsualL2Bytes;
  return run.l1d_bytes > 0 ? run.l1d_bytes : kUsualL1dBytes;
}

/// The way that operators and whole models have in common: resume, measure, write down. `as_inside`: of models.
FolderReport measure(metering::Hooks hooks, std::vector<MeterItem> items, const std::string& journal, Engine& engine,
                     const FolderOptions& options, bool as_inside, Clock& clock, const ProgressHook& progress,
                     const StopHook& stop) {
  FolderReport report;
  report.journal = journal;
  report.run = collect_provenance(engine.facts(), options.config, options.device);
  report.run.seed = options.meter.seed;
  // Other devices than the CPU have caches of their own.
  if (as_inside && engine.facts().per_kernel) {
    report.run.displace_bytes = displaced_in_models(report.run);
    report.run.protocol = kProtocol;
  }

  const metering::EarlierRuns earlier(journal, report.run.config_id());
  MeterOptions meter_options = options.meter;
  if (meter_options.reference.empty()) {
    // The same model in every run of a folder, so that later runs can continue on the scale of earlier ones.
    const auto first = std::find_if(items.begin(), items.end(),
                                    [](const MeterItem& item) { return item.need_total && file_error(item).empty(); });
    if (first != items.end()) {
      hooks.reference = *first;
      hooks.reference_us = options.again ? 0 : earlier.hot_us(*first);
    }
  }
  const auto all = static_cast<int>(items.size());
  if (!options.again) {
    hooks.known_kernels = earlier.known_kernels(items, std::min(options.meter.min_times, options.meter.times));
    items = earlier.skip_done(items, options.retry_failed);
  }
  const int skipped = all - static_cast<int>(items.size());
  meter_options.displace_bytes = report.run.displace_bytes;
  if (meter_options.cache_bytes == 0)
    meter_options.cache_bytes = largest_cache_bytes(report.run.l3_bytes, report.run.cpus_online);
  if (meter_options.evict_bytes == 0) meter_options.evict_bytes = meter_options.cache_bytes;
  metering::ThrottleWatch watch(options.config.cpus, options.max_celsius);
  if (!hooks.throttled) hooks.throttled = [&watch] { return watch.throttled(); };

  report.result.skipped = skipped;
  if (items.empty()) return report;  // Nothing to write down, not even that somebody looked.
  JournalWriter writer(journal, report.run);
  std::map<std::pair<std::string, std::string>, std::string> labels;
  for (const MeterItem& item : items) labels[{item.fingerprint, item.context}] = item.label;
  const ProfileSink sink = [&](const ModelProfile& profile) {
    writer.append(profile);
    if (!profile.flags.empty()) ++report.flagged;
    if (profile.status == "failed") {
      report.failures.emplace_back(labels[{profile.fingerprint, profile.context}], profile.reason);
    }
  };
  if (!hooks.unfinished) hooks.unfinished = [&writer](const ModelProfile& profile) { writer.append(profile); };
  int broken = 0;
  std::erase_if(items, [&](const MeterItem& item) {
    const std::string error = file_error(item);
    if (error.empty()) return false;
    ModelProfile profile;
    profile.fingerprint = item.fingerprint;
    profile.context = item.context;
    profile.status = "failed";
    profile.reason = error;
    profile.file_sha256 = item.file_sha256;
    profile.measured_at = utc_now_text();
    sink(profile);
    ++broken;
    return true;
  });
  const ProgressHook counted = [&](MeterProgress state) {
    writer.flush();
    if (!progress) return;
    state.done += skipped + broken;
    state.failed += broken;
    state.total = all;
    progress(state);
  };
  report.result = metering::meter_with(hooks, engine, items, meter_options, clock, sink, counted, stop);
  writer.append(report.result.cache);
  report.result.skipped = skipped;
  report.result.failed += broken;
  return report;
}

}  // namespace

Provenance collect_provenance(const EngineFacts& facts, const EngineConfig& config, const std::string& device) {
  const HostFacts host = read_host_facts();
  Provenance run;
  run.device = !device.empty() ? device : !host.board.empty() ? host.board : host.hostname;
  run.cpu = host.cpu_model;
  run.os = host.os;
  run.config = config;
  run.facts = facts;
  run.mmt_version = MMT_VERSION;
  run.l1d_bytes = std::max<std::int64_t>(host.l1d_bytes, 0);
  run.l2_bytes = std::max<std::int64_t>(host.l2_bytes, 0);
  run.l3_bytes = std::max<std::int64_t>(host.l3_bytes, 0);
  run.cpus_online = std::max(host.cpus_online, 0);
  run.governor = host.governor;
  run.started_at = utc_now_text();
  return run;
}

FolderReport metering::meter_folder_with(const Hooks& hooks, const std::string& folder, Engine& engine,
                                         const FolderOptions& options, Clock& clock, const ProgressHook& progress,
                                         const StopHook& stop) {
  const Manifest manifest = read_manifest(folder);
  std::vector<MeterItem> items;
  int unconverted = 0;
  for (const OperatorEntry& entry : manifest.operators) {
    if (!is_wanted(entry, options.only)) continue;
    if (entry.models.empty()) ++unconverted;
    for (const OperatorModel& model : entry.models) {
      // The packed context tells kernels apart; an engine without times per kernel has nothing to say there.
      if (model.context == "packed" && !engine.facts().per_kernel) continue;
      items.push_back(item_of(entry, model, folder, options.meter.seed));
    }
  }
  if (!options.only.empty() && items.empty() && unconverted == 0) {
    throw Error(ErrorCode::kNotFound, folder + ": no operator's fingerprint or class matches '" + options.only.front() +
                                          (options.only.size() > 1 ? "' or the other filters" : "'"));
  }
  FolderReport report =
      measure(hooks, std::move(items), folder + "/" + kJournalName, engine, options, true, clock, progress, stop);
  report.unconverted = unconverted;
  return report;
}

FolderReport metering::meter_models_with(const Hooks& hooks, const std::vector<ModelFile>& models,
                                         const std::string& journal_folder, Engine& engine,
                                         const FolderOptions& options, Clock& clock, const ProgressHook& progress,
                                         const StopHook& stop) {
  std::vector<MeterItem> items;
  for (const ModelFile& model : models) {
    MeterItem item;
    item.path = std::filesystem::absolute(model.path).string();
    item.file_bytes = file_size(item.path);
    item.file_sha256 = sha256_file_hex(item.path);
    item.fingerprint = item.file_sha256.substr(0, 32);
    item.context = "model";
    item.open = model.open;
    item.open.independent = true;
    item.label = std::filesystem::path(model.path).filename().string();
    items.push_back(std::move(item));
  }
  make_folders(journal_folder);
  return measure(hooks, std::move(items), journal_folder + "/" + kJournalName, engine, options, false, clock, progress,
                 stop);
}

FolderReport meter_folder(const std::string& folder, Engine& engine, const FolderOptions& options, Clock& clock,
                          const ProgressHook& progress, const StopHook& stop) {
  return metering::meter_folder_with({}, folder, engine, options, clock, progress, stop);
}

FolderReport meter_models(const std::vector<ModelFile>& models, const std::string& journal_folder, Engine& engine,
                          const FolderOptions& options, Clock& clock, const ProgressHook& progress,
                          const StopHook& stop) {
  return metering::meter_models_with({}, models, journal_folder, engine, options, clock, progress, stop);
}

std::vector<ModelFile> list_models(const std::string& folder) {
  std::vector<ModelFile> models;
  std::error_code reason;
  for (const auto& entry : std::filesystem::directory_iterator(folder, reason)) {
    if (entry.path().extension() == ".mnn") models.push_back({entry.path().string(), {}});
  }
  if (reason) throw Error(ErrorCode::kNotFound, folder + ": " + reason.message());
  if (models.empty()) throw Error(ErrorCode::kNotFound, folder + ": holds no .mnn file");
  std::sort(models.begin(), models.end(), [](const ModelFile& a, const ModelFile& b) { return a.path < b.path; });
  return models;
}

}  // namespace mmt
