// mmt._core.base: host facts, hashes and the log hook.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "mmt/clock.h"
#include "mmt/hash.h"
#include "mmt/host.h"
#include "mmt/log.h"

namespace nb = nanobind;

namespace {

const char* level_name(mmt::LogLevel level) {
  switch (level) {
    case mmt::LogLevel::kDebug:
      return "debug";
    case mmt::LogLevel::kInfo:
      return "info";
    case mmt::LogLevel::kWarning:
      return "warning";
    case mmt::LogLevel::kError:
      return "error";
  }
  return "error";
}

/// The hook may be called from any thread and dropped without the interpreter lock held.
void set_hook(const nb::object& callable) {
  if (callable.is_none()) {
    mmt::set_log_hook({});
    return;
  }
  const std::shared_ptr<nb::object> held(new nb::object(callable), [](nb::object* object) {
    const nb::gil_scoped_acquire lock;
    delete object;
  });
  mmt::set_log_hook([held](mmt::LogLevel level, const std::string& line) {
    const nb::gil_scoped_acquire lock;
    try {
      (*held)(level_name(level), line);
    } catch (nb::python_error& error) {
      // A hook cannot fail the measurement that it reports on; Python shows such errors through sys.unraisablehook.
      error.discard_as_unraisable("mmt log hook");
    }
  });
}

nb::dict cpu_dict(const mmt::CpuFacts& cpu) {
  nb::dict d;
  d["cpu"] = cpu.cpu;
  d["min_mhz"] = cpu.min_mhz;
  d["max_mhz"] = cpu.max_mhz;
  d["limit_mhz"] = cpu.limit_mhz;
  d["current_mhz"] = cpu.current_mhz;
  d["capacity"] = cpu.capacity;
  d["governor"] = cpu.governor;
  d["model"] = cpu.model;
  return d;
}

nb::dict host_dict(const mmt::HostFacts& host) {
  nb::dict d;
  d["hostname"] = host.hostname;
  d["cpu_model"] = host.cpu_model;
  d["board"] = host.board;
  d["os"] = host.os;
  d["kernel"] = host.kernel;
  d["architecture"] = host.architecture;
  d["cpus_online"] = host.cpus_online;
  d["l1d_bytes"] = host.l1d_bytes;
  d["l2_bytes"] = host.l2_bytes;
  d["l3_bytes"] = host.l3_bytes;
  d["governor"] = host.governor;
  d["turbo"] = host.turbo;
  d["smt"] = host.smt;
  d["huge_pages"] = host.huge_pages;
  d["cpu_quota"] = host.cpu_quota;
  d["load_1min"] = host.load_1min;
  d["virtualised"] = host.virtualised;
  d["memory_total_bytes"] = host.memory_total_bytes;
  d["memory_available_bytes"] = host.memory_available_bytes;
  nb::list cpus, clusters, temperatures;
  for (const auto& cpu : host.cpus) cpus.append(cpu_dict(cpu));
  for (const auto& cluster : host.clusters) {
    nb::dict c;
    c["name"] = cluster.name;
    c["cpus"] = cluster.cpus;
    c["max_mhz"] = cluster.max_mhz;
    c["capacity"] = cluster.capacity;
    clusters.append(c);
  }
  for (const auto& sensor : host.temperatures) {
    nb::dict t;
    t["name"] = sensor.name;
    t["celsius"] = sensor.celsius;
    temperatures.append(t);
  }
  d["cpus"] = cpus;
  d["clusters"] = clusters;
  d["temperatures"] = temperatures;
  return d;
}

mmt::CpuTimes times_of(const nb::dict& ticks) {
  return {nb::cast<std::int64_t>(ticks["total"]), nb::cast<std::int64_t>(ticks["idle"]),
          nb::cast<std::int64_t>(ticks["steal"])};
}

}  // namespace

void bind_base(nb::module_& m) {
  m.def(
      "host_facts", [](const std::string& root) { return host_dict(mmt::read_host_facts(root)); }, nb::arg("root") = "",
      "Facts about this machine as a dict. '' and -1 mean unreadable. Sizes in bytes, frequencies in MHz.\n"
      "root: prefix of /proc and /sys, for tests.");
  m.def(
      "select_cpus",
      [](const std::string& text, const std::string& root) {
        return mmt::select_cpus(mmt::read_host_facts(root), text);
      },
      nb::arg("text"), nb::arg("root") = "",
      "Processor numbers of a cluster name ('big', 'little', 'all') or list ('0-3,6').");
  m.def(
      "cpu_times",
      [](int cpu, const std::string& root) {
        const mmt::CpuTimes times = mmt::read_cpu_times(cpu, root);
        nb::dict d;
        d["total"] = times.total;
        d["idle"] = times.idle;
        d["steal"] = times.steal;
        return d;
      },
      nb::arg("cpu") = -1, nb::arg("root") = "",
      "Ticks since boot of all processors (-1) or of one: total, idle, steal; -1 where unreadable.");
  m.def(
      "steal_share",
      [](const nb::dict& before, const nb::dict& after) { return mmt::steal_share(times_of(before), times_of(after)); },
      nb::arg("before"), nb::arg("after"),
      "Share of the time between two `cpu_times` that was stolen (0 to 1); -1 where unreadable or no tick has passed.");
  m.def(
      "busy_share",
      [](const nb::dict& before, const nb::dict& after) { return mmt::busy_share(times_of(before), times_of(after)); },
      nb::arg("before"), nb::arg("after"), "Share of the time between two `cpu_times` that was not idle; -1 as above.");
  m.def(
      "timer_resolution_ns", [] { return mmt::timer_resolution(mmt::system_clock()).count(); },
      "Smallest step between two readings of the clock that measurements use, in nanoseconds.");
  m.def(
      "sha256_hex",
      [](const nb::bytes& bytes) {
        return mmt::sha256_hex({bytes.c_str(), bytes.size()});
      },
      nb::arg("data"), "SHA-256 of bytes, 64 hexadecimal digits.");
  m.def("sha256_file_hex", &mmt::sha256_file_hex, nb::arg("path"), nb::call_guard<nb::gil_scoped_release>(),
        "SHA-256 of a file's content. MmtError 'io' where it cannot be read.");
  m.def(
      "identity_hex",
      [](const nb::bytes& bytes) {
        return mmt::identity_hex({bytes.c_str(), bytes.size()});
      },
      nb::arg("data"), "First 32 digits of SHA-256: the form of fingerprints and kernel keys.");
  m.def("set_log_hook", &set_hook, nb::arg("hook").none(),
        "hook(level, line) receives every line that the library logs, from any thread; level is 'debug', 'info',\n"
        "'warning' or 'error'. None drops them (the default).");
  // The hook holds a Python object: it must be gone before the interpreter is.
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] { mmt::set_log_hook({}); }));
}
