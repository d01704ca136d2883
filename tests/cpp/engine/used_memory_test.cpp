#include "engine/used_memory.h"

#include <gtest/gtest.h>

namespace mmt {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

TEST(UsedMemory, OnlyOthersDisplace) {
  UsedMemory used;
  UsedMemory::Mark one, other;
  for (int run = 0; run < 10; ++run) {
    used.add(100, one);
    EXPECT_FALSE(used.displaced(one, 2 * kMiB)) << "its own run was the last";
  }
  used.add(8, other);
  EXPECT_TRUE(used.displaced(one, 2 * kMiB));
  EXPECT_FALSE(used.displaced(other, 2 * kMiB));
}

TEST(UsedMemory, LittleDisplacesNothing) {
  UsedMemory used;
  UsedMemory::Mark one, other;
  used.add(1, one);
  for (int run = 0; run < 7; ++run) {
    used.add(1, other);
    EXPECT_FALSE(used.displaced(one, 2 * kMiB)) << run + 1 << " MiB of others, against a cache of 2";
  }
  used.add(1, other);
  EXPECT_TRUE(used.displaced(one, 2 * kMiB));
  EXPECT_FALSE(used.displaced(one, 4 * kMiB)) << "a larger cache keeps more";
}

}  // namespace
}  // namespace mmt
