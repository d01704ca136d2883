// Engines for Python: configuration, worker engines, sessions and their descriptions.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstring>

#include "mmt/engine.h"
#include "mmt/error.h"
#include "mmt/worker.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// A NumPy array that owns a copy of `values`.
template <class T>
nb::object array_of(const std::vector<T>& values, std::initializer_list<std::size_t> shape) {
  T* data = new T[values.size() + 1];
  if (!values.empty()) std::memcpy(data, values.data(), values.size() * sizeof(T));
  nb::capsule owner(data, [](void* pointer) noexcept { delete[] static_cast<T*>(pointer); });
  return nb::cast(nb::ndarray<nb::numpy, T>(data, shape, owner));
}

nb::dict run_to_python(mmt::Session& session, int runs, bool profile, std::int64_t displace_bytes) {
  mmt::RunSamples samples;
  {
    nb::gil_scoped_release unlocked;
    samples = session.run({runs, profile, displace_bytes});
  }
  nb::dict out;
  out["run_us"] = array_of(samples.run_us, {samples.run_us.size()});
  if (profile) {
    const std::size_t rows = samples.run_us.size();
    out["kernel_us"] = array_of(samples.kernel_us, {rows, rows == 0 ? 0 : samples.kernel_us.size() / rows});
  }
  out["timed_us"] = samples.timed_us;
  out["overhead_us"] = samples.overhead_us;
  out["steal_share"] = samples.steal_share;
  out["migrations"] = samples.migrations;
  return out;
}

using FloatArray = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

nb::list compute_to_python(mmt::Session& session, const std::vector<FloatArray>& inputs) {
  std::vector<std::vector<float>> values, results;
  for (const FloatArray& input : inputs) values.emplace_back(input.data(), input.data() + input.size());
  {
    nb::gil_scoped_release unlocked;
    results = session.compute(values);
  }
  nb::list out;
  for (const std::vector<float>& result : results) out.append(array_of(result, {result.size()}));
  return out;
}

void bind_descriptions(nb::module_& m) {
  nb::class_<mmt::TensorDesc>(m, "TensorDesc", "One tensor of a session. `id`: the same number is the same tensor.")
      .def_ro("id", &mmt::TensorDesc::id)
      .def_ro("shape", &mmt::TensorDesc::shape)
      .def_prop_ro("layout", [](const mmt::TensorDesc& t) { return mmt::layout_name(t.layout); })
      .def_ro("dtype", &mmt::TensorDesc::dtype)
      .def_ro("name", &mmt::TensorDesc::name)
      .def_ro("constant", &mmt::TensorDesc::constant)
      .def("__repr__", [](const mmt::TensorDesc& t) {
        std::string shape;
        for (const int extent : t.shape) shape += (shape.empty() ? "" : ",") + std::to_string(extent);
        return "<tensor " + std::to_string(t.id) + " [" + shape + "] " + t.dtype + " " + mmt::layout_name(t.layout) +
               ">";
      });
  nb::class_<mmt::RegionDesc>(m, "RegionDesc", "One copy that a Raster kernel makes, in elements.")
      .def_ro("origin", &mmt::RegionDesc::origin)
      .def_prop_ro("size", [](const mmt::RegionDesc& r) { return nb::make_tuple(r.size[0], r.size[1], r.size[2]); })
      .def_ro("src_offset", &mmt::RegionDesc::src_offset)
      .def_prop_ro(
          "src_stride",
          [](const mmt::RegionDesc& r) { return nb::make_tuple(r.src_stride[0], r.src_stride[1], r.src_stride[2]); })
      .def_ro("dst_offset", &mmt::RegionDesc::dst_offset)
      .def_prop_ro("dst_stride", [](const mmt::RegionDesc& r) {
        return nb::make_tuple(r.dst_stride[0], r.dst_stride[1], r.dst_stride[2]);
      });
  nb::class_<mmt::KernelDesc>(m, "KernelDesc", "One command of the engine's schedule.")
      .def_ro("name", &mmt::KernelDesc::name)
      .def_ro("type", &mmt::KernelDesc::type)
      .def_ro("mflops", &mmt::KernelDesc::mflops)
      .def_ro("inputs", &mmt::KernelDesc::inputs)
      .def_ro("outputs", &mmt::KernelDesc::outputs)
      .def_ro("regions", &mmt::KernelDesc::regions)
      .def("__repr__", [](const mmt::KernelDesc& k) { return "<kernel " + k.type + " '" + k.name + "'>"; });
  nb::class_<mmt::SessionDesc>(m, "SessionDesc", "A model as the engine will run it. Tensors ordered by name.")
      .def_ro("kernels", &mmt::SessionDesc::kernels)
      .def_ro("inputs", &mmt::SessionDesc::inputs)
      .def_ro("outputs", &mmt::SessionDesc::outputs)
      .def_ro("memory_mib", &mmt::SessionDesc::memory_mib)
      .def_ro("mflops", &mmt::SessionDesc::mflops)
      .def_ro("cpu_kernels", &mmt::SessionDesc::cpu_kernels);
}

void bind_configuration(nb::module_& m) {
  nb::class_<mmt::EngineConfig>(m, "EngineConfig", "How the engine is to run; two configurations never share rows.")
      .def(
          "__init__",
          [](mmt::EngineConfig* self, std::string backend, int threads, std::string precision, std::string memory,
             std::string power, std::vector<int> cpus) {
            new (self) mmt::EngineConfig{std::move(backend), threads,          std::move(precision),
                                         std::move(memory),  std::move(power), std::move(cpus)};
          },
          "backend"_a = "cpu", "threads"_a = 1, "precision"_a = "high", "memory"_a = "normal", "power"_a = "normal",
          "cpus"_a = std::vector<int>{})
      .def_rw("backend", &mmt::EngineConfig::backend)
      .def_rw("threads", &mmt::EngineConfig::threads)
      .def_rw("precision", &mmt::EngineConfig::precision)
      .def_rw("memory", &mmt::EngineConfig::memory)
      .def_rw("power", &mmt::EngineConfig::power)
      .def_rw("cpus", &mmt::EngineConfig::cpus)
      .def("to_json", &mmt::engine_config_json)
      .def_static("from_json", &mmt::parse_engine_config, "json"_a)
      .def("__repr__", [](const mmt::EngineConfig& c) { return "EngineConfig(" + mmt::engine_config_json(c) + ")"; });
  nb::class_<mmt::EngineFacts>(m, "EngineFacts", "What really runs, read back from the engine.")
      .def_ro("name", &mmt::EngineFacts::name)
      .def_ro("version", &mmt::EngineFacts::version)
      .def_ro("build", &mmt::EngineFacts::build)
      .def_ro("backend", &mmt::EngineFacts::backend)
      .def_ro("threads", &mmt::EngineFacts::threads)
      .def_ro("per_kernel", &mmt::EngineFacts::per_kernel)
      .def_ro("library", &mmt::EngineFacts::library)
      .def_ro("build_flags", &mmt::EngineFacts::build_flags);
  m.def("build_flag_list", &mmt::build_flag_list, "build_flags"_a,
        "Name and value of each option in EngineFacts.build_flags.");
  m.def("build_flags_text", &mmt::build_flags_text, "build_flags"_a,
        "For people: the options that are on and those that are no switches, or that they are unknown.");
  m.def(
      "code_paths",
      [](const std::string& library) {
        std::map<std::string, std::string> found;
        for (const mmt::CodePath& path : mmt::code_paths(library)) found[path.name] = path.found;
        return found;
      },
      nb::arg("library"), "Instruction sets that a library of MNN holds code for: name to yes, no or unknown.");
  m.def("backend_names", &mmt::backend_names, "Backends that are worth a try.");
  m.attr("USUAL_SHARED") = mmt::kUsualShared;
  nb::class_<mmt::InputSpec>(
      m, "InputSpec",
      "How one input is shaped and filled: values in [low, high), of which neighbours have `shared`, a share of "
      "that range, in common.")
      .def(
          "__init__",
          [](mmt::InputSpec* self, std::string name, std::vector<int> shape, double low, double high, double shared) {
            new (self) mmt::InputSpec{std::move(name), std::move(shape), low, high, shared};
          },
          "name"_a = "", "shape"_a = std::vector<int>{}, "low"_a = -1.0, "high"_a = 1.0, "shared"_a = mmt::kUsualShared)
      .def_rw("name", &mmt::InputSpec::name)
      .def_rw("shape", &mmt::InputSpec::shape)
      .def_rw("low", &mmt::InputSpec::low)
      .def_rw("high", &mmt::InputSpec::high)
      .def_rw("shared", &mmt::InputSpec::shared);
}

void bind_engines(nb::module_& m) {
  nb::class_<mmt::Session>(m, "Session", "One opened model.")
      .def_prop_ro("desc", &mmt::Session::desc, nb::rv_policy::reference_internal)
      .def("run", &run_to_python, "runs"_a = 1, "profile"_a = false, "displace_bytes"_a = 0,
           "Runs on fresh input; with `displace_bytes`, after the caches were made what a kernel finds inside a model. "
           "Returns a dict: run_us [runs], kernel_us [runs, kernels] where profiled, timed_us, "
           "overhead_us, steal_share (0..1, -1 unknown), migrations (-1 unknown).")
      .def("compute", &compute_to_python, "inputs"_a,
           "Runs once on the given float32 arrays (one per input, in the order of desc.inputs); returns flat float32 "
           "arrays, one per desc.outputs.");
  nb::class_<mmt::Engine>(m, "Engine", "What runs .mnn models. To be used by one thread at a time.")
      .def_prop_ro("facts", &mmt::Engine::facts, nb::rv_policy::copy)
      .def(
          "open",
          [](mmt::Engine& engine, const std::string& path, const std::vector<mmt::InputSpec>& inputs,
             std::uint64_t seed, bool independent) {
            nb::gil_scoped_release unlocked;
            return engine.open(path, {inputs, seed, independent});
          },
          "path"_a, "inputs"_a = std::vector<mmt::InputSpec>{}, "seed"_a = 1, "independent"_a = false,
          nb::keep_alive<0, 1>(),
          "Loads a model. `independent`: its inputs are noise; otherwise signs come in runs, as inside a network. "
          "Raises MmtError with code 'engine', 'not_found', 'crashed' or 'timeout'.")
      .def("restart", &mmt::Engine::restart, nb::call_guard<nb::gil_scoped_release>(),
           "Starts again after 'crashed' or 'timeout'; sessions of before stay lost.")
      .def_prop_ro("resident_mib", [](mmt::Engine& engine) { return engine.memory().resident_mib; });
}

}  // namespace

void bind_engine(nb::module_& m) {
  bind_descriptions(m);
  bind_configuration(m);
  bind_engines(m);
  m.attr("WORKER_IN_FD") = mmt::kWorkerInFd;
  m.attr("WORKER_OUT_FD") = mmt::kWorkerOutFd;
  m.def("load_engine", &mmt::load_engine, "plugin_path"_a, "config"_a, nb::call_guard<nb::gil_scoped_release>(),
        "Starts a plugin's engine in this process.");
  m.def(
      "start_worker_engine",
      [](std::vector<std::string> argv, std::vector<std::string> env, double start_timeout_s, double call_timeout_s) {
        const auto milliseconds = [](double seconds) {
          return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1e3));
        };
        nb::gil_scoped_release unlocked;
        return mmt::start_worker_engine(
            {std::move(argv), std::move(env), milliseconds(start_timeout_s), milliseconds(call_timeout_s)});
      },
      "argv"_a, "env"_a = std::vector<std::string>{}, "start_timeout_s"_a = 60.0, "call_timeout_s"_a = 120.0,
      "Starts a worker process and returns its engine.");
  m.def(
      "worker_main",
      [](int in_fd, int out_fd, const std::string& plugin_path, const std::string& config_json) {
        nb::gil_scoped_release unlocked;
        return mmt::worker_main(in_fd, out_fd,
                                [&] { return mmt::load_engine(plugin_path, mmt::parse_engine_config(config_json)); });
      },
      "in_fd"_a, "out_fd"_a, "plugin_path"_a, "config_json"_a,
      "The worker process's side: serves a plugin's engine until the parent closes its end; returns the exit code.");
  m.def(
      "worker_failed",
      [](int in_fd, int out_fd, const std::string& code, const std::string& message) {
        nb::gil_scoped_release unlocked;
        return mmt::worker_main(in_fd, out_fd, [&]() -> std::unique_ptr<mmt::Engine> {
          throw mmt::Error(code == "not_found" ? mmt::ErrorCode::kNotFound : mmt::ErrorCode::kUnsupported, message);
        });
      },
      "in_fd"_a, "out_fd"_a, "code"_a, "message"_a,
      "Reports to the parent that this worker cannot start ('not_found' or 'unsupported'); returns the exit code.");
}
