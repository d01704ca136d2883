// Runs that are started before earlier ones are finished, in this process and over a worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "engine/test_worker_process.h"
#include "mmt/error.h"
#include "mmt/worker.h"
#include "support/fake_engine.h"

namespace mmt::testing {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Engine> start_worker() {
  WorkerOptions options;
  options.argv = worker_command("good");
  return start_worker_engine(options);
}

ErrorCode code_of_finish(Session& session) {
  try {
    session.finish();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInterrupted;
}

TEST(StartedRuns, GiveWhatRunsGiveAndInTheirOrder) {
  FakeClock clock;
  FakeEngine direct(clock);
  direct.program("good", fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}}));
  const auto expected = direct.open("good", {});
  const auto engine = start_worker();
  const auto first = engine->open("good", {});
  const auto second = engine->open("good", {});
  first->start({.runs = 2});
  second->start({.runs = 3, .profile = true});
  first->start({.runs = 1});
  EXPECT_EQ(first->finish().run_us.size(), 2u);
  EXPECT_EQ(second->finish().kernel_us.size(), 6u);
  EXPECT_EQ(first->finish().run_us.size(), 1u);
  expected->start({.runs = 2});
  expected->start({.runs = 3});
  EXPECT_EQ(expected->finish().run_us.size(), 2u);
  EXPECT_EQ(expected->finish().run_us.size(), 3u);
}

TEST(StartedRuns, FinishingWhatWasNotStartedIsAMistake) {
  FakeClock clock;
  FakeEngine direct(clock);
  direct.program("good", fake_model({{"conv", "Convolution", 100, 150}}));
  EXPECT_EQ(code_of_finish(*direct.open("good", {})), ErrorCode::kInvalidArgument);
  const auto engine = start_worker();
  EXPECT_EQ(code_of_finish(*engine->open("good", {})), ErrorCode::kInvalidArgument);
}

TEST(StartedRuns, ARefusedRunCostsOnlyItself) {
  const auto engine = start_worker();
  const auto good = engine->open("good", {});
  const auto failing = engine->open("failing", {});
  good->start({});
  failing->start({});
  good->start({});
  EXPECT_NO_THROW(good->finish());
  EXPECT_EQ(code_of_finish(*failing), ErrorCode::kEngine);
  EXPECT_NO_THROW(good->finish());
}

TEST(StartedRuns, AnswersThatNobodyTakesAreDropped) {
  const auto engine = start_worker();
  const auto good = engine->open("good", {});
  engine->open("failing", {})->start({});  // Closed again with its run unfinished.
  good->start({.runs = 5});
  EXPECT_EQ(engine->open("good", {})->run({.runs = 2}).run_us.size(), 2u);
  EXPECT_EQ(good->run({.runs = 3}).run_us.size(), 3u);
}

TEST(StartedRuns, ALostWorkerIsNoticedByTheFirstThatWaits) {
  const auto engine = start_worker();
  const auto first = engine->open("good", {});
  const auto second = engine->open("good", {});
  ASSERT_EQ(kill(std::stoi(engine->facts().build), SIGKILL), 0);
  first->start({});
  second->start({});
  EXPECT_EQ(code_of_finish(*first), ErrorCode::kCrashed);
  EXPECT_EQ(code_of_finish(*second), ErrorCode::kCrashed);
  EXPECT_THROW(first->start({}), Error);
  engine->restart();
  const auto again = engine->open("good", {});
  again->start({});
  EXPECT_NO_THROW(again->finish());
}

}  // namespace
}  // namespace mmt::testing
