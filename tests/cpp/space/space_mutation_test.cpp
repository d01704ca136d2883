// Damaged files: whatever stands in them, the parser answers with a space or with mmt::Error.
#include <gtest/gtest.h>

#include <random>

#include "mmt/error.h"
#include "mmt/space.h"

namespace mmt {
namespace {

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> texts = {
      "resnet18:\n  ResNetBasicBlock:\n    in_channels: [64, 128]\n    stride: [1, 2]\n    kernel: [3, 5, 7]\n"
      "    input_shape: [[1, 64, 56, 56], [1, 128, 28, 28]]\n",
      "torch.nn:\n  Conv2d:\n    - in_channels: 3\n      kernel_size: [[3, 5], [5, 3]]\n      bias: [true, false]\n"
      "      input_shape: [[1, 3, 8, 8]]\n    - &g {in_channels: 4, padding_mode: 'zeros', input_shape: [[1, 4, 2, "
      "2]]}\n"
      "  ReLU: {no_params: true, input_shape: [[1, 8]], occurs: 3}\n",
      "m:\n  A: &a\n    x: [1.5, 1e-5, null, ~, \"q\"]\n    y: &l [a, b]\n    input_shape: &s [[1], [2], [3], [4], "
      "[5]]\n"
      "  B:\n    <<: *a\n    y: *l\nmmt.captured:\n  captured: [ab12, 7]\n",
      "m:\n  E:\n    no_params: true\n    input_shape: [[[1, 8], [1, 4]]]\n    input_dtype: [int64, float32]\n"
      "    input_range: [[0, 10], [-1, 1]]\n",
  };
  return texts;
}

std::string mutate(std::mt19937& random, std::string text) {
  static const std::string pieces[] = {"\t",        "\n",
                                       ": ",        "- ",
                                       "[",         "]",
                                       "{",         "}",
                                       "&a ",       "*a",
                                       "<<: ",      "!!int ",
                                       "|\n",       ">\n",
                                       "'",         "\"",
                                       "#",         "? ",
                                       "---\n",     "...\n",
                                       "%YAML 9\n", "\xff",
                                       "\x04",      "~",
                                       "-1",        "99999999999999999999",
                                       "1e999",     "input_shape: ",
                                       "  ",        "\r",
                                       "\xC3\xA4",  ","};
  const int changes = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < changes; ++i) {
    const std::size_t at = text.empty() ? 0 : random() % text.size();
    switch (random() % 5) {
      case 0:
        text.insert(at, pieces[random() % std::size(pieces)]);
        break;
      case 1:
        text.erase(at, 1 + random() % 8);
        break;
      case 2:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 3:
        text = text.substr(0, at);
        break;
      default:
        text.insert(at, text.substr(random() % (text.size() + 1), random() % 40));
        break;
    }
  }
  return text;
}

TEST(SpaceMutations, OnlyASpaceOrAnError) {
  std::mt19937 random(20240501);
  int accepted = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string text = mutate(random, seeds()[random() % seeds().size()]);
    try {
      const Space space = parse_space(text, "f");
      Enumerator enumerator(space);
      OperatorSpec spec;
      std::uint64_t seen = 0;
      while (seen < 1000 && enumerator.next(spec)) ++seen;
      EXPECT_TRUE(seen == space.count() || seen == 1000) << text;
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kParse) << text;
      EXPECT_EQ(std::string(error.what()).rfind("f:", 0), 0u) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(refused, 5000);
}

TEST(SpaceMutations, UnchangedSeedsAreAccepted) {
  for (const std::string& text : seeds()) EXPECT_NO_THROW(parse_space(text, "f")) << text;
}

}  // namespace
}  // namespace mmt
