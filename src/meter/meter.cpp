#include "mmt/meter.h"

#include <ctime>

#include "meter/run.h"

namespace mmt {
namespace metering {

std::string utc_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

MeterResult meter_with(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& items,
                       const MeterOptions& options, Clock& clock, const ProfileSink& sink, const ProgressHook& progress,
                       const StopHook& stop) {
  Hooks complete = hooks;
  if (!complete.plan) {
    complete.plan = [](const std::string& path, const SessionDesc& session) {
      return plan_kernels(path, session, std::string(kStubPrefix));
    };
  }
  if (!complete.utc_now) complete.utc_now = &utc_text;
  return Run(complete, engine, items, options, clock, sink, progress, stop).go();
}

}  // namespace metering

MeterResult meter(Engine& engine, const std::vector<MeterItem>& items, const MeterOptions& options, Clock& clock,
                  const ProfileSink& sink, const ProgressHook& progress, const StopHook& stop) {
  return metering::meter_with({}, engine, items, options, clock, sink, progress, stop);
}

}  // namespace mmt
