// An engine in another process: the meter sleeps while it works and reads its answers many at a time.
#include <gtest/gtest.h>

#include "meter/bench_of_fakes.h"

namespace mmt::testing {
namespace {

/// Runs of a fake engine with a time of its own, which goes on while the meter does something else.
class ApartEngine final : public Engine {
 public:
  explicit ApartEngine(FakeClock& clock) : clock_(clock) {}

  FakeEngine inner{own_clock_};
  long finished = 0, waited_for = 0;  ///< Waited for: the meter asked before the answer was there.

  const EngineFacts& facts() const override { return inner.facts(); }
  bool runs_apart() const override { return true; }
  std::unique_ptr<Session> open(const std::string& path, const OpenOptions& options) override {
    return std::make_unique<ApartSession>(*this, inner.open(path, options));
  }

 private:
  using nanoseconds = std::chrono::nanoseconds;

  class ApartSession final : public Session {
   public:
    ApartSession(ApartEngine& engine, std::unique_ptr<Session> session)
        : engine_(engine), session_(std::move(session)) {}
    const SessionDesc& desc() const override { return session_->desc(); }
    RunSamples run(const RunRequest& request) override {
      start(request);
      return finish();
    }
    void start(const RunRequest& request) override {
      const nanoseconds before = engine_.own_clock_.now();
      RunSamples samples = session_->run(request);
      engine_.free_ = std::max(engine_.free_, engine_.clock_.now()) + (engine_.own_clock_.now() - before);
      answers_.push_back({std::move(samples), engine_.free_});
    }
    RunSamples finish() override {
      Answer answer = std::move(answers_.front());
      answers_.pop_front();
      ++engine_.finished;
      if (answer.at > engine_.clock_.now()) {
        ++engine_.waited_for;
        engine_.clock_.advance(answer.at - engine_.clock_.now());
      }
      return std::move(answer.samples);
    }
    std::vector<std::vector<float>> compute(const std::vector<std::vector<float>>& inputs) override {
      return session_->compute(inputs);
    }

   private:
    struct Answer {
      RunSamples samples;
      nanoseconds at;
    };
    ApartEngine& engine_;
    std::unique_ptr<Session> session_;
    std::deque<Answer> answers_;
  };

  FakeClock& clock_;
  FakeClock own_clock_;
  nanoseconds free_{0};  ///< When it is through with what it was asked for.
};

TEST(MeterApart, RarelyDisturbsARunToReadAnAnswer) {
  Bench bench;
  ApartEngine engine(bench.clock);
  for (int i = 0; i < 40; ++i) {
    const std::string name = "m" + std::to_string(i);
    const std::vector<FakeKernel> kernels{{name + "/conv", "Convolution", 50.0 + 10 * i, 70.0 + 12 * i}};
    bench.add(name, kernels);
    engine.inner.program(name, fake_model(kernels));
  }
  std::vector<ModelProfile> profiles;
  const MeterResult result =
      metering::meter_with(bench.hooks, engine, bench.items, bench.options, bench.clock,
                           [&](const ModelProfile& profile) { profiles.push_back(profile); }, {}, {});
  EXPECT_EQ(result.measured, 40);
  ASSERT_EQ(profiles.size(), 40u);
  for (const ModelProfile& profile : profiles) {
    const int i = std::stoi(profile.fingerprint.substr(1));
    ASSERT_EQ(profile.kernels.size(), 1u);
    EXPECT_NEAR(profile.kernels[0].hot.median_us, 50.0 + 10 * i, 0.01);
    EXPECT_NEAR(profile.kernels[0].cold.median_us, 70.0 + 12 * i, 0.01);
  }
  // The first run of every model is waited for; the answers to all others are read in bunches.
  EXPECT_LT(engine.waited_for - 40, engine.finished / 8) << "of " << engine.finished;
  EXPECT_GT(result.engine_share, 0.85) << "sleeping must not leave the engine idle";
}

TEST(MeterApart, TheEngineGoesOnWhileResultsAreWrittenDown) {
  Bench bench;
  ApartEngine engine(bench.clock);
  for (int i = 0; i < 60; ++i) {
    const std::string name = "m" + std::to_string(i);
    const std::vector<FakeKernel> kernels{{name + "/conv", "Convolution", 900, 1000}};
    bench.add(name, kernels);
    engine.inner.program(name, fake_model(kernels));
    if (i >= 50) engine.inner.model(name).noise = 0.05;  // The others are through at once, while these go on.
  }
  long profiles = 0;
  const auto slow_sink = [&](const ModelProfile&) {
    ++profiles;
    bench.clock.advance(std::chrono::milliseconds(20));
  };
  const MeterResult result =
      metering::meter_with(bench.hooks, engine, bench.items, bench.options, bench.clock, slow_sink, {}, {});
  EXPECT_EQ(profiles, 60);
  EXPECT_GT(result.wall_s, 60 * 0.02);
  EXPECT_GT(result.engine_share, 0.95) << "of " << result.wall_s << " s";
}

}  // namespace
}  // namespace mmt::testing
