// Time as an interface, so that everything that waits or measures can be tested without time passing.
#pragma once

#include <chrono>
#include <string>

namespace mmt {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Monotonic time since an arbitrary start.
  virtual std::chrono::nanoseconds now() = 0;
  virtual void sleep_for(std::chrono::nanoseconds duration) = 0;
};

/// std::chrono::steady_clock. Lives for the whole process.
Clock& system_clock();

/// Wall-clock time as UTC, ISO 8601 with seconds: "2026-03-01T12:00:00Z".
std::string utc_text(std::chrono::system_clock::time_point time);
std::string utc_now_text();

/// The smallest step that `clock` shows between two readings (resolution and reading cost together); -1 ns where it
/// does not move.
std::chrono::nanoseconds timer_resolution(Clock& clock);

/// A clock that moves only when told to, or when somebody sleeps on it.
class FakeClock final : public Clock {
 public:
  std::chrono::nanoseconds now() override { return now_; }
  void sleep_for(std::chrono::nanoseconds duration) override { now_ += duration; }
  void advance(std::chrono::nanoseconds duration) { now_ += duration; }

 private:
  std::chrono::nanoseconds now_{0};
};

}  // namespace mmt
