// Facts about the machine that a measurement ran on, read from /proc and /sys of Linux and Android.
//
// Nothing here throws for what the system does not tell: a fact that cannot be read is "" or -1 (never a guess), which
// each field states as "unreadable". `root` is prepended to every path, so that tests can give a made-up tree; facts
// that only system calls know (host name, sizes of caches) are asked for only where root is "".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mmt {

/// One online processor.
struct CpuFacts {
  int cpu = 0;                        ///< The system's number.
  double min_mhz = -1, max_mhz = -1;  ///< Limits of the hardware.
  double limit_mhz = -1;              ///< Upper limit now in force (throttling, power saving, the user's setting).
  double current_mhz = -1;
  int capacity = -1;     ///< Relative speed, the biggest core has 1024.
  std::string governor;  ///< "performance", "schedutil", …
  std::string model;     ///< As HostFacts::cpu_model, for this processor.
};

/// Processors of one kind, slowest cluster first in HostFacts::clusters.
struct CpuCluster {
  std::string name;  ///< "all" (only one kind), "little", "mid", "mid2", …, "big".
  std::vector<int> cpus;
  double max_mhz = -1;
  int capacity = -1;
};

struct Temperature {
  std::string name;  ///< The sensor's own name: "cpu-thermal", "coretemp Package id 0".
  double celsius = 0;
};

struct HostFacts {
  std::string hostname;
  std::string cpu_model;     ///< Several kinds are joined by " + ".
  std::string board;         ///< Device or product name ("Raspberry Pi 4 Model B", "Pixel 8").
  std::string os;            ///< "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;        ///< "Linux 6.1.0"
  std::string architecture;  ///< Of this program: "x86_64", "aarch64", "arm", "riscv64", …
  int cpus_online = -1;
  std::int64_t l1d_bytes = -1, l2_bytes = -1, l3_bytes = -1;  ///< Largest over the processors. L3 0: there is none.
  std::string governor;                                       ///< Where processors differ, joined by ",".
  int turbo = -1;          ///< 1: frequencies above nominal are allowed, 0: not, -1: unreadable.
  int smt = -1;            ///< 1: processors share cores, 0: not, -1: unreadable.
  std::string huge_pages;  ///< Transparent huge pages: "always", "madvise", "never".
  double cpu_quota = -1;   ///< Processors that the control group may use; 0: no limit, -1: unreadable.
  double load_1min = -1;   ///< Running tasks, mean of the last minute.
  int virtualised = -1;    ///< 1: in a virtual machine, 0: not, -1: unreadable.
  std::int64_t memory_total_bytes = -1, memory_available_bytes = -1;
  std::vector<CpuFacts> cpus;
  std::vector<CpuCluster> clusters;
  std::vector<Temperature> temperatures;  ///< Empty where there is no readable sensor.
};

HostFacts read_host_facts(const std::string& root = "");

/// Processors of the clusters that `text` names: "big", "little", "mid", "all", or a list such as "4-7" or "0,2-3".
/// Throws Error(kInvalidArgument) that lists the names and processors that exist.
std::vector<int> select_cpus(const HostFacts& host, const std::string& text);

/// "0-3,6" -> {0, 1, 2, 3, 6}, sorted, each once. Throws Error(kInvalidArgument) on anything else.
std::vector<int> parse_cpu_list(const std::string& text);

/// Current frequency of a processor; -1 where unreadable. Cheap enough for once per round.
double read_cpu_mhz(int cpu, const std::string& root = "");

/// Hottest readable sensor; -1 where there is none.
double read_max_celsius(const std::string& root = "");

/// Time that all processors (cpu = -1) or one of them have spent, in the kernel's ticks (usually 10 ms).
struct CpuTimes {
  std::int64_t total = -1;  ///< -1: unreadable. Idle time included.
  std::int64_t idle = -1;   ///< Idle or waiting for the disk.
  std::int64_t steal = -1;  ///< Wanted to run, but the hypervisor ran something else.
};
CpuTimes read_cpu_times(int cpu = -1, const std::string& root = "");

/// Share of the time between two readings that was stolen (0…1); -1 where unreadable or where no tick has passed.
double steal_share(const CpuTimes& before, const CpuTimes& after) noexcept;

/// Share of the time between two readings that was not idle; -1 as above.
double busy_share(const CpuTimes& before, const CpuTimes& after) noexcept;

/// The processor that the calling thread runs on at this moment; -1 where unreadable.
int current_cpu() noexcept;

}  // namespace mmt
