// How to get an engine: from a plugin library in this process, or from one in a child process that may be lost.
//
//   child:   mmt::worker_main(mmt::kWorkerInFd, mmt::kWorkerOutFd, [&] { return mmt::load_engine(plugin, config); });
//   parent:  auto engine = mmt::start_worker_engine({.argv = {"mmt-meter", "--worker", …}});
//            auto session = engine->open("a.mnn", {});
//
// The parent's engine and its sessions are ordinary Engine and Session objects. Once a call threw kCrashed or kTimeout
// the child is gone: every call fails in the same way until Engine::restart(), and sessions of before stay lost.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mmt/engine.h"

namespace mmt {

/// Loads the plugin library at `plugin_path` and starts its engine in this process. The library stays loaded.
/// Engines set the processor affinity of the calling thread where `config.cpus` says so.
/// Throws Error(kNotFound, kUnsupported) where the library cannot be used, and whatever the plugin refuses.
std::unique_ptr<Engine> load_engine(const std::string& plugin_path, const EngineConfig& config);

/// File descriptors that a worker's child finds open: requests and answers.
inline constexpr int kWorkerInFd = 3;
inline constexpr int kWorkerOutFd = 4;

using EngineFactory = std::function<std::unique_ptr<Engine>()>;

/// The child's side: makes the engine, serves requests until the parent closes its end, and returns the exit code.
/// A failure of the factory is reported to the parent. Ends the whole process (_exit) where the parent vanishes in the
/// middle of a call, so that a hanging engine does not stay behind.
int worker_main(int in_fd, int out_fd, const EngineFactory& factory);

struct WorkerOptions {
  std::vector<std::string> argv;  ///< Command of the child; looked up in PATH where it holds no slash.
  std::vector<std::string> env;   ///< "NAME=value", in addition to this process's environment.
  std::chrono::milliseconds start_timeout{60'000};  ///< Until the engine is made and has passed its own checks.
  std::chrono::milliseconds call_timeout{120'000};  ///< For each call after that.
};

/// The parent's side: starts the child, waits until its engine is made. The child's standard output is dropped, the end
/// of its standard error is quoted in the message where it is lost.
/// Throws Error(kNotFound) where the command cannot be started, kCrashed, kTimeout, or what the factory threw.
std::unique_ptr<Engine> start_worker_engine(const WorkerOptions& options);

/// EngineConfig as the JSON text that a worker's command line carries, and back. Throws Error(kParse).
std::string engine_config_json(const EngineConfig& config);
EngineConfig parse_engine_config(const std::string& json);

}  // namespace mmt
