#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "meter/rounds.h"

namespace mmt::metering {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Reminders, StandAsLateAsTheBytesBetweenAllow) {
  const std::vector<std::int64_t> bytes{5, 1, 1, 3, 1};
  EXPECT_THAT(reminders(bytes, 4), ElementsAre(ElementsAre(1, 2, 3), IsEmpty(), ElementsAre(4), IsEmpty(), IsEmpty()))
      << "before the first visit 5 lie before visit 1, 6 before 2, 7 before 3; before visit 2 there are 4 to visit 4";
  EXPECT_THAT(reminders(bytes, 100), ::testing::Each(IsEmpty()));
  EXPECT_THAT(reminders({}, 4), IsEmpty());
}

TEST(Reminders, OfRandomOrdersKeepTheirDistance) {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::int64_t> bytes(1 + random() % 30);
    for (std::int64_t& one : bytes) one = random() % 4 == 0 ? 300 : static_cast<std::int64_t>(random() % 9);
    const std::int64_t want = 1 + static_cast<std::int64_t>(random() % 60);
    const auto due = reminders(bytes, want);
    ASSERT_EQ(due.size(), bytes.size());
    const auto between = [&](std::size_t from, std::size_t to) {
      return std::accumulate(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                             bytes.begin() + static_cast<std::ptrdiff_t>(to), std::int64_t{0});
    };
    std::vector<int> reminded(bytes.size());
    for (std::size_t place = 0; place < due.size(); ++place) {
      for (const std::size_t visit : due[place]) {
        ++reminded[visit];
        EXPECT_GE(between(place, visit), want);
        EXPECT_LT(between(place + 1, visit), want) << "later would do";
      }
    }
    for (std::size_t visit = 0; visit < bytes.size(); ++visit) {
      EXPECT_EQ(reminded[visit], between(0, visit) >= want ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace mmt::metering
