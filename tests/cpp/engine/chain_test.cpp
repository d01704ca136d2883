// What all chains have in common.
#include <gtest/gtest.h>

#include "mmt/error.h"
#include "support/fake_engine.h"

namespace mmt {
namespace {

/// Forgets the times of one kernel of a chain.
class ForgetfulEngine final : public Engine {
 public:
  explicit ForgetfulEngine(testing::FakeEngine& fake) : fake_(fake) {}
  const EngineFacts& facts() const override { return fake_.facts(); }
  std::unique_ptr<Session> open(const std::string& path, const OpenOptions& options) override {
    return fake_.open(path, options);
  }

 private:
  ChainSamples do_run_chain(std::span<Session* const> sessions, int times) override {
    ChainSamples samples = fake_.run_chain(sessions, times);
    samples.kernel_us.pop_back();
    return samples;
  }
  testing::FakeEngine& fake_;
};

TEST(Chain, ThatLacksTimesIsRefused) {
  FakeClock clock;
  testing::FakeEngine fake(clock);
  fake.program("a.mnn", testing::fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}}));
  const auto session = fake.open("a.mnn", {});
  const std::vector<Session*> links{session.get(), session.get()};
  EXPECT_EQ(fake.run_chain(links, 3).kernel_us.size(), 12u);
  try {
    ForgetfulEngine(fake).run_chain(links, 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kEngine);
    EXPECT_STREQ(error.what(), "the engine gave 11 kernel times of a chain instead of 12");
  }
}

}  // namespace
}  // namespace mmt
