// Operators as one piece: the same as the rows that they were packed from, and never more than the bytes hold.
#include "table/packed.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <optional>
#include <random>

#include "fixture.h"
#include "mmt/error.h"
#include "mmt/table.h"
#include "table/reader.h"
#include "table/sql.h"

namespace mmt {
namespace {

using table::KernelRows;
using table::pack;
using table::unpack;
using test::make_kernel;
using test::make_operator;
using test::make_profile;
using test::make_run;
using test::make_signature;

std::span<const unsigned char> bytes_of(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

class PackedTest : public test::FolderTest {
 protected:
  /// Operators of some random kernels each, measured under two configurations, not all of them.
  void SetUp() override {
    FolderTest::SetUp();
    std::mt19937 random(3);
    Manifest manifest;
    for (int i = 0; i < kOperators; ++i) manifest.operators.push_back(make_operator(name(i)));
    write_manifest(folder_, manifest);
    for (const int threads : {1, 2}) {
      std::vector<ModelProfile> profiles;
      for (int i = threads; i < kOperators; ++i) {
        for (const char* context : {"plain", "packed"}) {
          std::vector<KernelProfile> kernels;
          for (unsigned k = random() % 4; k-- > 0;) {
            const double us = 1 + random() % 50;
            kernels.push_back(
                make_kernel(make_signature("K", std::to_string(random() % 9), "[1]"), 2 * us, us, KernelRole::kBody));
            kernels.back().kernel.tensors = std::to_string(k);
          }
          profiles.push_back(make_profile(name(i), kernels, 5, context));
          if (i % 5 == 0) profiles.back().status = "failed";
        }
      }
      write_journal(profiles, make_run(threads));
    }
    build_table(folder_);
  }

  static std::string name(int i) { return "op" + std::to_string(i); }
  static constexpr int kOperators = 12;
};

TEST_F(PackedTest, AnOperatorIsTheSameEitherWay) {
  table::Reader reader(file("latency.db"));
  int measured = 0;
  for (const int config : {1, 2}) {
    reader.use(config);
    for (int i = 0; i < kOperators; ++i) {
      const auto fingerprint = *table::blob_from_hex(identity_hex(name(i)));
      KernelRows kernels, kernels_of_rows;
      const auto row = reader.op(fingerprint, &kernels), of_rows = reader.unpacked_op(fingerprint, &kernels_of_rows);
      ASSERT_TRUE(row && of_rows) << name(i);
      EXPECT_EQ(pack(*row, kernels), pack(*of_rows, kernels_of_rows)) << name(i);
      measured += row->status == "ok" ? 1 : 0;
      if (row->status == "ok") EXPECT_EQ(row->contexts.size(), 2u);
    }
    EXPECT_FALSE(reader.op(*table::blob_from_hex(identity_hex("nobody"))));
  }
  EXPECT_EQ(measured, 17);
}

TEST_F(PackedTest, WhatWasPackedIsReadAsOnePiece) {
  const auto count = [this](const std::string& table) {
    return table::Database(file("latency.db"), table::OpenMode::kRead).integer("SELECT COUNT(*) FROM " + table);
  };
  EXPECT_EQ(count("packed_operator"), 17);
  // Without the rows, only the packed ones can still be there.
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute("DELETE FROM measurement; DELETE FROM operator_kernel; DELETE FROM port");
  table::Reader reader(file("latency.db"));
  reader.use(1);
  EXPECT_EQ(reader.op(*table::blob_from_hex(identity_hex(name(1))))->status, "ok");
  EXPECT_EQ(reader.op(*table::blob_from_hex(identity_hex(name(5))))->status, "unmeasured");
}

TEST_F(PackedTest, PackedOtherwiseTheRowsCount) {
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute(
          "UPDATE meta SET value = 'of another program' WHERE name = 'packed_layout';"
          "UPDATE packed_operator SET bytes = 'nonsense'");
  table::Reader reader(file("latency.db"));
  reader.use(1);
  EXPECT_EQ(reader.op(*table::blob_from_hex(identity_hex(name(1))))->contexts.size(), 2u);
}

TEST_F(PackedTest, DamagedBytesAreSaidToBe) {
  table::Database(file("latency.db"), table::OpenMode::kReadWrite)
      .execute("UPDATE packed_operator SET bytes = substr(bytes, 1, length(bytes) - 1)");
  const std::string config = list_configs(folder_)[0].config_id;
  try {
    LatencyTable::open(file("latency.db"), config)->find_operator(identity_hex(name(2)));
    FAIL() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_THAT(error.what(), testing::HasSubstr("mmt table rebuild"));
  }
}

TEST_F(PackedTest, NoBytesAreReadThatAreNotThere) {
  table::Reader reader(file("latency.db"));
  reader.use(1);
  KernelRows kernels;
  const auto row = reader.op(*table::blob_from_hex(identity_hex(name(2))), &kernels);
  const std::string whole = pack(*row, kernels);
  KernelRows again;
  EXPECT_EQ(pack(unpack(bytes_of(whole), &again), again), whole);
  const auto read = [](const std::string& bytes) {
    KernelRows found;
    try {
      unpack(bytes_of(bytes), &found);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kCorrupt;
    }
    return false;
  };
  for (std::size_t size = 0; size < whole.size(); ++size) ASSERT_TRUE(read(whole.substr(0, size))) << size;
  EXPECT_TRUE(read(whole + "x"));
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {  // Whatever they say, nothing beyond them is touched, nor memory without end.
    std::string other = whole;
    other[random() % other.size()] = static_cast<char>(random());
    read(other);
  }
}

TEST(PackedLayoutTest, TellsEveryField) {
  EXPECT_EQ(table::packed_layout().size(), 32u);
  EXPECT_EQ(table::packed_layout(), table::packed_layout());
}

}  // namespace
}  // namespace mmt
