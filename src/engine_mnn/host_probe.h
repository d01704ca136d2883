// What the plugin asks the operating system: stolen time, the processor of this thread, memory, affinity.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "mmt/engine.h"

namespace mmt::mnn {

/// Time that the hypervisor gave to others. All processors of the machine together, in the kernel's ticks, which are so
/// coarse (10 ms) and so slow to read (some µs) that short calls share a reading.
class StealMeter {
 public:
  StealMeter();
  ~StealMeter();
  StealMeter(const StealMeter&) = delete;
  StealMeter& operator=(const StealMeter&) = delete;

  void start();
  /// Share since start(), 0 to 1, or since a start() a little before it, so that ten milliseconds are looked at; as
  /// long as these are not over, what was found last. -1 where the system does not tell.
  double share();

 private:
  struct Ticks {
    bool valid = false;
    std::uint64_t total = 0;
    std::uint64_t stolen = 0;
  };
  Ticks read();

  int file_ = -1;
  Ticks start_;
  std::int64_t read_at_ns_ = 0;
  double last_share_ = 0;
};

/// Processor that runs this thread now, -1 where unknown.
int current_cpu() noexcept;

/// Processors that this thread may run on; empty where unknown.
std::vector<int> usable_cpus();

/// Keeps this thread, and threads that it starts later, on `cpus`. Throws Error(kInvalidArgument) where that is
/// refused.
void pin_to(const std::vector<int>& cpus);

/// Keeps this thread on one processor; false where that is refused.
bool try_pin_to(int cpu) noexcept;

/// Gives memory that was freed back to the system, as far as the C library can be told to.
void return_freed_memory();
/// Gives memory that was freed back to the system first, so that what one model takes does not hide in what another
/// left.
ProcessMemory process_memory();

/// Path of the library that holds the function at `address`, "" where unknown.
std::string library_of(const void* address);

/// Eight hexadecimal digits that change with the file's content; "unreadable" where it cannot be read.
std::string short_file_hash(const std::string& path);

inline std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace mmt::mnn
