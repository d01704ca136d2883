// mmt-meter: measures on a device that has MNN and nothing else.
//
// Exit codes: 0 done, 1 some rows failed, 2 wrong use or no engine, 130 interrupted (what is finished is kept).
#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "describe.h"
#include "engine_start.h"
#include "mmt/error.h"
#include "mmt/log.h"
#include "mmt/worker.h"
#include "options.h"
#include "progress.h"

namespace mmt::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kExitInterrupted = 130;

std::atomic<bool> interrupted{false};

void on_interrupt(int) {
  interrupted = true;
  std::signal(SIGINT, SIG_DFL);  // A second one ends the program at once; the journal stands that.
}

/// Whether a backend is built in and finds its device shows when it is started.
void probe_backends(Options options, EngineProbe& engine) {
  for (const std::string& name : backend_names()) {
    options.folder.config.backend = name;
    try {
      start_engine(options);
      engine.backends.push_back(name);
    } catch (const Error&) {
      engine.missing_backends.push_back(name);
    }
  }
}

int describe(const Options& options) {
  const HostFacts host = read_host_facts();
  EngineProbe engine;
  try {
    engine.facts = start_engine(options)->facts();
    engine.code = code_paths(engine.facts->library);
  } catch (const Error& failure) {
    engine.error = failure.what();
  }
  if (engine.facts) probe_backends(options, engine);
  const std::string text = options.json ? describe_json(host, engine) : describe_text(host, engine);
  std::fputs(text.c_str(), stdout);
  return 0;
}

/// The engine checks its numbers when it starts; what is left is whether this machine's clock and CPU allow measuring.
int self_test(const Options& options) {
  const EngineFacts facts = start_engine(options)->facts();
  const CpuTimes before = read_cpu_times();
  Clock& clock = system_clock();
  std::chrono::nanoseconds step = std::chrono::hours(1), last = clock.now();
  const std::chrono::nanoseconds end = last + std::chrono::milliseconds(300);
  while (last < end) {
    const std::chrono::nanoseconds now = clock.now();
    if (now > last) step = std::min(step, now - last);
    last = now;
  }
  const double steal = steal_share(before, read_cpu_times());
  const bool fine = step < std::chrono::microseconds(1);
  if (options.json) {
    const Json json{{"engine", facts.name + " " + facts.version},
                    {"build", facts.build},
                    {"backend", facts.backend},
                    {"threads", facts.threads},
                    {"computes_right", true},
                    {"clock_step_ns", step.count()},
                    {"steal_share", steal < 0 ? Json() : Json(steal)},
                    {"passed", fine}};
    std::printf("%s\n", json.dump(1).c_str());
  } else {
    std::printf("engine    %s %s (%s), %s, %d threads: computes right\n", facts.name.c_str(), facts.version.c_str(),
                facts.build.c_str(), facts.backend.c_str(), facts.threads);
    std::printf("clock     steps of %lld ns%s\n", static_cast<long long>(step.count()), fine ? "" : ": too coarse");
    if (steal >= 0) std::printf("steal     %.1f %% of the CPU time in the last 0.3 s\n", 100 * steal);
  }
  return fine ? 0 : 1;
}

Json report_json(const FolderReport& report) {
  const MeterResult& result = report.result;
  Json failures = Json::array();
  for (const auto& [label, reason] : report.failures) failures.push_back({{"operator", label}, {"reason", reason}});
  return {{"journal", report.journal},
          {"config_id", report.run.config_id()},
          {"measured", result.measured},
          {"failed", result.failed},
          {"skipped", result.skipped},
          {"unconverted", report.unconverted},
          {"flagged", report.flagged},
          {"interrupted", result.interrupted},
          {"budget_ended", result.budget_ended},
          {"wall_s", result.wall_s},
          {"engine_share", result.engine_share},
          {"rounds", result.rounds},
          {"kernels", result.kernels_total},
          {"kernels_shared", result.kernels_shared},
          {"failures", failures}};
}

void print_report(const FolderReport& report) {
  const MeterResult& result = report.result;
  std::printf(
      "%d measured, %d failed, %d done before, %d with noise flags; %s in %d rounds, %.0f %% of it in the engine\n",
      result.measured, result.failed, result.skipped, report.flagged, clock_text(result.wall_s).c_str(), result.rounds,
      100 * result.engine_share);
  if (result.kernels_total > 0) {
    std::printf("%lld kernels, %lld of them shared\n", static_cast<long long>(result.kernels_total),
                static_cast<long long>(result.kernels_shared));
  }
  for (const auto& [label, reason] : report.failures) std::printf("failed: %s: %s\n", label.c_str(), reason.c_str());
  if (report.unconverted > 0) std::printf("%d operators have no files: see ops.json\n", report.unconverted);
  if (result.interrupted) std::printf("interrupted; the same command goes on\n");
  if (result.budget_ended) std::printf("the budget ended the run; the same command refines the rows\n");
  std::printf("written to %s\n", report.journal.c_str());
}

int measure(const Options& options) {
  ProgressLine line(!options.quiet && !options.json);
  set_log_hook([&line](LogLevel level, const std::string& text) {
    if (level < LogLevel::kWarning) return;
    line.clear();
    std::fprintf(stderr, "mmt-meter: %s\n", text.c_str());
  });
  std::signal(SIGINT, &on_interrupt);
  std::signal(SIGTERM, &on_interrupt);
  const auto engine = start_engine(options);
  const ProgressHook progress = [&line](const MeterProgress& state) { line.show(state); };
  const StopHook stop = [] { return interrupted.load(); };
  const FolderReport report =
      options.models_folder.empty()
          ? meter_folder(options.ops_folder, *engine, options.folder, system_clock(), progress, stop)
          : meter_models(list_models(options.models_folder), options.models_folder, *engine, options.folder,
                         system_clock(), progress, stop);
  line.clear();
  set_log_hook({});
  if (options.json) {
    std::printf("%s\n", report_json(report).dump(1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    print_report(report);
  }
  if (report.result.interrupted) return kExitInterrupted;
  return report.result.failed > 0 ? 1 : 0;
}

int run(int argc, char** argv) {
  int exit_code = 0;
  const std::optional<Options> options = parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  if (options->worker) {
    return worker_main(kWorkerInFd, kWorkerOutFd,
                       [&] { return load_engine(options->plugin, parse_engine_config(options->worker_config)); });
  }
  if (options->describe) return describe(*options);
  if (options->self_test) return self_test(*options);
  return measure(*options);
}

}  // namespace
}  // namespace mmt::app

int main(int argc, char** argv) {
  try {
    return mmt::app::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mmt-meter: %s\n", error.what());
    return 2;
  }
}
