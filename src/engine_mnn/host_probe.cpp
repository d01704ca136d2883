#include "engine_mnn/host_probe.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "mmt/error.h"

namespace mmt::mnn {
namespace {

constexpr std::int64_t kTicksNs = 10'000'000;  ///< The kernel counts in steps of this length.

}  // namespace

StealMeter::StealMeter() : file_(open("/proc/stat", O_RDONLY | O_CLOEXEC)) {}

StealMeter::~StealMeter() {
  if (file_ >= 0) close(file_);
}

StealMeter::Ticks StealMeter::read() {
  read_at_ns_ = now_ns();
  Ticks ticks;
  char text[256];
  const ssize_t size = file_ >= 0 ? pread(file_, text, sizeof text - 1, 0) : -1;
  if (size <= 0) return ticks;
  text[size] = '\0';
  // cpu user nice system idle iowait irq softirq steal guest guest_nice; guest time is part of user time already.
  const char* at = std::strncmp(text, "cpu ", 4) == 0 ? text + 4 : nullptr;
  for (int field = 0; at != nullptr && field < 8; ++field) {
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(at, &end, 10);
    if (end == at) return ticks;
    ticks.total += value;
    if (field == 7) {
      ticks.stolen = value;
      ticks.valid = true;
    }
    at = end;
  }
  return ticks;
}

void StealMeter::start() {
  if (read_at_ns_ != 0 && now_ns() - read_at_ns_ < kTicksNs) return;
  start_ = read();
  last_share_ = start_.valid ? 0 : -1;
}

double StealMeter::share() {
  if (now_ns() - read_at_ns_ < kTicksNs) return last_share_;
  const Ticks now = read();
  if (!now.valid || !start_.valid) {
    last_share_ = -1;
  } else if (now.total <= start_.total || now.stolen < start_.stolen) {
    last_share_ = 0;
  } else {
    last_share_ = static_cast<double>(now.stolen - start_.stolen) / static_cast<double>(now.total - start_.total);
  }
  start_ = now;
  return last_share_;
}

int current_cpu() noexcept { return sched_getcpu(); }

std::vector<int> usable_cpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

bool try_pin_to(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

void pin_to(const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  std::string names;
  for (const int cpu : cpus) {
    if (cpu < 0 || cpu >= CPU_SETSIZE)
      throw Error(ErrorCode::kInvalidArgument, "cpus: there is no processor " + std::to_string(cpu));
    CPU_SET(cpu, &set);
    names += (names.empty() ? "" : ",") + std::to_string(cpu);
  }
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    throw Error(ErrorCode::kInvalidArgument, "cpus: cannot run on processors " + names + " (" + std::strerror(errno) +
                                                 "); see nproc and taskset -p $$");
}

void return_freed_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#elif defined(M_PURGE)
  mallopt(M_PURGE, 0);  // bionic
#endif
}

ProcessMemory process_memory() {
  ProcessMemory memory;
  return_freed_memory();
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("VmRSS:", 0) == 0) memory.resident_mib = std::strtod(line.c_str() + 6, nullptr) / 1024;
    if (line.rfind("VmHWM:", 0) == 0) memory.peak_mib = std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  std::ofstream("/proc/self/clear_refs") << "5";  // The peak begins anew.
  return memory;
}

std::string library_of(const void* address) {
  Dl_info info{};
  return dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

std::string short_file_hash(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return "unreadable";
  // FNV-1a over 8-byte words: tells builds apart, and reads tens of megabytes in milliseconds.
  std::uint64_t hash = 0xcbf29ce484222325u;
  std::vector<std::uint64_t> words(1 << 14);
  std::size_t bytes = 0;
  while ((bytes = std::fread(words.data(), 1, words.size() * 8, file)) > 0) {
    if (bytes % 8 != 0) std::memset(reinterpret_cast<char*>(words.data()) + bytes, 0, 8 - bytes % 8);
    for (std::size_t i = 0; i < (bytes + 7) / 8; ++i) hash = (hash ^ words[i]) * 0x100000001b3u;
  }
  std::fclose(file);
  hash ^= hash >> 32;
  char text[9];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(hash & 0xffffffffu));
  return text;
}

}  // namespace mmt::mnn
