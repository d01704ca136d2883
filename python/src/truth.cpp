// Measuring whole models for Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "mmt/stats.h"
#include "mmt/truth.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Subject = std::tuple<std::string, std::string, std::vector<std::pair<double, double>>>;

std::vector<mmt::MeterItem> to_items(const std::vector<Subject>& subjects, const std::string& context) {
  std::vector<mmt::MeterItem> items;
  for (const auto& [label, path, ranges] : subjects) {
    mmt::MeterItem item;
    item.label = label;
    item.path = path;
    item.context = context;
    for (const auto& [low, high] : ranges) item.open.inputs.push_back({"", {}, low, high});
    items.push_back(std::move(item));
  }
  return items;
}

nb::dict to_dict(const mmt::Truth& truth) {
  nb::dict row;
  row["label"] = truth.label;
  row["fingerprint"] = truth.fingerprint;
  row["reason"] = truth.reason;
  row["median_us"] = truth.total.median_us;
  row["expected_us"] = mmt::expected_us(truth.total);
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
    kernel["expected_us"] = mmt::expected_us(profile.hot);
    kernels.append(kernel);
  }
  row["kernels"] = kernels;
  return row;
}

}  // namespace

void bind_truth(nb::module_& m) {
  m.def("largest_cache_bytes", &mmt::largest_cache_bytes, "known_bytes"_a, "processors"_a,
        "What so many processors can use of the largest cache; a usual size where the system tells nothing (0 or "
        "less).");
  m.def(
      "measure",
      [](mmt::Engine& engine, const std::vector<Subject>& models, const std::vector<Subject>& companions, int rounds,
         int runs, std::uint64_t seed, bool profile, nb::object on_progress, std::int64_t cache_bytes,
         std::int64_t displace_bytes) {
        mmt::TruthOptions options;
        options.rounds = rounds;
        options.runs = runs;
        options.seed = seed;
        options.profile = profile;
        options.cache_bytes = cache_bytes;
        options.displace_bytes = displace_bytes;
        bool interrupted = false;
        const mmt::ProgressHook progress = [&](const mmt::MeterProgress& state) {
          const nb::gil_scoped_acquire gil;
          if (PyErr_CheckSignals() != 0) {
            interrupted = true;
            return;
          }
          if (!on_progress.is_none()) on_progress(state.done, state.total, state.left_s);
        };
        mmt::TruthReport report;
        {
          const nb::gil_scoped_release release;
          report = mmt::measure_truth(engine, to_items(models, "model"), to_items(companions, "plain"), options,
                                      mmt::system_clock(), progress, [&] { return interrupted; });
        }
        if (interrupted) throw nb::python_error();
        nb::list rows;
        for (const mmt::Truth& truth : report.models) rows.append(to_dict(truth));
        nb::dict kernels;
        for (const mmt::FreshKernel& kernel : report.kernels) {
          kernels[kernel.key.c_str()] =
              nb::make_tuple(mmt::expected_us(kernel.cold), mmt::expected_us(kernel.hot),
                             mmt::median_standard_error(kernel.cold), mmt::median_standard_error(kernel.hot));
        }
        nb::dict result;
        result["models"] = rows;
        result["kernels"] = kernels;
        result["cache"] =
            nb::make_tuple(report.cache.bytes, report.cache.loop_us, report.cache.extra_us, report.cache.cold_extra_us,
                           report.cache.reread_extra_us, report.cache.reread_cold_extra_us);
        result["drift"] = report.drift;
        return result;
      },
      "engine"_a, "models"_a, "companions"_a, "rounds"_a, "runs"_a, "seed"_a, "profile"_a, "on_progress"_a = nb::none(),
      "cache_bytes"_a = 0, "displace_bytes"_a = 0,
      "Measures .mnn files in rounds of random order; models and companions: (label, path, ranges) with one (low, "
      "high) per input, or none.\n"
      "Returns models (one dictionary each), kernels of the companions (key -> cold, hot, and their standard errors), "
      "what chains of the\n"
      "companions told of a cache of `cache_bytes` (bytes, time of the loop, extra and cold extra; 0: no chains), and "
      "the drift of "
      "each stretch of a round. `displace_bytes`: before each run of a companion (mmt::RunRequest). "
      "Times in\n"
      "microseconds.");
}
