#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "mmt/clock.h"
#include "mmt/error.h"
#include "mmt/log.h"

namespace mmt {
namespace {

TEST(Log, LinesGoToTheHookAndNowhereWithoutOne) {
  std::vector<std::string> lines;
  set_log_hook([&](LogLevel level, const std::string& line) { lines.push_back(std::to_string(int(level)) + line); });
  log(LogLevel::kWarning, "warm");
  const LogHook previous = set_log_hook({});
  log(LogLevel::kError, "dropped");
  EXPECT_EQ(lines, std::vector<std::string>{"2warm"});
  ASSERT_TRUE(previous);
  previous(LogLevel::kInfo, "still usable");
  EXPECT_EQ(lines.size(), 2u);
}

TEST(Log, HookMayLogAndReplaceItself) {
  int calls = 0;
  set_log_hook([&](LogLevel, const std::string& line) {
    ++calls;
    if (line == "first") {
      set_log_hook({});
      log(LogLevel::kInfo, "second");
    }
  });
  log(LogLevel::kInfo, "first");
  log(LogLevel::kInfo, "third");
  EXPECT_EQ(calls, 1);
}

TEST(Log, ManyThreads) {
  std::atomic<int> calls{0};
  set_log_hook([&](LogLevel, const std::string&) { ++calls; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 500; ++k) log(LogLevel::kDebug, "line");
    });
  }
  for (std::thread& thread : threads) thread.join();
  set_log_hook({});
  EXPECT_EQ(calls, 2000);
}

TEST(Clock, SystemClockDoesNotGoBack) {
  std::chrono::nanoseconds before = system_clock().now();
  for (int i = 0; i < 1000; ++i) {
    const std::chrono::nanoseconds now = system_clock().now();
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_GT(timer_resolution(system_clock()).count(), 0);
}

TEST(Clock, ResolutionOfMadeUpClocks) {
  class Coarse final : public Clock {
   public:
    std::chrono::nanoseconds now() override { return std::chrono::nanoseconds((calls_++ / 10) * 250); }
    void sleep_for(std::chrono::nanoseconds) override {}

   private:
    std::int64_t calls_ = 0;
  } coarse;
  EXPECT_EQ(timer_resolution(coarse).count(), 250);
  FakeClock still;
  EXPECT_EQ(timer_resolution(still).count(), -1);
}

TEST(Clock, UtcText) {
  EXPECT_EQ(utc_text(std::chrono::system_clock::from_time_t(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_text(std::chrono::system_clock::from_time_t(1'772'366'400)), "2026-03-01T12:00:00Z");
  EXPECT_EQ(utc_now_text().size(), 20u);
}

TEST(ErrorCodes, NamesAreStable) {
  EXPECT_STREQ(error_code_name(ErrorCode::kInvalidArgument), "invalid_argument");
  EXPECT_STREQ(error_code_name(ErrorCode::kInterrupted), "interrupted");
  EXPECT_STREQ(error_code_name(ErrorCode::kCorrupt), "corrupt");
}

}  // namespace
}  // namespace mmt
