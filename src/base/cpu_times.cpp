#include <sched.h>

#include <cstdlib>
#include <string>

#include "mmt/file.h"
#include "mmt/host.h"

namespace mmt {

CpuTimes read_cpu_times(int cpu, const std::string& root) {
  const std::string text = read_small_file(root + "/proc/stat", 1 << 18);
  const std::string label = (cpu < 0 ? std::string("cpu") : "cpu" + std::to_string(cpu)) + " ";
  std::size_t at = 0;
  while (at != std::string::npos && text.compare(at, label.size(), label) != 0) {
    at = text.find('\n', at);
    if (at != std::string::npos) ++at;
  }
  CpuTimes times;
  if (at == std::string::npos) return times;
  // user nice system idle iowait irq softirq steal; guest time is part of user and must not be counted again.
  long long values[8];
  const char* cursor = text.c_str() + at + label.size();
  int count = 0;
  while (count < 8) {
    char* end = nullptr;
    const long long value = std::strtoll(cursor, &end, 10);
    if (end == cursor || value < 0) break;
    values[count++] = value;
    cursor = end;
    if (*cursor == '\n') break;
  }
  if (count < 4) return times;
  times.total = 0;
  for (int i = 0; i < count; ++i) times.total += values[i];
  times.idle = values[3] + (count > 4 ? values[4] : 0);
  if (count == 8) times.steal = values[7];
  return times;
}

namespace {

double share_between(std::int64_t part_before, std::int64_t part_after, const CpuTimes& before, const CpuTimes& after) {
  if (part_before < 0 || part_after < 0 || before.total < 0 || after.total <= before.total) return -1;
  const auto part = static_cast<double>(part_after - part_before);
  const auto total = static_cast<double>(after.total - before.total);
  // The kernel's counters can step back a little; that is no time at all.
  return part <= 0 ? 0.0 : part >= total ? 1.0 : part / total;
}

}  // namespace

double steal_share(const CpuTimes& before, const CpuTimes& after) noexcept {
  return share_between(before.steal, after.steal, before, after);
}

double busy_share(const CpuTimes& before, const CpuTimes& after) noexcept {
  const double idle = share_between(before.idle, after.idle, before, after);
  return idle < 0 ? -1 : 1 - idle;
}

int current_cpu() noexcept {
#if defined(__linux__)
  return ::sched_getcpu();  // glibc, musl and Android; -1 where the kernel does not tell.
#else
  return -1;
#endif
}

}  // namespace mmt
