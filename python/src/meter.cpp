// The meter for Python: folders and whole models, with progress and Ctrl-C; manifests and journals as JSON text.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <exception>

#include "mmt/journal.h"
#include "mmt/manifest.h"
#include "mmt/meter_folder.h"
#include "mmt/profile_fields.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

nb::dict progress_dict(const mmt::MeterProgress& state) {
  nb::dict d;
  d["done"] = state.done;
  d["total"] = state.total;
  d["failed"] = state.failed;
  d["noise"] = state.noise;
  d["elapsed_s"] = state.elapsed_s;
  d["left_s"] = state.left_s;
  d["engine_share"] = state.engine_share;
  d["current"] = state.current;
  return d;
}

nb::dict report_dict(const mmt::FolderReport& report) {
  const mmt::MeterResult& result = report.result;
  nb::dict d;
  d["journal"] = report.journal;
  d["config_id"] = report.run.config_id();
  d["measured"] = result.measured;
  d["failed"] = result.failed;
  d["skipped"] = result.skipped;
  d["unconverted"] = report.unconverted;
  d["flagged"] = report.flagged;
  d["interrupted"] = result.interrupted;
  d["budget_ended"] = result.budget_ended;
  d["wall_s"] = result.wall_s;
  d["engine_share"] = result.engine_share;
  d["rounds"] = result.rounds;
  d["kernels_total"] = result.kernels_total;
  d["kernels_shared"] = result.kernels_shared;
  d["failures"] = nb::cast(report.failures);
  return d;
}

/// Looks after the interpreter while the meter runs without its lock: signals, progress, exceptions of the callback.
class Watch {
 public:
  explicit Watch(nb::object on_progress) : on_progress_(std::move(on_progress)) {}

  mmt::ProgressHook progress_hook() {
    return [this](const mmt::MeterProgress& state) {
      if (on_progress_.is_none() || failure_) return;
      const nb::gil_scoped_acquire gil;
      try {
        on_progress_(progress_dict(state));
      } catch (const nb::python_error& error) {
        // Ctrl-C may arrive while the callback runs; it means the same there.
        if (error.matches(PyExc_KeyboardInterrupt)) {
          signalled_ = true;
        } else {
          failure_ = std::current_exception();
        }
      }
    };
  }

  /// Asked before every visit, so the interpreter is looked at only twenty times a second.
  mmt::StopHook stop_hook() {
    return [this] {
      if (failure_ || signalled_) return true;
      const auto now = std::chrono::steady_clock::now();
      if (now - last_ < std::chrono::milliseconds(50)) return false;
      last_ = now;
      const nb::gil_scoped_acquire gil;
      if (PyErr_CheckSignals() != 0) {
        signalled_ = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0;
        if (signalled_) {
          PyErr_Clear();  // The report says that it was interrupted; the caller decides what becomes of it.
        } else {
          failure_ = std::make_exception_ptr(nb::python_error());
        }
      }
      return failure_ || signalled_;
    };
  }

  /// With the interpreter's lock held: what the callback or a signal handler threw.
  void rethrow() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  nb::object on_progress_;
  std::exception_ptr failure_;
  bool signalled_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

template <class Measure>
nb::dict watched(nb::object on_progress, Measure&& measure) {
  Watch watch(std::move(on_progress));
  mmt::FolderReport report;
  {
    const nb::gil_scoped_release unlocked;
    report = measure(watch.progress_hook(), watch.stop_hook());
  }
  watch.rethrow();
  return report_dict(report);
}

template <class T>
void option(nb::class_<mmt::FolderOptions>& options, const char* name, T mmt::MeterOptions::*member) {
  options.def_prop_rw(
      name, [member](const mmt::FolderOptions& o) { return o.meter.*member; },
      [member](mmt::FolderOptions& o, T value) { o.meter.*member = std::move(value); });
}

void duration_option(nb::class_<mmt::FolderOptions>& options, const char* name,
                     std::chrono::nanoseconds mmt::MeterOptions::*member) {
  options.def_prop_rw(
      name, [member](const mmt::FolderOptions& o) { return std::chrono::duration<double>(o.meter.*member).count(); },
      [member](mmt::FolderOptions& o, double seconds) {
        o.meter.*member = std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
      });
}

nb::list field_list(auto fields) {
  nb::list list;
  std::apply(
      [&](const auto&... field) {
        (list.append(nb::make_tuple(std::string(field.name), std::string(field.unit), std::string(field.meaning))),
         ...);
      },
      fields);
  return list;
}

}  // namespace

void bind_meter(nb::module_& m) {
  nb::class_<mmt::FolderOptions> options(m, "FolderOptions", "What to measure and how well. Times in seconds.");
  option(options, "times", &mmt::MeterOptions::times);
  option(options, "min_times", &mmt::MeterOptions::min_times);
  option(options, "target_ci", &mmt::MeterOptions::target_ci);
  option(options, "hot_runs", &mmt::MeterOptions::hot_runs);
  option(options, "settling_runs", &mmt::MeterOptions::settling_runs);
  options.def_prop_ro("runs_per_visit", [](const mmt::FolderOptions& o) { return o.meter.runs_per_visit(); });
  option(options, "seed", &mmt::MeterOptions::seed);
  option(options, "max_steal", &mmt::MeterOptions::max_steal);
  option(options, "max_retries", &mmt::MeterOptions::max_retries);
  option(options, "batch_memory_mib", &mmt::MeterOptions::batch_memory_mib);
  option(options, "share_kernels", &mmt::MeterOptions::share_kernels);
  option(options, "reference", &mmt::MeterOptions::reference);
  option(options, "evict_bytes", &mmt::MeterOptions::evict_bytes);
  duration_option(options, "budget_s", &mmt::MeterOptions::budget);
  duration_option(options, "cooldown_s", &mmt::MeterOptions::cooldown);
  options.def(nb::init<>())
      .def_prop_rw(
          "config", [](const mmt::FolderOptions& o) { return o.config; },
          [](mmt::FolderOptions& o, const mmt::EngineConfig& config) { o.config = config; })
      .def_rw("device", &mmt::FolderOptions::device)
      .def_rw("only", &mmt::FolderOptions::only)
      .def_rw("again", &mmt::FolderOptions::again)
      .def_rw("retry_failed", &mmt::FolderOptions::retry_failed)
      .def_rw("max_celsius", &mmt::FolderOptions::max_celsius);

  m.def(
      "meter_folder",
      [](const std::string& folder, mmt::Engine& engine, const mmt::FolderOptions& options, nb::object on_progress) {
        return watched(std::move(on_progress), [&](const mmt::ProgressHook& progress, const mmt::StopHook& stop) {
          return mmt::meter_folder(folder, engine, options, mmt::system_clock(), progress, stop);
        });
      },
      "folder"_a, "engine"_a, "options"_a, "on_progress"_a = nb::none(),
      "Measures the operators of a folder into its journal. `on_progress` gets dictionaries (done, total, failed, "
      "noise,\n"
      "elapsed_s, left_s, engine_share, current). Ctrl-C ends the run with interrupted=True; finished rows are kept.");
  m.def(
      "meter_models",
      [](const std::vector<std::string>& paths, const std::vector<std::vector<mmt::InputSpec>>& inputs,
         const std::string& journal_folder, mmt::Engine& engine, const mmt::FolderOptions& options,
         nb::object on_progress) {
        std::vector<mmt::ModelFile> models;
        for (std::size_t i = 0; i < paths.size(); ++i) {
          mmt::OpenOptions open;
          if (i < inputs.size()) open.inputs = inputs[i];
          open.seed = options.meter.seed;
          models.push_back({paths[i], std::move(open)});
        }
        return watched(std::move(on_progress), [&](const mmt::ProgressHook& progress, const mmt::StopHook& stop) {
          return mmt::meter_models(models, journal_folder, engine, options, mmt::system_clock(), progress, stop);
        });
      },
      "paths"_a, "inputs"_a, "journal_folder"_a, "engine"_a, "options"_a, "on_progress"_a = nb::none(),
      "Measures whole .mnn models; `inputs`: specifications per model, [] where its own inputs will do.");
  m.def(
      "list_models",
      [](const std::string& folder) {
        std::vector<std::string> paths;
        for (const mmt::ModelFile& model : mmt::list_models(folder)) paths.push_back(model.path);
        return paths;
      },
      "folder"_a, "The .mnn files of a folder, by name.");
  m.def(
      "read_journal",
      [](const std::string& path) {
        nb::list rows;
        const mmt::JournalReport report = mmt::read_journal(path, [&](const mmt::JournalEntry& entry) {
          rows.append(
              nb::make_tuple(entry.config_id, mmt::provenance_json(entry.run), mmt::profile_json(entry.profile)));
        });
        return nb::make_tuple(rows, report.dropped, report.first_drop);
      },
      "path"_a,
      "(rows, dropped, first_drop): rows are (config_id, provenance, profile) with the last two as JSON text; dropped\n"
      "lines are torn or damaged, first_drop names the first of them.");
  m.def(
      "read_manifest", [](const std::string& folder) { return mmt::manifest_text(mmt::read_manifest(folder)); },
      "folder"_a, "ops.json of a folder, checked, as JSON text.");
  m.def(
      "write_manifest",
      [](const std::string& folder, const std::string& text) {
        mmt::write_manifest(folder, mmt::parse_manifest(text, folder + "/ops.json"));
      },
      "folder"_a, "text"_a, "Checks a manifest and writes it so that a reader sees the old or the new one.");
  m.def(
      "parse_duration_s",
      [](const std::string& text) { return std::chrono::duration<double>(mmt::parse_duration(text)).count(); },
      "text"_a, "'10m', '30s', '1.5h' in seconds.");
  m.attr("JOURNAL_NAME") = mmt::kJournalName;
  m.attr("MANIFEST_NAME") = mmt::kManifestName;
  m.attr("SUMMARY_FIELDS") = field_list(mmt::FieldList<mmt::Summary>::fields);
  m.attr("PROFILE_FIELDS") = field_list(mmt::FieldList<mmt::ModelProfile>::fields);
  m.attr("KERNEL_FIELDS") = field_list(mmt::FieldList<mmt::KernelProfile>::fields);
  m.attr("PROVENANCE_FIELDS") = field_list(mmt::FieldList<mmt::Provenance>::fields);
}
