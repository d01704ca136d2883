#include "base/cpu_facts.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <string_view>

#include "base/sys_files.h"
#include "mmt/error.h"
#include "mmt/file.h"

namespace mmt {
namespace {

std::string cpu_folder(const std::string& root, int cpu) {
  return root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
}

/// /proc/cpuinfo's blocks by processor number.
std::map<int, std::string> cpuinfo_blocks(const std::string& root) {
  const std::string text = read_small_file(root + "/proc/cpuinfo", 1 << 22);
  std::map<int, std::string> blocks;
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = text.find("\n\n", start);
    if (end == std::string::npos) end = text.size();
    const std::string block = text.substr(start, end - start);
    start = end + 2;
    const std::string number = field_of(block, "processor", ':');
    int cpu = -1;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), cpu);
    if (parsed.ec == std::errc() && parsed.ptr == number.data() + number.size()) blocks[cpu] = block;
  }
  return blocks;
}

std::string model_of(const std::string& block) {
  for (const char* key : {"model name", "cpu model", "uarch", "cpu"}) {  // x86, MIPS, RISC-V, POWER
    const std::string name = field_of(block, key, ':');
    if (!name.empty()) return name;
  }
  const std::string implementer = field_of(block, "CPU implementer", ':');
  const std::string part = field_of(block, "CPU part", ':');
  if (implementer.empty() || part.empty()) return "";
  return arm_core_name(implementer, part);
}

double mhz_file(const std::string& path) {
  double khz = -1;
  return read_number(path, khz) && khz > 0 ? khz / 1000 : -1;
}

std::vector<int> online_cpus(const std::string& root, const std::map<int, std::string>& blocks) {
  const std::string line = read_line(root + "/sys/devices/system/cpu/online");
  if (!line.empty()) {
    try {
      return parse_cpu_list(line);
    } catch (const Error&) {  // An unknown format is as good as no file: /proc/cpuinfo lists the online ones too.
    }
  }
  std::vector<int> cpus;
  for (const auto& [cpu, block] : blocks) cpus.push_back(cpu);
  return cpus;
}

}  // namespace

std::string arm_core_name(const std::string& implementer, const std::string& part) {
  struct Core {
    std::string_view part, name;
  };
  static constexpr Core kCores[] = {
      {"0xc07", "Cortex-A7"},  {"0xc08", "Cortex-A8"},   {"0xc09", "Cortex-A9"},   {"0xc0e", "Cortex-A17"},
      {"0xc0f", "Cortex-A15"}, {"0xd03", "Cortex-A53"},  {"0xd04", "Cortex-A35"},  {"0xd05", "Cortex-A55"},
      {"0xd07", "Cortex-A57"}, {"0xd08", "Cortex-A72"},  {"0xd09", "Cortex-A73"},  {"0xd0a", "Cortex-A75"},
      {"0xd0b", "Cortex-A76"}, {"0xd0c", "Neoverse-N1"}, {"0xd0d", "Cortex-A77"},  {"0xd40", "Neoverse-V1"},
      {"0xd41", "Cortex-A78"}, {"0xd44", "Cortex-X1"},   {"0xd46", "Cortex-A510"}, {"0xd47", "Cortex-A710"},
      {"0xd48", "Cortex-X2"},  {"0xd49", "Neoverse-N2"}, {"0xd4b", "Cortex-A78C"}, {"0xd4d", "Cortex-A715"},
      {"0xd4e", "Cortex-X3"},  {"0xd4f", "Neoverse-V2"}, {"0xd80", "Cortex-A520"}, {"0xd81", "Cortex-A720"},
      {"0xd82", "Cortex-X4"},  {"0xd85", "Cortex-X925"}, {"0xd87", "Cortex-A725"}};
  if (implementer == "0x41") {
    for (const Core& core : kCores) {
      if (core.part == part) return "Arm " + std::string(core.name);
    }
  }
  return "implementer " + implementer + " part " + part;
}

std::vector<int> parse_cpu_list(const std::string& text) {
  const auto refuse = [&] {
    return Error(ErrorCode::kInvalidArgument, "\"" + text + "\" is no list of processors; right would be \"0-3,6\"");
  };
  std::vector<int> cpus;
  const char* cursor = text.data();
  const char* const end = cursor + text.size();
  const auto number = [&] {
    int value = -1;
    const auto parsed = std::from_chars(cursor, end, value);
    if (parsed.ec != std::errc() || value < 0 || value > 65535) throw refuse();
    cursor = parsed.ptr;
    return value;
  };
  for (;;) {
    const int first = number();
    int last = first;
    if (cursor != end && *cursor == '-') {
      ++cursor;
      last = number();
    }
    if (last < first) throw refuse();
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (cursor == end) break;
    if (*cursor != ',') throw refuse();
    ++cursor;
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

double read_cpu_mhz(int cpu, const std::string& root) {
  const double scaling = mhz_file(cpu_folder(root, cpu) + "/cpufreq/scaling_cur_freq");
  if (scaling > 0) return scaling;
  const auto blocks = cpuinfo_blocks(root);
  const auto block = blocks.find(cpu);
  if (block == blocks.end()) return -1;
  const std::string mhz = field_of(block->second, "cpu MHz", ':');
  const double value = std::strtod(mhz.c_str(), nullptr);
  return value > 0 ? value : -1;
}

std::vector<CpuFacts> read_cpus(const std::string& root) {
  const auto blocks = cpuinfo_blocks(root);
  std::vector<CpuFacts> cpus;
  for (const int cpu : online_cpus(root, blocks)) {
    CpuFacts facts;
    facts.cpu = cpu;
    const std::string folder = cpu_folder(root, cpu);
    facts.min_mhz = mhz_file(folder + "/cpufreq/cpuinfo_min_freq");
    facts.max_mhz = mhz_file(folder + "/cpufreq/cpuinfo_max_freq");
    facts.limit_mhz = mhz_file(folder + "/cpufreq/scaling_max_freq");
    facts.current_mhz = mhz_file(folder + "/cpufreq/scaling_cur_freq");
    facts.governor = read_line(folder + "/cpufreq/scaling_governor");
    double capacity = -1;
    if (read_number(folder + "/cpu_capacity", capacity)) facts.capacity = static_cast<int>(capacity);
    const auto block = blocks.find(cpu);
    if (block != blocks.end()) {
      facts.model = model_of(block->second);
      const double mhz = std::strtod(field_of(block->second, "cpu MHz", ':').c_str(), nullptr);
      if (facts.current_mhz < 0 && mhz > 0) facts.current_mhz = mhz;
    }
    cpus.push_back(std::move(facts));
  }
  return cpus;
}

std::vector<CpuCluster> find_clusters(const std::vector<CpuFacts>& cpus) {
  if (cpus.empty()) return {};
  const bool by_capacity = std::all_of(cpus.begin(), cpus.end(), [](const CpuFacts& f) { return f.capacity > 0; });
  const auto speed = [&](const CpuFacts& facts) {
    return by_capacity ? static_cast<double>(facts.capacity) : facts.max_mhz;
  };
  std::vector<CpuFacts> sorted = cpus;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const CpuFacts& a, const CpuFacts& b) { return speed(a) < speed(b); });
  // Cores of one kind differ a little (favoured cores boost higher); kinds differ by much more.
  constexpr double kSameKind = 1.1;
  std::vector<CpuCluster> clusters;
  double slowest = 0;
  for (const CpuFacts& facts : sorted) {
    if (clusters.empty() || speed(facts) > kSameKind * slowest) {
      clusters.emplace_back();
      slowest = std::max(speed(facts), 0.0);
    }
    CpuCluster& cluster = clusters.back();
    cluster.cpus.push_back(facts.cpu);
    cluster.max_mhz = std::max(cluster.max_mhz, facts.max_mhz);
    cluster.capacity = std::max(cluster.capacity, facts.capacity);
  }
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    std::sort(clusters[i].cpus.begin(), clusters[i].cpus.end());
    clusters[i].name = clusters.size() == 1       ? "all"
                       : i == 0                   ? "little"
                       : i + 1 == clusters.size() ? "big"
                       : i == 1                   ? "mid"
                                                  : "mid" + std::to_string(i);
  }
  return clusters;
}

}  // namespace mmt
