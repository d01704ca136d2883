// Per-processor facts and clusters (private to the host facts).
#pragma once

#include <string>
#include <vector>

#include "mmt/host.h"

namespace mmt {

/// All online processors, with frequency, capacity, governor and model.
std::vector<CpuFacts> read_cpus(const std::string& root);

/// Groups processors of one kind, slowest first, and names the groups.
std::vector<CpuCluster> find_clusters(const std::vector<CpuFacts>& cpus);

/// Name of an Arm core from the implementer and part numbers of /proc/cpuinfo ("0x41", "0xd0b" -> "Cortex-A76").
std::string arm_core_name(const std::string& implementer, const std::string& part);

}  // namespace mmt
