// What stands for a table, when it is rebuilt, and what is said where that cannot be done.
#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "fixture.h"
#include "mmt/error.h"
#include "mmt/table.h"
#include "table/build.h"
#include "table/builder.h"
#include "table/freshness.h"
#include "table/locate.h"
#include "table/schema.h"
#include "table/sql.h"

namespace mmt {
namespace {

namespace fs = std::filesystem;
using test::make_kernel;
using test::make_operator;
using test::make_profile;
using test::make_run;
using test::make_signature;
using testing::HasSubstr;

const KernelSignature kConv = make_signature("Convolution", "kernel=3x3", "[1,16,8,8]");

class OpeningTest : public test::FolderTest {
 protected:
  void measure(const std::string& name, double hot_us = 10) {
    write_journal({make_profile(name, {make_kernel(kConv, 2 * hot_us, hot_us)})}, make_run());
  }
  double hot(const std::string& path) { return LatencyTable::open(path)->find_kernel(kConv.key)->hot_us; }

  /// Message and code of the error that opening ends with.
  std::string refusal(const std::string& path, ErrorCode expected) {
    try {
      LatencyTable::open(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), expected) << error.what();
      return error.what();
    }
    ADD_FAILURE() << path << " was opened";
    return "";
  }
  table::TableState state() {
    std::string reason;
    return table::inspect(table::locate(folder_), reason);
  }
};

TEST_F(OpeningTest, FolderFileAndOldNamesStandForTheTable) {
  measure("a");
  EXPECT_EQ(hot(folder_), 10);
  EXPECT_EQ(hot(folder_ + "/"), 10);
  EXPECT_EQ(hot(file("latency.db")), 10);
  EXPECT_EQ(hot(file("meta_latency.pkl")), 10);
  EXPECT_EQ(hot(file("whatever")), 10);
  test::spill(file("meta_latency.pkl"), "\x80\x04 a pickle that nobody reads");
  EXPECT_EQ(hot(file("meta_latency.pkl")), 10);
  EXPECT_EQ(LatencyTable::open(folder_)->path(), file("latency.db"));
  EXPECT_EQ(LatencyTable::open(file("whatever"))->folder(), folder_);
}

TEST_F(OpeningTest, ATableUnderItsOwnNameStandsForItself) {
  measure("a");
  build_table(folder_);
  fs::copy_file(file("latency.db"), file("board.db"));
  measure("b", 30);
  EXPECT_EQ(hot(file("board.db")), 10);
  EXPECT_GT(hot(folder_), 10);
}

TEST_F(OpeningTest, FolderNamesMayHoldAnyCharacter) {
  const std::string parent = folder_;
  folder_ += "/a?b#c%20 d&e=f";
  fs::create_directories(folder_);
  measure("a");
  EXPECT_EQ(hot(folder_), 10);
  folder_ = parent;
}

TEST_F(OpeningTest, WhatIsMissingIsSaidWithTheCommandThatHelps) {
  EXPECT_THAT(refusal(folder_, ErrorCode::kNotFound), HasSubstr("mmt meter"));
  EXPECT_THAT(refusal(file("no/such/folder"), ErrorCode::kNotFound), HasSubstr("mmt generate"));
  refusal("", ErrorCode::kInvalidArgument);
  JournalWriter(file("latency.jsonl"), make_run());
  EXPECT_THAT(refusal(folder_, ErrorCode::kNotFound), HasSubstr("mmt meter"));
  EXPECT_THROW(build_table(file("no/such/folder")), Error);
}

TEST_F(OpeningTest, ANewerJournalOrManifestRebuilds) {
  measure("a", 10);
  EXPECT_EQ(hot(folder_), 10);
  EXPECT_EQ(state(), table::TableState::kFresh);
  measure("a", 12);
  EXPECT_EQ(state(), table::TableState::kStale);
  EXPECT_EQ(hot(folder_), 12);
  Manifest manifest;
  manifest.operators = {make_operator("a")};
  write_manifest(folder_, manifest);
  EXPECT_EQ(LatencyTable::open(folder_)->find_operator(identity_hex("a"))->class_name, "torch.nn.Conv2d");
}

TEST_F(OpeningTest, ACopiedFolderIsNotRebuilt) {
  measure("a");
  build_table(folder_);
  const auto inode = [&] {
    table::Database database(file("latency.db"), table::OpenMode::kReadWrite);
    return database.value("SELECT value FROM meta WHERE name = 'marker'");
  };
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute("INSERT INTO meta VALUES ('marker', 'kept')");
  fs::last_write_time(file("latency.jsonl"), fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(hot(folder_), 10);
  EXPECT_EQ(inode(), "kept") << "the content is the same, only its time stamp is new";
}

TEST_F(OpeningTest, TheTableAloneIsEnough) {
  measure("a");
  build_table(folder_);
  fs::remove(file("latency.jsonl"));
  EXPECT_EQ(hot(folder_), 10);
  Manifest manifest;
  manifest.operators = {make_operator("b")};
  write_manifest(folder_, manifest);
  EXPECT_EQ(hot(folder_), 10) << "without a journal nothing is rebuilt";
  EXPECT_THROW(build_table(folder_), Error) << "that would lose the measurements";
  EXPECT_EQ(hot(folder_), 10);
}

TEST_F(OpeningTest, ADamagedTableIsRebuiltFromTheJournal) {
  measure("a");
  build_table(folder_);
  const std::string whole = test::slurp(file("latency.db"));
  for (const std::string& damaged : {std::string(), std::string("no database"), whole.substr(0, whole.size() / 2),
                                     whole.substr(0, 16) + std::string(whole.size() - 16, '\0')}) {
    test::spill(file("latency.db"), damaged);
    EXPECT_EQ(state(), table::TableState::kDamaged);
    EXPECT_EQ(hot(folder_), 10);
    EXPECT_EQ(state(), table::TableState::kFresh);
  }
  fs::remove(file("latency.jsonl"));
  test::spill(file("latency.db"), whole.substr(0, whole.size() / 2));
  EXPECT_THAT(refusal(folder_, ErrorCode::kCorrupt), HasSubstr("latency.jsonl"));
}

TEST_F(OpeningTest, SchemaVersionsAreChecked) {
  measure("a");
  build_table(folder_);
  const auto set = [&](const std::string& pragma) {
    table::Database(file("latency.db"), table::OpenMode::kReadWrite).execute("PRAGMA " + pragma);
  };
  set("user_version = 99");
  EXPECT_THAT(refusal(folder_, ErrorCode::kUnsupported), HasSubstr("upgrade"));
  set("user_version = 0");
  EXPECT_EQ(hot(folder_), 10) << "an older one is folded anew";
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute("UPDATE meta SET value = 'other columns' WHERE name = 'schema'");
  EXPECT_EQ(state(), table::TableState::kOld);
  EXPECT_EQ(hot(folder_), 10);
  set("application_id = 7");
  refusal(folder_, ErrorCode::kParse);
}

TEST_F(OpeningTest, ATableOfAnOlderVersionStandsForItselfWhereItsJournalIsNot) {
  measure("a");
  build_table(folder_);
  fs::remove(file("latency.jsonl"));
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute(
          "DROP VIEW operators; DROP VIEW operator_kernels;"
          "CREATE TABLE one AS SELECT * FROM operator_kernel NATURAL JOIN operator_kernel_time; "
          "DROP TABLE operator_kernel; DROP TABLE operator_kernel_time; ALTER TABLE one RENAME TO operator_kernel; "
          "DROP TABLE packed_operator; ALTER TABLE measurement DROP COLUMN peak_mib; "
          "UPDATE meta SET value = 'without peak_mib' WHERE name = 'schema'");
  const std::string before = test::slurp(file("latency.db"));
  EXPECT_EQ(state(), table::TableState::kFresh);
  for (const std::string& path : {folder_, file("latency.db")}) {
    const auto opened = LatencyTable::open(path);
    EXPECT_EQ(opened->find_kernel(kConv.key)->hot_us, 10);
    const auto row = opened->find_operator(make_profile("a", {}).fingerprint);
    ASSERT_NE(row, nullptr);
    ASSERT_EQ(row->contexts.size(), 1u);
    EXPECT_EQ(row->contexts[0].peak_mib, 0);
    EXPECT_EQ(row->contexts[0].kernel_keys, std::vector<std::string>{kConv.key});
  }
  EXPECT_EQ(test::slurp(file("latency.db")), before);
}

TEST_F(OpeningTest, ListsOfTheCacheThatDifferInLengthAreRefused) {
  measure("a");
  build_table(folder_);
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute("UPDATE config SET cache_bytes = '[1,2]', cache_loop_us = '[1,2]', cache_extra_us = '[1]'");
  EXPECT_THAT(refusal(folder_, ErrorCode::kCorrupt), HasSubstr("mmt table rebuild"));
}

TEST_F(OpeningTest, ABuildThatEndsEarlyLeavesTheOldTable) {
  measure("a");
  build_table(folder_);
  const std::string before = test::slurp(file("latency.db"));
  EXPECT_THROW(table::build(folder_,
                            [](table::Builder& builder) -> std::int64_t {
                              builder.add(make_operator("b"));
                              throw Error(ErrorCode::kInterrupted, "stop");
                            }),
               Error);
  EXPECT_EQ(test::slurp(file("latency.db")), before);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("tmp")));
  }
}

TEST_F(OpeningTest, AKilledBuildLeavesTheOldTableAndItsRestIsRemovedLater) {
  measure("a");
  build_table(folder_);
  const std::string before = test::slurp(file("latency.db"));
  ASSERT_EXIT(table::build(folder_,
                           [](table::Builder& builder) -> std::int64_t {
                             builder.add(make_operator("b"));
                             ::kill(::getpid(), SIGKILL);
                             return 0;
                           }),
              testing::KilledBySignal(SIGKILL), "");
  EXPECT_EQ(test::slurp(file("latency.db")), before);
  EXPECT_EQ(hot(folder_), 10);
  const auto rests = [&] {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().filename().string().find("tmp") == std::string::npos) continue;
      fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - std::chrono::hours(1));
      ++count;
    }
    return count;
  };
  EXPECT_EQ(rests(), 1);
  build_table(folder_);
  EXPECT_EQ(rests(), 0);
}

TEST_F(OpeningTest, AFolderThatMayOnlyBeReadGivesAClearError) {
  measure("a");
  const auto refused = [&] {
    // Root may write everywhere: become nobody, in a process of its own.
    if (::geteuid() == 0 && ::seteuid(65534) != 0) std::_Exit(1);
    try {
      LatencyTable::open(folder_);
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
      std::_Exit(error.code() == ErrorCode::kIo ? 3 : 4);
    }
    std::_Exit(5);
  };
  fs::permissions(folder_, static_cast<fs::perms>(0555));
  fs::permissions(file("latency.jsonl"), static_cast<fs::perms>(0444));
  EXPECT_EXIT(refused(), testing::ExitedWithCode(3), "writable");
  fs::permissions(folder_, fs::perms::owner_all);
}

TEST_F(OpeningTest, AReplacedTableDoesNotDisturbItsReaders) {
  measure("a", 10);
  const auto table = LatencyTable::open(folder_);
  measure("a", 12);
  EXPECT_EQ(hot(folder_), 12);
  EXPECT_EQ(table->find_kernel(kConv.key)->hot_us, 10);
}

TEST_F(OpeningTest, ManyThreadsReadOneTable) {
  std::vector<ModelProfile> profiles;
  for (int i = 0; i < 50; ++i) {
    profiles.push_back(
        make_profile("op" + std::to_string(i), {make_kernel(make_signature("K", std::to_string(i), ""), 2.0 * i, i)}));
  }
  write_journal(profiles, make_run());
  const auto table = LatencyTable::open(folder_);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const int which = (i * 7 + t) % 50;
        const auto kernel = table->find_kernel(make_signature("K", std::to_string(which), "").key);
        const auto op = table->find_operator(identity_hex("op" + std::to_string(which)));
        if (kernel && op && kernel->hot_us == which && op->contexts.size() == 1) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 400);
}

TEST_F(OpeningTest, AForkedProcessMayGoOnReading) {
  measure("a");
  const auto table = LatencyTable::open(folder_);
  EXPECT_EXIT(std::_Exit(table->find_kernel(kConv.key)->hot_us == 10 ? 3 : 4), testing::ExitedWithCode(3), "");
  EXPECT_EQ(table->find_kernel(kConv.key)->hot_us, 10);
}

TEST_F(OpeningTest, EveryQueryUsesAnIndex) {
  measure("a");
  build_table(folder_);
  table::Database database(file("latency.db"), table::OpenMode::kRead);
  for (const auto& [name, sql] : table::query_list()) {
    table::Statement plan(database, "EXPLAIN QUERY PLAN " + sql);
    int steps = 0;
    while (plan.step()) {
      const std::string detail = plan.text(3);
      EXPECT_THAT(detail, HasSubstr("SEARCH")) << name << ": " << detail;
      ++steps;
    }
    EXPECT_GT(steps, 0) << name;
  }
}

}  // namespace
}  // namespace mmt
