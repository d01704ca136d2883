#include "engine_start.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "mmt/error.h"
#include "mmt/file.h"
#include "mmt/worker.h"

namespace mmt::app {
namespace {

constexpr const char* kPluginName = "mmt_engine_mnn_sdk.so";
constexpr const char* kPluginVariable = "MMT_ENGINE_PLUGIN";

std::filesystem::path own_path() {
  std::error_code reason;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", reason);
  if (reason) throw Error(ErrorCode::kIo, "/proc/self/exe cannot be read: " + reason.message());
  return path;
}

}  // namespace

std::string find_plugin(const std::string& asked) {
  if (!asked.empty()) {
    if (!file_exists(asked)) throw Error(ErrorCode::kNotFound, "--plugin " + asked + ": there is no such file");
    return std::filesystem::absolute(asked).string();
  }
  if (const char* given = std::getenv(kPluginVariable); given != nullptr && *given != '\0') {
    if (file_exists(given)) return std::filesystem::absolute(given).string();
    throw Error(ErrorCode::kNotFound, std::string(kPluginVariable) + "=" + given + ": there is no such file");
  }
  const std::filesystem::path folder = own_path().parent_path();
  std::string tried;
  for (const char* place : {".", "../lib/mmt", "../../plugins"}) {
    const std::string path = (folder / place / kPluginName).lexically_normal().string();
    if (file_exists(path)) return path;
    tried += "\n  " + path;
  }
  throw Error(ErrorCode::kNotFound, "no engine plugin: give --plugin LIBRARY or set " + std::string(kPluginVariable) +
                                        "; build it with -DMNN_ROOT=/path/to/MNN. Looked for:" + tried);
}

std::unique_ptr<Engine> start_engine(const Options& options) {
  WorkerOptions worker;
  if (const char* launcher = std::getenv("MMT_WORKER_LAUNCHER"); launcher != nullptr) {
    std::istringstream words(launcher);
    for (std::string word; words >> word;) worker.argv.push_back(word);
  }
  for (const std::string& word :
       {own_path().string(), std::string("--worker"), std::string("--plugin"), find_plugin(options.plugin),
        std::string("--config"), engine_config_json(options.folder.config)}) {
    worker.argv.push_back(word);
  }
  worker.call_timeout = options.call_timeout;
  return start_worker_engine(worker);
}

}  // namespace mmt::app
