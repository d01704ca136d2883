#include "meter/throttle.h"

#include <algorithm>
#include <cstdlib>

#include "mmt/file.h"
#include "mmt/host.h"

namespace mmt::metering {
namespace {

constexpr double kLimitFell = 0.97;
/// Frequencies that a governor chooses vary; only a processor at work far below its best is suspicious.
constexpr double kFarBelow = 0.75;

}  // namespace

double ThrottleWatch::read_khz(const std::string& path) const { return std::atof(read_small_file(path, 64).c_str()); }

ThrottleWatch::ThrottleWatch(const std::vector<int>& cpus, double max_celsius, const std::string& root)
    : bound_(!cpus.empty()), max_celsius_(max_celsius), root_(root) {
  std::vector<int> numbers = cpus;
  if (numbers.empty()) {
    for (const CpuFacts& facts : read_host_facts(root).cpus) numbers.push_back(facts.cpu);
  }
  for (const int number : numbers) {
    Cpu cpu;
    cpu.number = number;
    cpu.limit_file = root + "/sys/devices/system/cpu/cpu" + std::to_string(number) + "/cpufreq/scaling_max_freq";
    cpu.limit_khz = read_khz(cpu.limit_file);
    cpus_.push_back(std::move(cpu));
  }
}

bool ThrottleWatch::throttled() {
  bool found = read_max_celsius(root_) > max_celsius_;
  double now_mhz = -1, highest_mhz = -1;
  for (Cpu& cpu : cpus_) {
    if (cpu.limit_khz > 0) {
      const double limit_khz = read_khz(cpu.limit_file);
      found |= limit_khz > 0 && limit_khz < kLimitFell * cpu.limit_khz;
    }
    if (!bound_) continue;  // Where the engine runs is not known: an idle processor's frequency says nothing.
    const double mhz = read_cpu_mhz(cpu.number, root_);
    cpu.highest_mhz = std::max(cpu.highest_mhz, mhz);
    now_mhz = std::max(now_mhz, mhz);
    highest_mhz = std::max(highest_mhz, cpu.highest_mhz);
  }
  return found || (now_mhz > 0 && now_mhz < kFarBelow * highest_mhz);
}

}  // namespace mmt::metering
