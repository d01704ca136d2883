#include "engine_mnn/engine.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "engine_mnn/self_test.h"
#if defined(MMT_MNN_BUILD_FLAGS)
#include "mnn_build_flags.h"
#endif
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

#if defined(MMT_MNN_SDK)
constexpr const char* kBuild = "sdk";
#else
constexpr const char* kBuild = "wheel";
#endif

#if !defined(MMT_MNN_BUILD_FLAGS)
constexpr const char* kMnnBuildFlags = "";
#endif

#if !defined(MMT_MNN_INTERNAL_HEADERS)
/// Versions that our own declarations were compared with.
constexpr std::string_view kCheckedVersions[] = {"3.6.1"};

void require_checked_version(const std::string& version) {
  std::string list;
  for (const std::string_view checked : kCheckedVersions) {
    if (version == checked) return;
    list += (list.empty() ? "" : ", ") + std::string(checked);
  }
  throw Error(ErrorCode::kUnsupported,
              "MNN " + version + " is not supported by this plugin, which knows " + list +
                  ": install one of these, for example `pip install MNN==" + std::string(kCheckedVersions[0]) +
                  "`, or build the plugin against MNN's sources (-DMNN_ROOT=…)");
}
#else
void require_checked_version(const std::string&) {}
#endif

}  // namespace

MnnEngine::MnnEngine(const EngineConfig& config) : config_(config) {
  if (config.threads < 1) throw Error(ErrorCode::kInvalidArgument, "threads must be at least 1");
  forward_type(config.backend);
  facts_.name = "mnn";
  facts_.version = MNN::getVersion();
  require_checked_version(facts_.version);
  // Before MNN starts its threads, so that they stay on these processors as well.
  pin_to(config.cpus);
  const SelfTestResult found = self_test(config, runtime_, shared_);
  facts_.backend = found.backend;
  facts_.per_kernel = found.backend == "cpu";
  facts_.threads = facts_.per_kernel ? found.threads : 1;
  if (facts_.per_kernel && found.threads != config.threads)
    throw Error(ErrorCode::kUnsupported, "asked for " + std::to_string(config.threads) +
                                             " threads, but MNN would run " + std::to_string(found.threads) +
                                             " here: ask for at most that many");
  if (facts_.per_kernel) shared_.caches.use_threads(facts_.threads);
  if (!facts_.per_kernel) anchor_.emplace(self_test_model(config, runtime_));
  facts_.library = library_of(reinterpret_cast<const void*>(&MNN::getVersion));
  facts_.build = std::string(kBuild) + " " + short_file_hash(facts_.library);
  facts_.build_flags = kMnnBuildFlags;
}

std::unique_ptr<MnnSession> MnnEngine::open(const std::string& path, const OpenOptions& options) {
  if (facts_.per_kernel) shared_.placement.prepare();  // Wanted by the session's first run.
  // MNN tells the memory of a runtime, which these sessions share.
  const double held_mib = anchor_ ? anchor_->memory_mib() : 0;
  Model model = Model::from_file(path, config_, options.inputs, runtime_);
  if (facts_.per_kernel && model.threads() != facts_.threads)
    throw Error(ErrorCode::kEngine, path + ": MNN would run " + std::to_string(model.threads()) +
                                        " threads instead of " + std::to_string(facts_.threads));
  auto session = std::make_unique<MnnSession>(std::move(model), path, options, shared_, !facts_.per_kernel);
  session->subtract_memory(held_mib);
  return session;
}

ProcessMemory MnnEngine::memory() const {
  ProcessMemory memory = process_memory();
  const double spare_mib = static_cast<double>(shared_.placement.spare_bytes()) / (1024 * 1024);
  memory.resident_mib -= spare_mib;
  memory.peak_mib -= spare_mib;
  return memory;
}

}  // namespace mmt::mnn
