// Measuring whole models for Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "mmt/truth.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

nb::dict to_dict(const mmt::Truth& truth) {
  nb::dict row;
  row["label"] = truth.label;
  row["fingerprint"] = truth.fingerprint;
  row["reason"] = truth.reason;
  row["median_us"] = truth.total.median_us;
  row["ci_low_us"] = truth.total.ci_low_us;
  row["ci_high_us"] = truth.total.ci_high_us;
  row["visits"] = truth.total.count;
  row["noisy"] = truth.total.noisy;
  row["half_a_us"] = truth.half_a_us;
  row["half_b_us"] = truth.half_b_us;
  row["memory_mib"] = truth.memory_mib;
  row["resident_mib"] = truth.resident_mib;
  nb::list kernels;
  for (const mmt::KernelProfile& profile : truth.kernels) {
    nb::dict kernel;
    kernel["type"] = profile.kernel.signature.type;
    kernel["text"] = profile.kernel.signature.text;
    kernel["key"] = profile.kernel.signature.key;
    kernel["median_us"] = profile.hot.median_us;
    kernels.append(kernel);
  }
  row["kernels"] = kernels;
  return row;
}

}  // namespace

void bind_truth(nb::module_& m) {
  m.def(
      "measure",
      [](mmt::Engine& engine, const std::vector<std::pair<std::string, std::string>>& models, const std::vector<mmt::OpenOptions>& open,
         int rounds, int runs, std::uint64_t seed, bool profile, nb::object on_progress) {
        std::vector<mmt::MeterItem> items;
        for (std::size_t i = 0; i < models.size(); ++i) {
          mmt::MeterItem item;
          item.label = models[i].first;
          item.path = models[i].second;
          item.context = "model";
          if (i < open.size()) item.open = open[i];
          items.push_back(std::move(item));
        }
        mmt::TruthOptions options;
        options.rounds = rounds;
        options.runs = runs;
        options.seed = seed;
        options.profile = profile;
        bool interrupted = false;
        const mmt::ProgressHook progress = [&](const mmt::MeterProgress& state) {
          const nb::gil_scoped_acquire gil;
          if (PyErr_CheckSignals() != 0) {
            interrupted = true;
            return;
          }
          if (!on_progress.is_none()) on_progress(state.done, state.total, state.left_s);
        };
        std::vector<mmt::Truth> truths;
        {
          const nb::gil_scoped_release release;
          truths = mmt::measure_truth(engine, items, options, mmt::system_clock(), progress, [&] { return interrupted; });
        }
        if (interrupted) throw nb::python_error();
        nb::list rows;
        for (const mmt::Truth& truth : truths) rows.append(to_dict(truth));
        return rows;
      },
      "engine"_a, "models"_a, "open"_a, "rounds"_a, "runs"_a, "seed"_a, "profile"_a, "on_progress"_a = nb::none(),
      "Measures .mnn files in rounds of random order. models: (label, path) pairs. Returns one dictionary each, times in microseconds.");
}
