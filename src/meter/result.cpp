#include "meter/result.h"

#include <algorithm>

#include "mmt/stats.h"

namespace mmt::metering {
namespace {

constexpr double kManyDisturbed = 0.25;  ///< Share of visits or columns above which a row is flagged.
constexpr double kVeryWide = 3;          ///< Times the asked width.
constexpr double kWeighty = 0.1;         ///< Share of a model's time from which a kernel can flag the model.

struct Verdict {
  bool wide = false;   ///< Wider than asked for: the summary is marked.
  bool noisy = false;  ///< So much wider that the whole row is flagged.
  bool bimodal = false, few = false;
  void add(const Verdict& other) {
    wide |= other.wide;
    noisy |= other.noisy;
    bimodal |= other.bimodal;
    few |= other.few;
  }
};

/// `judged`: the quantity that the stopping rule looked at; the samples of all models for shared kernels.
Verdict judge(const Quantity& judged, std::span<const double> values, const Precision& precision) {
  Verdict verdict;
  verdict.bimodal = find_modes(values).bimodal;
  verdict.few = judged.wanted(precision);
  verdict.wide = verdict.bimodal || !judged.settled();
  verdict.noisy =
      verdict.bimodal || (verdict.wide && judged.relative_width() > kVeryWide * judged.tolerance(precision));
  return verdict;
}

Summary summary_of(std::span<const Sample> samples, const Quantity& judged, const ProfileContext& context,
                   Verdict& verdict) {
  const std::vector<double> values = on_scale(samples, context.scale.factors());
  verdict = judge(judged, values, context.precision);
  Summary summary = summarize(values);
  summary.noisy = summary.count > 0 && verdict.wide;
  return summary;
}

std::string join_flags(const std::vector<std::pair<bool, const char*>>& flags) {
  std::string text;
  for (const auto& [is_set, name] : flags) {
    if (is_set) add_flag(text, name);
  }
  return text;
}

double reference_in(const std::vector<int>& columns, std::span<const Sample> reference) {
  std::vector<double> values;
  for (const Sample& sample : reference) {
    if (std::binary_search(columns.begin(), columns.end(), sample.column)) values.push_back(sample.us);
  }
  return values.empty() ? 0 : median(values);
}

}  // namespace

ModelProfile make_failed_profile(const ItemState& state, const std::string& reason, const std::string& utc) {
  ModelProfile profile;
  profile.fingerprint = state.item->fingerprint;
  profile.context = state.item->context;
  profile.status = "failed";
  profile.reason = reason;
  profile.file_bytes = state.item->file_bytes;
  profile.file_sha256 = state.item->file_sha256;
  profile.measured_at = utc;
  return profile;
}

ModelProfile make_profile(const ItemState& state, const ProfileContext& context, const std::string& utc) {
  ModelProfile profile = make_failed_profile(state, "", utc);
  profile.status = "ok";
  profile.inputs = state.plan.inputs;
  profile.outputs = state.plan.outputs;
  profile.weight_bytes = state.plan.weight_bytes;
  profile.memory_mib = state.memory_mib;
  profile.resident_mib = state.resident_mib;
  profile.peak_mib = state.peak_mib;
  profile.mflops = state.mflops;
  profile.rounds = state.rounds;
  profile.reference_us = reference_in(state.columns, context.reference);

  Verdict overall, verdict;
  profile.cold = summary_of(state.total_cold.samples(), state.total_cold, context, verdict);
  if (state.item->need_total) overall.add(verdict);
  profile.hot = summary_of(state.total_hot.samples(), state.total_hot, context, verdict);
  if (state.item->need_total) overall.add(verdict);

  if (context.per_kernel) {
    double sum_us = 0;
    for (const int key : state.keys) sum_us += key < 0 ? 0 : context.pool[key].cold.median_us();
    Quantity unjudged;  // Of kernels that nobody asked for.
    unjudged.settle();
    for (std::size_t i = 0; i < state.plan.kernels.size(); ++i) {
      KernelProfile& kernel = profile.kernels.emplace_back();
      kernel.kernel = state.plan.kernels[i];
      const int key = state.keys[i];
      Verdict cold, hot;
      kernel.cold = summary_of(state.cold[i], key < 0 ? unjudged : context.pool[key].cold, context, cold);
      kernel.hot = summary_of(state.hot[i], key < 0 ? unjudged : context.pool[key].hot, context, hot);
      if (key < 0) continue;
      cold.add(hot);
      if (context.pool[key].cold.median_us() < kWeighty * sum_us) cold.noisy = cold.bimodal = false;
      overall.add(cold);
    }
  }

  const auto disturbed = [&](bool Disturbance::*kind) {
    const auto count = std::count_if(state.columns.begin(), state.columns.end(),
                                     [&](int column) { return context.scale.disturbance(column).*kind; });
    return static_cast<double>(count) > kManyDisturbed * static_cast<double>(state.columns.size());
  };
  profile.flags = join_flags({{overall.noisy, "noisy"},
                              {overall.bimodal, "bimodal"},
                              {disturbed(&Disturbance::steal), "steal"},
                              {state.migrated_visits > kManyDisturbed * state.visits, "migrated"},
                              {disturbed(&Disturbance::throttled), "throttled"},
                              {state.on_cpu, "cpu_kernels"},
                              {overall.few, "few"}});
  return profile;
}

bool has_some_of_everything(const ItemState& state, const KernelPool& pool) {
  const auto has = [](const Quantity& quantity) { return quantity.settled() || quantity.count() > 0; };
  if (state.item->need_total && !(has(state.total_cold) && has(state.total_hot))) return false;
  return std::all_of(state.keys.begin(), state.keys.end(),
                     [&](int key) { return key < 0 || (has(pool[key].cold) && has(pool[key].hot)); });
}

}  // namespace mmt::metering
