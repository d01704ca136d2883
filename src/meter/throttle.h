// Watching for a CPU that slows itself down.
#pragma once

#include <string>
#include <vector>

namespace mmt::metering {

/// Compares the present with what the machine was like when the watch began. Where nothing is readable (most virtual
/// machines) nothing counts as throttling; the drift scale still sees its effect.
class ThrottleWatch {
 public:
  /// `cpus`: processors that the engine is bound to; empty: all. `root`: see mmt/host.h.
  ThrottleWatch(const std::vector<int>& cpus, double max_celsius, const std::string& root = "");

  /// True while an upper frequency limit is lower than at the start, a bound processor runs far below the frequency
  /// that it has shown, or a sensor is too hot.
  bool throttled();

 private:
  struct Cpu {
    int number = 0;
    std::string limit_file;
    double limit_khz = 0;     ///< At the start; 0: unreadable.
    double highest_mhz = -1;  ///< Seen so far.
  };
  double read_khz(const std::string& path) const;

  std::vector<Cpu> cpus_;
  bool bound_;
  double max_celsius_;
  std::string root_;
};

}  // namespace mmt::metering
