#include "mmt/plan_cache.h"

#include <unistd.h>

#include "fixture.h"
#include "mmt/error.h"
#include "mmt/table.h"

namespace mmt {
namespace {

class PlanCacheTest : public test::FolderTest {};

TEST_F(PlanCacheTest, RemembersPerModelAndConfiguration) {
  {
    const auto cache = PlanCache::open(folder_);
    EXPECT_TRUE(cache->persistent());
    EXPECT_EQ(cache->get("m", "c"), std::nullopt);
    cache->put("m", "c", "[1]");
    cache->put("m", "other", "[2]");
    cache->put("m", "c", "[3]");
    EXPECT_EQ(cache->size(), 2);
  }
  const auto cache = PlanCache::open(folder_ + "/meta_latency.pkl");
  EXPECT_EQ(cache->get("m", "c"), "[3]");
  EXPECT_EQ(cache->get("m", "other"), "[2]");
  cache->clear();
  EXPECT_EQ(cache->size(), 0);
}

TEST_F(PlanCacheTest, TheOldestLeave) {
  const auto cache = PlanCache::open(folder_, 3);
  for (int i = 0; i < 10; ++i) cache->put(std::to_string(i), "c", "[]");
  EXPECT_EQ(cache->size(), 3);
  EXPECT_TRUE(cache->get("9", "c"));
  EXPECT_FALSE(cache->get("0", "c"));
}

TEST_F(PlanCacheTest, DamageCostsOnlyTheCache) {
  test::spill(file("plans.db"), std::string(5000, 'x'));
  const auto cache = PlanCache::open(folder_);
  EXPECT_TRUE(cache->persistent());
  cache->put("m", "c", "[1]");
  EXPECT_EQ(PlanCache::open(folder_)->get("m", "c"), "[1]");
}

TEST_F(PlanCacheTest, ARebuiltTableLeavesItAlone) {
  PlanCache::open(folder_)->put("m", "c", "[1]");
  write_journal({test::make_profile("a", {})}, test::make_run());
  build_table(folder_);
  EXPECT_EQ(PlanCache::open(folder_)->get("m", "c"), "[1]");
}

TEST_F(PlanCacheTest, WithoutAPlaceOnDiskItServesFromMemory) {
  std::filesystem::create_directory(file("plans.db"));  // A name that cannot be a file.
  const auto cache = PlanCache::open(folder_);
  EXPECT_FALSE(cache->persistent());
  cache->put("m", "c", "[1]");
  EXPECT_EQ(cache->get("m", "c"), "[1]");
  EXPECT_THROW(PlanCache::open(folder_ + "/no/such"), Error);
}

}  // namespace
}  // namespace mmt
