// A fake engine with models whose kernels are known by their names, and a meter around it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "meter/hooks.h"
#include "mmt/meter.h"
#include "support/fake_engine.h"

namespace mmt::testing {

/// The key of a kernel is its name: kernels of the same name in two models are the same kernel.
inline KernelPlan plan_by_name(const std::string&, const SessionDesc& session) {
  KernelPlan plan;
  for (const KernelDesc& kernel : session.kernels) {
    PlannedKernel planned;
    planned.signature.type = kernel.type;
    planned.signature.key = kernel.name;
    planned.signature.weight_bytes = 1 << 20;
    if (kernel.type == "Stub") planned.role = KernelRole::kStub;
    plan.kernels.push_back(planned);
    plan.weight_bytes += planned.signature.weight_bytes;
  }
  plan.inputs.resize(session.inputs.size());
  plan.outputs.resize(session.outputs.size());
  return plan;
}

struct Bench {
  FakeClock clock;
  FakeEngine engine{clock};
  std::vector<MeterItem> items;
  MeterOptions options;
  metering::Hooks hooks;
  std::vector<ModelProfile> profiles, unfinished;
  std::vector<MeterProgress> progress;
  StopHook stop;

  Bench() {
    hooks.plan = &plan_by_name;
    hooks.utc_now = [] { return std::string("2026-01-01T00:00:00Z"); };
  }

  FakeModel& add(const std::string& path, std::vector<FakeKernel> kernels, bool need_total = true) {
    engine.program(path, fake_model(std::move(kernels)));
    MeterItem item;
    item.fingerprint = path;
    item.context = need_total ? "plain" : "packed";
    item.path = item.label = path;
    item.need_total = need_total;
    items.push_back(item);
    return engine.model(path);
  }

  MeterResult run() {
    profiles.clear();
    progress.clear();
    return metering::meter_with(
        hooks, engine, items, options, clock, [this](const ModelProfile& profile) { profiles.push_back(profile); },
        [this](const MeterProgress& state) { progress.push_back(state); }, stop);
  }

  const ModelProfile& profile(const std::string& path) const {
    for (const ModelProfile& profile : profiles) {
      if (profile.fingerprint == path) return profile;
    }
    throw Error(ErrorCode::kNotFound, "no profile of " + path);
  }

  long visits_of(const std::string& path) const { return std::count(engine.visits.begin(), engine.visits.end(), path); }
};

}  // namespace mmt::testing
