// Metering an operator folder, or a folder of whole models: what `mmt meter` and `mmt-meter` do.
//
//   auto engine = mmt::start_worker_engine(…);
//   mmt::FolderReport report = mmt::meter_folder("ops", *engine, {.config = config}, mmt::system_clock());
//
// Results go line by line into `<folder>/latency.jsonl` (mmt/journal.h). A second call measures what is new, changed,
// or was left with few samples by a budget; rows of other devices, engines and configurations are kept beside.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mmt/clock.h"
#include "mmt/engine.h"
#include "mmt/meter.h"
#include "mmt/profile.h"

namespace mmt {

struct FolderOptions {
  MeterOptions meter;
  EngineConfig config;            ///< What the engine was started with; it becomes part of the rows' identity.
  std::string device;             ///< Name of this device; empty: its board or host name.
  std::vector<std::string> only;  ///< Fingerprints (or their beginnings) and parts of class names; empty: all.
  bool again = false;             ///< Measure also what the journal holds already.
  bool retry_failed = false;      ///< Measure also what failed before.
  double max_celsius = 95;        ///< A sensor above counts as throttling.
};

struct FolderReport {
  MeterResult result;   ///< `skipped`: done in an earlier run.
  std::string journal;  ///< Path of the file that was written.
  Provenance run;
  std::vector<std::pair<std::string, std::string>> failures;  ///< Label and reason.
  int flagged = 0;                                            ///< Measured rows that carry a noise flag.
  int unconverted = 0;  ///< Operators of the manifest without files; they are no failures of the meter.
};

/// Measures the operators of `<folder>/ops.json`. Throws Error(kNotFound, kParse) for the manifest, Error(kIo) where
/// the journal cannot be written or another meter is at work in the folder, and what meter() throws.
FolderReport meter_folder(const std::string& folder, Engine& engine, const FolderOptions& options, Clock& clock,
                          const ProgressHook& progress = {}, const StopHook& stop = {});

/// One whole model for meter_models().
struct ModelFile {
  std::string path;
  OpenOptions open;  ///< Shapes and ranges of its inputs; empty: as the model says.
};

/// Measures whole models, with their kernels, in rounds like operators. The journal goes to `journal_folder`; the
/// identity of a model is the hash of its file, its context "model".
FolderReport meter_models(const std::vector<ModelFile>& models, const std::string& journal_folder, Engine& engine,
                          const FolderOptions& options, Clock& clock, const ProgressHook& progress = {},
                          const StopHook& stop = {});

/// The `.mnn` files of a folder, by name. Throws Error(kNotFound) where there are none.
std::vector<ModelFile> list_models(const std::string& folder);

/// What is known of this machine and engine. `started_at` is the present.
Provenance collect_provenance(const EngineFacts& facts, const EngineConfig& config, const std::string& device = "");

}  // namespace mmt
