// Finding and starting the engine of the device program.
#pragma once

#include <memory>
#include <string>

#include "mmt/engine.h"
#include "options.h"

namespace mmt::app {

/// The plugin library: --plugin, the environment variable MMT_ENGINE_PLUGIN, or a library of the usual name beside this
/// program, in ../lib/mmt or in the build folder. Throws Error(kNotFound) that lists where it looked.
std::string find_plugin(const std::string& asked);

/// This program again, as the worker that runs the models. The words of the environment variable MMT_WORKER_LAUNCHER
/// come before it: "taskset 30", or the emulator where this program runs under one.
std::unique_ptr<Engine> start_engine(const Options& options);

}  // namespace mmt::app
