#include "support/fake_engine.h"

#include <gtest/gtest.h>

namespace mmt::testing {
namespace {

FakeModel two_kernels() { return fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}}); }

TEST(FakeEngine, FirstRunAfterAnotherSessionIsCold) {
  FakeClock clock;
  FakeEngine engine(clock);
  engine.program("a", two_kernels());
  engine.program("b", two_kernels());
  auto a = engine.open("a", {});
  auto b = engine.open("b", {});
  EXPECT_EQ(a->run({.runs = 3}).run_us, (std::vector<double>{158, 107, 107}));
  EXPECT_EQ(a->run({.runs = 1}).run_us, (std::vector<double>{107}));
  b->run({.runs = 1});
  EXPECT_EQ(a->run({.runs = 1}).run_us, (std::vector<double>{158}));
}

TEST(FakeEngine, ProfilesRowByRowAndAdvancesTheClock) {
  FakeClock clock;
  FakeEngine engine(clock);
  engine.program("a", two_kernels());
  auto a = engine.open("a", {});
  const auto start = clock.now();
  const RunSamples samples = a->run({.runs = 2, .profile = true});
  EXPECT_EQ(samples.kernel_us, (std::vector<float>{150, 6, 100, 5}));
  const std::chrono::duration<double, std::micro> passed = clock.now() - start;
  EXPECT_NEAR(passed.count(), samples.timed_us + samples.overhead_us, 0.01);
}

TEST(FakeEngine, DriftMultipliesTimes) {
  FakeClock clock;
  FakeEngine engine(clock);
  engine.program("a", two_kernels());
  engine.set_drift([](double) { return 2.0; });
  EXPECT_EQ(engine.open("a", {})->run({.runs = 1}).run_us, (std::vector<double>{316}));
}

TEST(FakeEngine, CrashLosesAllSessionsUntilRestart) {
  FakeClock clock;
  FakeEngine engine(clock);
  engine.program("a", two_kernels());
  FakeModel bad = two_kernels();
  bad.run_failure = ErrorCode::kCrashed;
  bad.fail_at_run = 1;
  bad.failures = 1;
  engine.program("bad", bad);
  auto a = engine.open("a", {});
  auto crashing = engine.open("bad", {});
  crashing->run({.runs = 1});
  EXPECT_THROW(crashing->run({.runs = 1}), Error);
  EXPECT_THROW(a->run({.runs = 1}), Error);
  engine.restart();
  EXPECT_THROW(a->run({.runs = 1}), Error) << "sessions of the lost worker stay lost";
  EXPECT_NO_THROW(engine.open("a", {})->run({.runs = 1}));
  EXPECT_NO_THROW(engine.open("bad", {})->run({.runs = 3})) << "one failure was programmed";
}

}  // namespace
}  // namespace mmt::testing
