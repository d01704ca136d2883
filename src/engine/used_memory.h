// How much memory the sessions of an engine have used one after another, and so what caches still hold of one of them.
#pragma once

#include <cstdint>

namespace mmt {

class UsedMemory {
 public:
  /// Of a session: how much all of them had used when it ran last. It has not run yet where it was never added.
  struct Mark {
    double mib = 0;
  };

  /// A session has run that uses so much in each run.
  void add(double mib, Mark& mark) {
    total_mib_ += mib;
    mark.mib = total_mib_;
  }

  /// Whether other sessions have used so much since that caches of so many bytes hold nothing of this one any more.
  bool displaced(const Mark& mark, std::int64_t bytes) const {
    constexpr double kTimes = 4;  // Part of what a session uses is the same memory again.
    return (total_mib_ - mark.mib) * 1024 * 1024 >= kTimes * static_cast<double>(bytes);
  }

 private:
  double total_mib_ = 0;
};

}  // namespace mmt
