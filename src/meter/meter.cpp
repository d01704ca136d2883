#include "mmt/meter.h"

#include "meter/run.h"

namespace mmt {
namespace metering {

MeterResult meter_with(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& items,
                       const MeterOptions& options, Clock& clock, const ProfileSink& sink, const ProgressHook& progress,
                       const StopHook& stop) {
  Hooks complete = hooks;
  if (!complete.plan) {
    complete.plan = [](const std::string& path, const SessionDesc& session) {
      return plan_kernels(path, session, std::string(kStubPrefix));
    };
  }
  if (!complete.utc_now) complete.utc_now = &utc_now_text;
  return Run(complete, engine, items, options, clock, sink, progress, stop).go();
}

}  // namespace metering

MeterResult meter(Engine& engine, const std::vector<MeterItem>& items, const MeterOptions& options, Clock& clock,
                  const ProfileSink& sink, const ProgressHook& progress, const StopHook& stop) {
  return metering::meter_with({}, engine, items, options, clock, sink, progress, stop);
}

}  // namespace mmt
