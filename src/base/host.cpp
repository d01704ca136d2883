#include "mmt/host.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/cpu_facts.h"
#include "base/sys_files.h"
#include "mmt/error.h"
#include "mmt/file.h"

namespace mmt {
namespace {

const char* program_architecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__i386__)
  return "x86";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__arm__)
  return "arm";
#elif defined(__riscv) && __riscv_xlen == 64
  return "riscv64";
#elif defined(__loongarch64)
  return "loongarch64";
#elif defined(__powerpc64__)
  return "ppc64";
#else
  return "";
#endif
}

void add_word(std::string& words, const std::string& word, const char* separator) {
  if (word.empty()) return;
  const std::string padded = separator + words + separator;
  if (padded.find(separator + word + separator) != std::string::npos) return;
  if (!words.empty()) words += separator;
  words += word;
}

void read_names(const std::string& root, HostFacts& host) {
  host.hostname = read_line(root + "/proc/sys/kernel/hostname");
  char name[256] = {};
  if (host.hostname.empty() && root.empty() && ::gethostname(name, sizeof name - 1) == 0) host.hostname = name;

  host.kernel =
      trimmed(read_line(root + "/proc/sys/kernel/ostype") + " " + read_line(root + "/proc/sys/kernel/osrelease"));
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    if (host.os.empty()) host.os = field_of(read_small_file(root + path), "PRETTY_NAME", '=');
  }
  const std::string properties = read_small_file(root + "/system/build.prop");
  const std::string android = field_of(properties, "ro.build.version.release", '=');
  if (host.os.empty() && !android.empty()) host.os = "Android " + android;
  if (host.os.empty()) host.os = host.kernel;

  host.board = read_line(root + "/proc/device-tree/model");
  if (host.board.empty()) host.board = field_of(properties, "ro.product.model", '=');
  if (host.board.empty()) {
    const std::string dmi = root + "/sys/class/dmi/id/";
    host.board = trimmed(read_line(dmi + "sys_vendor") + " " + read_line(dmi + "product_name"));
  }
  // Device trees end their strings with a zero byte.
  std::erase(host.board, '\0');
}

void read_caches(const std::string& root, HostFacts& host) {
  bool any = false;
  for (const CpuFacts& cpu : host.cpus) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu.cpu) + "/cache/";
    for (const std::string& index : list_folder(folder, "index")) {
      const std::string type = read_line(folder + index + "/type");
      const std::string level = read_line(folder + index + "/level");
      const std::int64_t size = parse_size(read_line(folder + index + "/size"));
      if (type == "Instruction" || size <= 0) continue;
      any = true;
      std::int64_t* target = level == "1" ? &host.l1d_bytes : level == "2" ? &host.l2_bytes : &host.l3_bytes;
      if (level == "1" || level == "2" || level == "3") *target = std::max(*target, size);
    }
  }
  if (any && host.l3_bytes < 0) host.l3_bytes = 0;
#if defined(__GLIBC__)
  if (!any && root.empty()) {
    const auto ask = [](int name, std::int64_t& bytes) {
      const long value = ::sysconf(name);
      if (value > 0) bytes = value;
    };
    ask(_SC_LEVEL1_DCACHE_SIZE, host.l1d_bytes);
    ask(_SC_LEVEL2_CACHE_SIZE, host.l2_bytes);
    ask(_SC_LEVEL3_CACHE_SIZE, host.l3_bytes);
  }
#endif
}

int read_virtualised(const std::string& root) {
  const std::string info = read_small_file(root + "/proc/cpuinfo", 1 << 16);
  const std::string flags = std::string(" ").append(field_of(info, "flags", ':')).append(" ");
  if (flags.find(" hypervisor ") != std::string::npos) return 1;
  if (file_exists(root + "/sys/hypervisor/type")) return 1;
  const std::string dmi = root + "/sys/class/dmi/id/";
  const std::string vendor = read_line(dmi + "sys_vendor") + " " + read_line(dmi + "product_name");
  for (const char* word : {"QEMU", "KVM", "VMware", "VirtualBox", "Xen", "Virtual Machine", "Bochs", "Parallels",
                           "Amazon EC2", "Google Compute Engine", "OpenStack"}) {
    // Metal instances carry the vendor's name, but say what they are.
    if (vendor.find(word) != std::string::npos && vendor.find("metal") == std::string::npos) return 1;
  }
  // x86 hypervisors set the processor flag; elsewhere its absence says nothing unless firmware names real hardware.
  if (flags.size() > 2) return 0;
  return file_exists(root + "/proc/device-tree/model") ? 0 : -1;
}

void read_memory(const std::string& root, HostFacts& host) {
  const std::string text = read_small_file(root + "/proc/meminfo");
  const auto kib = [&](const char* key, std::int64_t& bytes) {
    const std::string value = field_of(text, key, ':');
    if (!value.empty()) bytes = std::strtoll(value.c_str(), nullptr, 10) << 10;
  };
  kib("MemTotal", host.memory_total_bytes);
  kib("MemAvailable", host.memory_available_bytes);
}

int read_turbo(const std::string& root) {
  const std::string folder = root + "/sys/devices/system/cpu/";
  double value = 0;
  if (read_number(folder + "intel_pstate/no_turbo", value)) return value == 0 ? 1 : 0;
  if (read_number(folder + "cpufreq/boost", value)) return value != 0 ? 1 : 0;
  return -1;
}

double read_quota(const std::string& root) {
  std::istringstream unified(read_line(root + "/sys/fs/cgroup/cpu.max"));
  std::string quota;
  double period = 0;
  if (unified >> quota >> period && period > 0) {
    return quota == "max" ? 0 : std::strtod(quota.c_str(), nullptr) / period;
  }
  double quota_us = 0;
  if (read_number(root + "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota_us) &&
      read_number(root + "/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) && period > 0) {
    return quota_us <= 0 ? 0 : quota_us / period;
  }
  return -1;
}

std::string chosen_word(const std::string& line) {  // "always [madvise] never" -> "madvise"
  const std::size_t open = line.find('['), close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

std::vector<Temperature> read_temperatures(const std::string& root) {
  std::vector<Temperature> temperatures;
  const auto add = [&](const std::string& path, const std::string& name) {
    double value = 0;
    // Both interfaces give thousandths of a degree; sensors that are off give impossible values.
    if (read_number(path, value) && value > 0 && value < 200'000) temperatures.push_back({name, value / 1000});
  };
  const std::string zones = root + "/sys/class/thermal/";
  for (const std::string& zone : list_folder(zones, "thermal_zone")) {
    add(zones + zone + "/temp", read_line(zones + zone + "/type"));
  }
  const std::string monitors = root + "/sys/class/hwmon/";
  for (const std::string& monitor : list_folder(monitors, "hwmon")) {
    const std::string folder = monitors + monitor + "/";
    for (const std::string& input : list_folder(folder, "temp")) {
      const std::size_t suffix = input.find("_input");
      if (suffix == std::string::npos) continue;
      add(folder + input,
          trimmed(read_line(folder + "name") + " " + read_line(folder + input.substr(0, suffix) + "_label")));
    }
  }
  return temperatures;
}

}  // namespace

double read_max_celsius(const std::string& root) {
  double hottest = -1;
  for (const Temperature& temperature : read_temperatures(root)) hottest = std::max(hottest, temperature.celsius);
  return hottest;
}

HostFacts read_host_facts(const std::string& root) {
  HostFacts host;
  host.architecture = program_architecture();
  read_names(root, host);
  host.cpus = read_cpus(root);
  host.clusters = find_clusters(host.cpus);
  if (!host.cpus.empty()) host.cpus_online = static_cast<int>(host.cpus.size());
  for (const CpuFacts& cpu : host.cpus) {
    add_word(host.cpu_model, cpu.model, " + ");
    add_word(host.governor, cpu.governor, ",");
  }
  if (host.cpu_model.empty()) {
    host.cpu_model = field_of(read_small_file(root + "/proc/cpuinfo", 1 << 16), "Hardware", ':');
  }
  read_caches(root, host);
  read_memory(root, host);
  host.turbo = read_turbo(root);
  double value = 0;
  if (read_number(root + "/sys/devices/system/cpu/smt/active", value)) host.smt = value != 0 ? 1 : 0;
  host.huge_pages = chosen_word(read_line(root + "/sys/kernel/mm/transparent_hugepage/enabled"));
  host.cpu_quota = read_quota(root);
  read_number(root + "/proc/loadavg", host.load_1min);
  host.virtualised = read_virtualised(root);
  host.temperatures = read_temperatures(root);
  return host;
}

std::vector<int> select_cpus(const HostFacts& host, const std::string& text) {
  if (text == "all") {
    std::vector<int> cpus;
    for (const CpuFacts& cpu : host.cpus) cpus.push_back(cpu.cpu);
    return cpus;
  }
  for (const CpuCluster& cluster : host.clusters) {
    if (cluster.name == text) return cluster.cpus;
  }
  std::string numbers, clusters;
  for (const CpuFacts& cpu : host.cpus) numbers += (numbers.empty() ? "" : ",") + std::to_string(cpu.cpu);
  for (const CpuCluster& cluster : host.clusters)
    clusters += (clusters.empty() ? "" : ", ") + ("\"" + cluster.name + "\"");
  const std::string cure = "; online here are processors " + numbers +
                           (clusters.empty() ? "" : ", and by name " + clusters + " can be chosen");
  std::vector<int> cpus;
  try {
    cpus = parse_cpu_list(text);
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidArgument, error.what() + cure);
  }
  for (const int cpu : cpus) {
    const bool online =
        std::any_of(host.cpus.begin(), host.cpus.end(), [&](const CpuFacts& f) { return f.cpu == cpu; });
    if (!online) throw Error(ErrorCode::kInvalidArgument, "processor " + std::to_string(cpu) + " is not online" + cure);
  }
  return cpus;
}

}  // namespace mmt
