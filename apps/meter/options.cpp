#include "options.h"

#include <CLI/CLI.hpp>

#include "mmt/error.h"
#include "mmt/host.h"

namespace mmt::app {

std::optional<Options> parse_options(int argc, char** argv, int& exit_code) {
  Options options;
  MeterOptions& meter = options.folder.meter;
  EngineConfig& config = options.folder.config;
  std::string budget, cooldown, cpus;
  double timeout_s = 120;

  CLI::App app("Measures the operators of a folder on this device and writes their times to its latency.jsonl.",
               "mmt-meter");
  app.set_version_flag("--version", std::string("mmt-meter ") + MMT_VERSION);
  app.add_option("ops", options.ops_folder, "operator folder: ops.json and models/");
  app.add_option("--models", options.models_folder, "measure the .mnn files of this folder instead");
  app.add_option("--times", meter.times, "at most this many samples of a quantity")->capture_default_str();
  app.add_option("--min-times", meter.min_times, "at least this many before a quantity may stop")
      ->capture_default_str();
  app.add_option("--ci", meter.target_ci, "stop when the median's interval is this narrow (share)")
      ->capture_default_str();
  app.add_option("--budget", budget, "the best table within this time: 30s, 10m, 1h");
  app.add_option("--threads", config.threads, "threads of the engine")->capture_default_str();
  app.add_option("--backend", config.backend, "cpu, opencl, vulkan, cuda, metal …")->capture_default_str();
  app.add_option("--precision", config.precision, "normal, high, low, low_bf16")->capture_default_str();
  app.add_option("--memory", config.memory, "normal, high, low")->capture_default_str();
  app.add_option("--power", config.power, "normal, high, low")->capture_default_str();
  app.add_option("--cpus", cpus, "processors to run on: 4-7, big, little");
  app.add_option("--cooldown", cooldown, "wait at most this long where the CPU throttles (otherwise rows are flagged)");
  app.add_option("--max-celsius", options.folder.max_celsius, "a sensor above counts as throttling")
      ->capture_default_str();
  app.add_option("--only", options.folder.only, "only these fingerprints or parts of class names");
  app.add_flag("--again", options.folder.again, "measure also what the journal holds already");
  app.add_flag("--retry-failed", options.folder.retry_failed, "measure also what failed before");
  app.add_option("--device", options.folder.device, "name of this device in the table (default: board or host name)");
  app.add_option("--seed", meter.seed, "seed of orders and inputs")->capture_default_str();
  app.add_option("--batch-memory", meter.batch_memory_mib, "MiB that open models may take")->capture_default_str();
  app.add_option("--timeout", timeout_s, "seconds after which a model that does not answer counts as hanging")
      ->capture_default_str();
  app.add_option("--plugin", options.plugin, "the engine plugin library");
  app.add_flag("--describe", options.describe, "print what is known of this device and engine");
  app.add_flag("--selftest", options.self_test, "start the engine, check that it computes right and how steady it is");
  app.add_flag("--json", options.json, "print the result as JSON");
  app.add_flag("--quiet", options.quiet, "no progress line");
  app.add_flag("--worker", options.worker)->group("");
  app.add_option("--config", options.worker_config)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  if (options.worker) return options;

  const int tasks = (options.ops_folder.empty() ? 0 : 1) + (options.models_folder.empty() ? 0 : 1) +
                    (options.describe ? 1 : 0) + (options.self_test ? 1 : 0);
  if (tasks != 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "give one of: an operator folder, --models FOLDER, --describe, --selftest (see --help)");
  }
  if (config.threads < 1) throw Error(ErrorCode::kInvalidArgument, "--threads must be at least 1");
  if (!(timeout_s > 0)) throw Error(ErrorCode::kInvalidArgument, "--timeout must be above 0");
  options.call_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1000));
  if (!budget.empty()) meter.budget = parse_duration(budget);
  if (!cooldown.empty()) meter.cooldown = parse_duration(cooldown);
  if (!cpus.empty()) config.cpus = select_cpus(read_host_facts(), cpus);
  return options;
}

}  // namespace mmt::app
