// What the command line of mmt-meter says.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "mmt/meter_folder.h"

namespace mmt::app {

struct Options {
  std::string ops_folder;
  std::string models_folder;
  FolderOptions folder;
  std::string plugin;  ///< Empty: looked for.
  std::chrono::milliseconds call_timeout{120'000};
  bool describe = false, self_test = false, json = false, quiet = false;
  bool worker = false;        ///< Serve a parent process.
  std::string worker_config;  ///< EngineConfig as JSON.
};

/// Empty where the command line is done with already (help, version, mistakes); then `exit_code` is set.
/// Throws Error(kInvalidArgument) for values that make no sense here, such as processors that do not exist.
std::optional<Options> parse_options(int argc, char** argv, int& exit_code);

}  // namespace mmt::app
