#include "mmt/meter.h"

#include "meter/run.h"

namespace mmt {
namespace metering {

Hooks complete(Hooks hooks) {
  if (!hooks.plan) {
    hooks.plan = [](const std::string& path, const SessionDesc& session) {
      return plan_kernels(path, session, std::string(kStubPrefix));
    };
  }
  if (!hooks.utc_now) hooks.utc_now = &utc_now_text;
  return hooks;
}

MeterResult meter_with(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& items,
                       const MeterOptions& options, Clock& clock, const ProfileSink& sink, const ProgressHook& progress,
                       const StopHook& stop) {
  const Hooks whole = complete(hooks);
  return Run(whole, engine, items, options, clock, sink, progress, stop).go();
}

}  // namespace metering

MeterResult meter(Engine& engine, const std::vector<MeterItem>& items, const MeterOptions& options, Clock& clock,
                  const ProfileSink& sink, const ProgressHook& progress, const StopHook& stop) {
  return metering::meter_with({}, engine, items, options, clock, sink, progress, stop);
}

}  // namespace mmt
