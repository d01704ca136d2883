#include <gmock/gmock.h>

#include "mmt/profile.h"

namespace mmt {
namespace {

TEST(Flags, AreWordsInAText) {
  EXPECT_TRUE(flag_words("").empty());
  EXPECT_THAT(flag_words("few"), testing::ElementsAre("few"));
  EXPECT_THAT(flag_words("noisy,few,unfinished"), testing::ElementsAre("noisy", "few", "unfinished"));
  EXPECT_THAT(flag_words(",noisy,,few,"), testing::ElementsAre("noisy", "few"));
  std::string text;
  for (const std::string& word : flag_words("noisy,few")) add_flag(text, word);
  EXPECT_EQ(text, "noisy,few");
  EXPECT_TRUE(has_flag(text, "few"));
  EXPECT_FALSE(has_flag(text, "fe"));
}

}  // namespace
}  // namespace mmt
