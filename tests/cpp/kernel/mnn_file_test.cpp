#include "kernel/mnn_file.h"

#include <gtest/gtest.h>

#include <random>

#include "kernel/mnn_builder.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

std::vector<std::uint8_t> sample() {
  return test::build_mnn(
      {{"x", 34, 0, {}, {0}}, {"conv", 12, 9, {0}, {1}, test::convolution(3, 36, true)}, {"sum", 7, 0, {0, 1}, {2}}},
      {"x", "conv", "sum"});
}

Graph parse(const std::vector<std::uint8_t>& image) { return parse_graph(image.data(), image.size(), "a.mnn"); }

TEST(MnnFile, ReadsOperatorsAttributesAndConstants) {
  const Graph graph = parse(sample());
  ASSERT_EQ(graph.ops.size(), 3u);
  EXPECT_EQ(graph.ops[1].name, "conv");
  EXPECT_EQ(graph.ops[1].type, 12);
  EXPECT_EQ(graph.ops[1].attributes, "kernel_x=3,kernel_y=3,relu=1");
  EXPECT_EQ(graph.ops[1].constant_bytes, 36 * 4);
  EXPECT_EQ(graph.ops[2].inputs, (std::vector<int>{0, 1}));
  EXPECT_EQ(graph.find("sum"), 2);
  EXPECT_EQ(graph.find("absent"), -1);
}

TEST(MnnFile, RefusesWhatIsNoModelAndNamesTheFile) {
  for (const auto& image :
       {std::vector<std::uint8_t>{}, std::vector<std::uint8_t>(7, 0), std::vector<std::uint8_t>(64, 0xff)}) {
    try {
      parse(image);
      FAIL() << "an image of " << image.size() << " bytes was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      EXPECT_NE(std::string(error.what()).find("a.mnn"), std::string::npos);
    }
  }
}

TEST(MnnFile, RefusesATensorThatDoesNotExist) {
  EXPECT_THROW(parse(test::build_mnn({{"sum", 7, 0, {0, 9}, {1}}}, {"a", "b"})), Error);
}

TEST(MnnFile, EveryTruncationIsReadOrRefused) {
  const auto image = sample();
  int refused = 0;
  for (std::size_t size = 0; size < image.size(); ++size) {
    // A copy of exactly that size, so that a sanitizer sees any read past its end.
    std::vector<std::uint8_t> part(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(size));
    try {
      parse(part);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(image.size()) / 2);
}

TEST(MnnFile, DamagedImagesAreReadOrRefusedButNeverCrash) {
  const auto image = sample();
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    auto damaged = image;
    const int edits = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < edits; ++i) damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    try {
      parse(damaged);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    }
  }
}

}  // namespace
}  // namespace mmt::mnn
