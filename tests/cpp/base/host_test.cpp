#include "mmt/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/cpu_facts.h"
#include "base/temp_folder.h"
#include "mmt/error.h"

namespace mmt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string cpu_path(int cpu, const std::string& rest) {
  return "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/" + rest;
}

/// A phone: four little and two big cores.
void write_phone(const testing::TempFolder& tree) {
  tree.write("proc/sys/kernel/hostname", "phone\n");
  tree.write("proc/sys/kernel/ostype", "Linux\n");
  tree.write("proc/sys/kernel/osrelease", "5.10.1-android\n");
  tree.write("system/build.prop", "ro.build.version.release=14\nro.product.model=Testphone 3\n");
  std::string info;
  for (int cpu = 0; cpu < 6; ++cpu) {
    const bool big = cpu >= 4;
    info += "processor\t: " + std::to_string(cpu) +
            "\nBogoMIPS\t: 38.40\nCPU implementer\t: 0x41\nCPU part\t: " + (big ? "0xd0b" : "0xd05") + "\n\n";
    tree.write(cpu_path(cpu, "cpufreq/cpuinfo_min_freq"), "300000\n");
    tree.write(cpu_path(cpu, "cpufreq/cpuinfo_max_freq"), big ? "2800000\n" : "1800000\n");
    tree.write(cpu_path(cpu, "cpufreq/scaling_max_freq"), big ? "2000000\n" : "1800000\n");
    tree.write(cpu_path(cpu, "cpufreq/scaling_cur_freq"), "1200000\n");
    tree.write(cpu_path(cpu, "cpufreq/scaling_governor"), big ? "performance\n" : "schedutil\n");
    tree.write(cpu_path(cpu, "cpu_capacity"), big ? "1024\n" : "400\n");
    tree.write(cpu_path(cpu, "cache/index0/level"), "1\n");
    tree.write(cpu_path(cpu, "cache/index0/type"), "Data\n");
    tree.write(cpu_path(cpu, "cache/index0/size"), big ? "64K\n" : "32K\n");
    tree.write(cpu_path(cpu, "cache/index1/level"), "1\n");
    tree.write(cpu_path(cpu, "cache/index1/type"), "Instruction\n");
    tree.write(cpu_path(cpu, "cache/index1/size"), "128K\n");
    tree.write(cpu_path(cpu, "cache/index2/level"), "2\n");
    tree.write(cpu_path(cpu, "cache/index2/type"), "Unified\n");
    tree.write(cpu_path(cpu, "cache/index2/size"), "1M\n");
  }
  tree.write("proc/cpuinfo", info + "Hardware\t: SM1234\n");
  tree.write("sys/devices/system/cpu/online", "0-5\n");
  tree.write("proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\nMemAvailable:    3000000 kB\n");
  tree.write("sys/class/thermal/thermal_zone0/type", "cpu-big\n");
  tree.write("sys/class/thermal/thermal_zone0/temp", "41500\n");
  tree.write("sys/class/thermal/thermal_zone1/type", "off\n");
  tree.write("sys/class/thermal/thermal_zone1/temp", "-273000\n");
  tree.write("sys/class/hwmon/hwmon0/name", "soc\n");
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "55000\n");
  tree.write("sys/class/hwmon/hwmon0/temp1_label", "core 1\n");
}

TEST(HostFacts, Phone) {
  const testing::TempFolder tree;
  write_phone(tree);
  const HostFacts host = read_host_facts(tree.path());
  EXPECT_EQ(host.hostname, "phone");
  EXPECT_EQ(host.os, "Android 14");
  EXPECT_EQ(host.kernel, "Linux 5.10.1-android");
  EXPECT_EQ(host.board, "Testphone 3");
  EXPECT_EQ(host.cpu_model, "Arm Cortex-A55 + Arm Cortex-A76");
  EXPECT_EQ(host.governor, "schedutil,performance");
  EXPECT_EQ(host.cpus_online, 6);
  EXPECT_EQ(host.l1d_bytes, 64 << 10);
  EXPECT_EQ(host.l2_bytes, 1 << 20);
  EXPECT_EQ(host.l3_bytes, 0);
  EXPECT_EQ(host.memory_total_bytes, 8'000'000LL * 1024);
  EXPECT_EQ(host.memory_available_bytes, 3'000'000LL * 1024);
  ASSERT_EQ(host.clusters.size(), 2u);
  EXPECT_EQ(host.clusters[0].name, "little");
  EXPECT_THAT(host.clusters[0].cpus, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(host.clusters[1].name, "big");
  EXPECT_THAT(host.clusters[1].cpus, ElementsAre(4, 5));
  EXPECT_DOUBLE_EQ(host.clusters[1].max_mhz, 2800);
  EXPECT_DOUBLE_EQ(host.cpus[5].limit_mhz, 2000);
  EXPECT_DOUBLE_EQ(host.cpus[5].current_mhz, 1200);
  ASSERT_EQ(host.temperatures.size(), 2u);
  EXPECT_EQ(host.temperatures[0].name, "cpu-big");
  EXPECT_EQ(host.temperatures[1].name, "soc core 1");
  EXPECT_DOUBLE_EQ(read_max_celsius(tree.path()), 55.0);
  EXPECT_DOUBLE_EQ(read_cpu_mhz(2, tree.path()), 1200);
  EXPECT_EQ(host.virtualised, -1);
}

TEST(HostFacts, CloudServer) {
  const testing::TempFolder tree;
  tree.write("etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
  const std::string block =
      "model name\t: Some CPU @ 3 GHz\ncpu MHz\t\t: 2599.9\nflags\t\t: fpu sse hypervisor avx\n\n";
  tree.write("proc/cpuinfo", "processor\t: 0\n" + block + "processor\t: 1\n" + block);
  tree.write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  tree.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  tree.write("sys/devices/system/cpu/smt/active", "1\n");
  tree.write("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
  tree.write("proc/loadavg", "0.52 0.58 0.59 1/100 1234\n");
  const HostFacts host = read_host_facts(tree.path());
  EXPECT_EQ(host.os, "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(host.cpu_model, "Some CPU @ 3 GHz");
  EXPECT_EQ(host.cpus_online, 2);
  EXPECT_EQ(host.virtualised, 1);
  EXPECT_DOUBLE_EQ(host.cpu_quota, 1.5);
  EXPECT_EQ(host.huge_pages, "madvise");
  EXPECT_EQ(host.smt, 1);
  EXPECT_EQ(host.turbo, 0);
  EXPECT_DOUBLE_EQ(host.load_1min, 0.52);
  EXPECT_DOUBLE_EQ(host.cpus[1].current_mhz, 2599.9);
  ASSERT_EQ(host.clusters.size(), 1u);
  EXPECT_EQ(host.clusters[0].name, "all");
  EXPECT_DOUBLE_EQ(read_cpu_mhz(1, tree.path()), 2599.9);
}

TEST(HostFacts, EmptyTreeIsUnreadableAndNothingIsInvented) {
  const testing::TempFolder tree;
  const HostFacts host = read_host_facts(tree.path());
  EXPECT_EQ(host.hostname, "");
  EXPECT_EQ(host.cpu_model, "");
  EXPECT_EQ(host.os, "");
  EXPECT_EQ(host.governor, "");
  EXPECT_EQ(host.cpus_online, -1);
  EXPECT_EQ(host.l1d_bytes, -1);
  EXPECT_EQ(host.l3_bytes, -1);
  EXPECT_EQ(host.memory_total_bytes, -1);
  EXPECT_EQ(host.turbo, -1);
  EXPECT_EQ(host.virtualised, -1);
  EXPECT_EQ(host.cpu_quota, -1);
  EXPECT_TRUE(host.clusters.empty());
  EXPECT_TRUE(host.temperatures.empty());
  EXPECT_EQ(read_cpu_mhz(0, tree.path()), -1);
  EXPECT_EQ(read_max_celsius(tree.path()), -1);
  EXPECT_EQ(read_cpu_times(-1, tree.path()).total, -1);
}

TEST(HostFacts, GarbageDoesNotThrow) {
  const testing::TempFolder tree;
  tree.write("sys/devices/system/cpu/online", "banana");
  tree.write("proc/cpuinfo", "processor : x\n\n:::\n\nprocessor : 3");
  tree.write("proc/meminfo", "MemTotal\n");
  tree.write("proc/stat", "cpu  1 x\n");
  tree.write("sys/fs/cgroup/cpu.max", "max 100000");
  const HostFacts host = read_host_facts(tree.path());
  EXPECT_EQ(host.cpus_online, 1);
  EXPECT_EQ(host.cpu_quota, 0);
  EXPECT_EQ(read_cpu_times(-1, tree.path()).total, -1);
}

TEST(HostFacts, ThisMachine) {
  const HostFacts host = read_host_facts();
  EXPECT_FALSE(host.hostname.empty());
  EXPECT_GE(host.cpus_online, 1);
  EXPECT_GE(current_cpu(), 0);
}

TEST(Clusters, SmallDifferencesAreOneKind) {
  std::vector<CpuFacts> cpus(12);
  for (int i = 0; i < 12; ++i) {
    cpus[i].cpu = i;
    cpus[i].max_mhz = i < 2 ? 5300 : i < 8 ? 5200 : 3900;
  }
  const auto clusters = find_clusters(cpus);
  ASSERT_EQ(clusters.size(), 2u);
  EXPECT_THAT(clusters[0].cpus, ElementsAre(8, 9, 10, 11));
  EXPECT_EQ(clusters[1].cpus.size(), 8u);
  EXPECT_EQ(clusters[1].name, "big");
}

TEST(Clusters, ThreeKindsHaveAMiddle) {
  std::vector<CpuFacts> cpus(3);
  for (int i = 0; i < 3; ++i) {
    cpus[i].cpu = i;
    cpus[i].capacity = 300 * (i + 1);
  }
  const auto clusters = find_clusters(cpus);
  ASSERT_EQ(clusters.size(), 3u);
  EXPECT_EQ(clusters[1].name, "mid");
}

TEST(SelectCpus, NamesListsAndMistakes) {
  const testing::TempFolder tree;
  write_phone(tree);
  const HostFacts host = read_host_facts(tree.path());
  EXPECT_THAT(select_cpus(host, "big"), ElementsAre(4, 5));
  EXPECT_THAT(select_cpus(host, "all"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(select_cpus(host, "1,3-4"), ElementsAre(1, 3, 4));
  for (const char* wrong : {"huge", "4-9", "", "3-1", "1,,2", "-1", "1-", "99999999999"}) {
    try {
      select_cpus(host, wrong);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr("little"));
    }
  }
}

TEST(CpuTimes, SharesBetweenReadings) {
  const testing::TempFolder tree;
  tree.write("proc/stat", "cpu  100 0 50 800 50 0 0 0 30 0\ncpu0 50 0 25 400 25 0 0 0 0 0\nintr 5\n");
  const CpuTimes before = read_cpu_times(-1, tree.path());
  EXPECT_EQ(before.total, 1000);  // Guest time is inside user time.
  EXPECT_EQ(before.idle, 850);
  EXPECT_EQ(before.steal, 0);
  EXPECT_EQ(read_cpu_times(0, tree.path()).total, 500);
  EXPECT_EQ(read_cpu_times(1, tree.path()).total, -1);
  tree.write("proc/stat", "cpu  150 0 50 830 55 0 0 15 30 0\n");
  const CpuTimes after = read_cpu_times(-1, tree.path());
  EXPECT_DOUBLE_EQ(steal_share(before, after), 0.15);
  EXPECT_DOUBLE_EQ(busy_share(before, after), 0.65);
  EXPECT_EQ(steal_share(before, before), -1);
  EXPECT_EQ(steal_share(CpuTimes{}, after), -1);
}

TEST(CpuTimes, OldKernelsHaveNoSteal) {
  const testing::TempFolder tree;
  tree.write("proc/stat", "cpu  100 0 50 800\n");
  const CpuTimes times = read_cpu_times(-1, tree.path());
  EXPECT_EQ(times.total, 950);
  EXPECT_EQ(times.steal, -1);
  EXPECT_EQ(steal_share(times, CpuTimes{1000, 800, -1}), -1);
}

}  // namespace
}  // namespace mmt
