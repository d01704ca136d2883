#include "mmt/clock.h"

#include <ctime>
#include <thread>

namespace mmt {
namespace {

class SteadyClock final : public Clock {
 public:
  std::chrono::nanoseconds now() override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch());
  }
  void sleep_for(std::chrono::nanoseconds duration) override { std::this_thread::sleep_for(duration); }
};

}  // namespace

Clock& system_clock() {
  static SteadyClock clock;
  return clock;
}

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

std::string utc_now_text() { return utc_text(std::chrono::system_clock::now()); }

std::chrono::nanoseconds timer_resolution(Clock& clock) {
  // The smallest step that reading the clock ever shows; a clock that does not move in this many readings has none.
  constexpr int kReadings = 20000, kSteps = 200;
  std::chrono::nanoseconds smallest{-1}, previous = clock.now();
  for (int reading = 0, steps = 0; reading < kReadings && steps < kSteps; ++reading) {
    const std::chrono::nanoseconds current = clock.now();
    if (current > previous) {
      const std::chrono::nanoseconds step = current - previous;
      if (smallest.count() < 0 || step < smallest) smallest = step;
      ++steps;
    }
    previous = current;
  }
  return smallest;
}

}  // namespace mmt
