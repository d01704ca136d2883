#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <numeric>
#include <thread>

#include "engine/engine_json.h"
#include "engine/test_worker_process.h"
#include "mmt/error.h"
#include "mmt/worker.h"
#include "support/fake_engine.h"

namespace mmt::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Engine> start(const std::string& mode,
                              std::chrono::milliseconds call_timeout = std::chrono::seconds(60)) {
  WorkerOptions options;
  options.argv = worker_command(mode);
  options.call_timeout = call_timeout;
  return start_worker_engine(options);
}

/// The error that `body` throws.
template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::kInterrupted, "nothing was thrown");
}

TEST(WorkerEngine, GivesWhatTheEngineGivesInProcess) {
  FakeClock clock;
  FakeEngine direct(clock);
  direct.program("good", fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}}));
  const auto expected = direct.open("good", {});
  const auto engine = start("good");
  EXPECT_EQ(engine->facts().name, "fake");
  const auto session = engine->open("good", {});
  EXPECT_EQ(nlohmann::json(session->desc()), nlohmann::json(expected->desc()));
  for (const bool profile : {false, true}) {
    const RunSamples want = expected->run({.runs = 3, .profile = profile});
    const RunSamples got = session->run({.runs = 3, .profile = profile});
    EXPECT_EQ(got.run_us, want.run_us);
    EXPECT_EQ(got.kernel_us, want.kernel_us);
    EXPECT_EQ(got.timed_us, want.timed_us);
    EXPECT_EQ(got.overhead_us, want.overhead_us);
    EXPECT_EQ(got.steal_share, want.steal_share);
    EXPECT_EQ(got.migrations, want.migrations);
  }
}

TEST(WorkerEngine, RunsChainsAsTheEngineDoesInProcess) {
  FakeClock clock;
  FakeEngine direct(clock);
  direct.program("good", fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}}));
  const auto a = direct.open("good", {}), b = direct.open("good", {});
  const ChainSamples want = direct.run_chain(std::vector<Session*>{a.get(), b.get(), b.get()}, 2);
  // The first run of a session after another is cold, as everywhere.
  EXPECT_EQ(want.kernel_us, (std::vector<float>{150, 6, 150, 6, 100, 5, 150, 6, 150, 6, 100, 5}));
  const auto engine = start("good");
  const auto c = engine->open("good", {}), d = engine->open("good", {});
  const ChainSamples got = engine->run_chain(std::vector<Session*>{c.get(), d.get(), d.get()}, 2);
  EXPECT_EQ(got.kernel_us, want.kernel_us);
  EXPECT_EQ(got.timed_us, want.timed_us);
  EXPECT_EQ(got.overhead_us, want.overhead_us);
  EXPECT_EQ(got.steal_share, want.steal_share);
  EXPECT_THROW(engine->run_chain(std::vector<Session*>{c.get(), a.get()}, 1), Error) << "a session of another engine";
  EXPECT_THROW(engine->run_chain(std::vector<Session*>{c.get()}, 0), Error);
  engine->restart();
  EXPECT_THROW(engine->run_chain(std::vector<Session*>{c.get()}, 1), Error) << "its session is gone";
}

TEST(WorkerEngine, CarriesLargeArraysBothWays) {
  const auto engine = start("good");
  std::vector<float> values(1'000'000);
  std::iota(values.begin(), values.end(), 0.5f);
  EXPECT_EQ(engine->open("echo", {})->compute({values, {1, 2}}), (std::vector<std::vector<float>>{values, {1, 2}}));
}

TEST(WorkerEngine, ErrorsOfTheEngineKeepCodeAndMessageAndCostNothing) {
  const auto engine = start("good");
  const auto session = engine->open("failing", {});
  const Error error = error_of([&] { session->run({}); });
  EXPECT_EQ(error.code(), ErrorCode::kEngine);
  EXPECT_THAT(error.what(), HasSubstr("failing"));
  EXPECT_EQ(error_of([&] { engine->open("absent", {}); }).code(), ErrorCode::kNotFound);
  EXPECT_NO_THROW(engine->open("good", {})->run({}));
}

TEST(WorkerEngine, CrashNamesPathSignalAndLastWordsAndRestartGoesOn) {
  const auto engine = start("good");
  const auto before = engine->open("good", {});
  const Error error = error_of([&] { engine->open("abort", {}); });
  EXPECT_EQ(error.code(), ErrorCode::kCrashed);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("abort: opening"), HasSubstr("SIGKILL"), HasSubstr("something is rotten")));
  EXPECT_EQ(error_of([&] { before->run({}); }).code(), ErrorCode::kCrashed);
  EXPECT_EQ(error_of([&] { engine->open("good", {}); }).code(), ErrorCode::kCrashed);
  engine->restart();
  EXPECT_EQ(error_of([&] { before->run({}); }).code(), ErrorCode::kCrashed) << "sessions of before stay lost";
  EXPECT_EQ(engine->open("good", {})->run({.runs = 2}).run_us.size(), 2u);
}

TEST(WorkerEngine, ExitIsACrashWithItsCode) {
  const auto engine = start("good");
  const Error error = error_of([&] { engine->open("exit", {}); });
  EXPECT_EQ(error.code(), ErrorCode::kCrashed);
  EXPECT_THAT(error.what(), HasSubstr("exited with code 3"));
}

TEST(WorkerEngine, HangIsEndedAtTheTimeout) {
  const auto engine = start("good", std::chrono::milliseconds(200));
  const Error error = error_of([&] { engine->open("hang", {}); });
  EXPECT_EQ(error.code(), ErrorCode::kTimeout);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("hang: opening"), HasSubstr("200 ms")));
  EXPECT_EQ(kill(std::stoi(engine->facts().build), 0), -1) << "the hanging process is gone";
  engine->restart();
  EXPECT_NO_THROW(engine->open("good", {})->run({}));
}

TEST(WorkerEngine, ChatterOnBothStreamsDisturbsNothing) {
  const auto engine = start("good");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(engine->open("chatter", {})->run({}).run_us.size(), 1u);
}

TEST(WorkerEngine, ClosedSessionsAreClosedInTheWorker) {
  const auto engine = start("good");
  const double before = engine->memory().resident_mib;
  auto session = engine->open("good", {});
  EXPECT_GT(engine->memory().resident_mib, before);
  session.reset();
  EXPECT_EQ(engine->memory().resident_mib, before);
}

TEST(WorkerEngine, SessionsMayOutliveTheirEngine) {
  auto engine = start("good");
  const auto session = engine->open("good", {});
  engine.reset();
  EXPECT_EQ(session->run({}).run_us.size(), 1u);
}

TEST(WorkerEngine, FailureToStartSaysWhy) {
  const Error refused = error_of([] { start("refuse"); });
  EXPECT_EQ(refused.code(), ErrorCode::kUnsupported);
  EXPECT_STREQ(refused.what(), "this engine is not for you");
  // Under an emulator a spawn returns before the program is loaded: there the missing program is a child that ended.
  EXPECT_EQ(error_of([] { start_worker_engine({.argv = {"/no/such/worker"}, .env = {}}); }).code(),
            std::getenv("MMT_WORKER_LAUNCHER") == nullptr ? ErrorCode::kNotFound : ErrorCode::kCrashed);
  EXPECT_EQ(error_of([] { start_worker_engine({.argv = {"true"}, .env = {}}); }).code(), ErrorCode::kCrashed);
  WorkerOptions silent;
  silent.argv = worker_command("silent");
  silent.start_timeout = std::chrono::milliseconds(200);
  EXPECT_EQ(error_of([&] { start_worker_engine(silent); }).code(), ErrorCode::kTimeout);
}

/// Whether a process runs; one that ended but was not collected does not.
bool is_running(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return (file >> number >> name >> state) && state != "Z";
}

TEST(WorkerEngine, HangingChildEndsAfterItsParentVanished) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const auto engine = start("good");
    const int worker = std::stoi(engine->facts().build);
    if (write(pipe_fds[1], &worker, sizeof worker) != sizeof worker) _exit(1);
    engine->open("hang", {});
    _exit(0);
  }
  int worker = 0;
  ASSERT_EQ(read(pipe_fds[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  EXPECT_TRUE(is_running(worker));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  for (int i = 0; i < 1000 && is_running(worker); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(is_running(worker));
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

}  // namespace
}  // namespace mmt::testing
