// Every rule of the format: what is accepted means what docs/space.md says.
#include <gtest/gtest.h>

#include "mmt/error.h"
#include "mmt/space.h"

namespace mmt {
namespace {

std::vector<OperatorSpec> list_all(const Space& space) {
  std::vector<OperatorSpec> all;
  Enumerator enumerator(space);
  OperatorSpec spec;
  while (enumerator.next(spec)) all.push_back(spec);
  return all;
}

std::vector<OperatorSpec> list_all(const std::string& text) { return list_all(parse_space(text, "ops.yaml")); }

std::vector<std::string> values_of(const std::string& value) {
  const Space space = parse_space("m:\n  C:\n    a: 1\n    v: " + value + "\n    input_shape: [[1, 3]]\n", "ops.yaml");
  return space.entries.at(0).parameters.at(1).values_json;
}

using Strings = std::vector<std::string>;

TEST(SpaceParse, FirstParameterIsPairedOthersAreCombined) {
  const auto all = list_all(R"(resnet18:
  ResNetBasicBlock:
    in_channels: [64, 128]
    stride: [1, 2]
    kernel: [3, 5, 7]
    input_shape: [[1, 64, 56, 56], [1, 128, 28, 28]]
)");
  ASSERT_EQ(all.size(), 12u);
  EXPECT_EQ(all[0].parameters_json, R"({"in_channels":64,"stride":1,"kernel":3})");
  EXPECT_EQ(all[1].parameters_json, R"({"in_channels":64,"stride":1,"kernel":5})");
  EXPECT_EQ(all[3].parameters_json, R"({"in_channels":64,"stride":2,"kernel":3})");
  EXPECT_EQ(all[11].parameters_json, R"({"in_channels":128,"stride":2,"kernel":7})");
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].index, i);
    EXPECT_EQ(all[i].module, "resnet18");
    EXPECT_EQ(all[i].class_name, "ResNetBasicBlock");
    const Shape expected = i < 6 ? Shape{1, 64, 56, 56} : Shape{1, 128, 28, 28};
    EXPECT_EQ(all[i].input_shapes, InputShapes{expected});
    EXPECT_EQ(all[i].input_dtypes, Strings{"float32"});
    EXPECT_EQ(all[i].place.line, 2);
    EXPECT_EQ(all[i].place.column, 3);
  }
}

TEST(SpaceParse, InputShapeMayStandFirst) {
  const auto all = list_all("m:\n  C:\n    input_shape: [[1, 2], [1, 4]]\n    a: [2, 4]\n    b: [0, 1]\n");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[2].parameters_json, R"({"a":4,"b":0})");
  EXPECT_EQ(all[2].input_shapes, (InputShapes{{1, 4}}));
}

TEST(SpaceParse, NoParams) {
  const auto all = list_all("torch.nn:\n  ReLU:\n    no_params: true\n    input_shape: [[1, 2], [1, 4]]\n");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].parameters_json, "{}");
  EXPECT_EQ(all[1].input_shapes, (InputShapes{{1, 4}}));
}

TEST(SpaceParse, ScalarIsAListOfOne) {
  EXPECT_EQ(values_of("7"), Strings{"7"});
  EXPECT_EQ(list_all("m:\n  C:\n    a: 64\n    b: [1, 2]\n    input_shape: [[1, 64]]\n").size(), 2u);
}

TEST(SpaceParse, ListOfListsIsAListOfListValues) {
  EXPECT_EQ(values_of("[[3, 5], [5, 3]]"), (Strings{"[3,5]", "[5,3]"}));
  EXPECT_EQ(values_of("[3, [5, 3]]"), (Strings{"3", "[5,3]"}));
  EXPECT_EQ(values_of("[[[1, 2], [3, 4]]]"), Strings{"[[1,2],[3,4]]"});
  EXPECT_EQ(values_of("[[]]"), Strings{"[]"});
  EXPECT_EQ(values_of("[{x: 1, y: [a]}]"), Strings{R"({"x":1,"y":["a"]})"});
}

TEST(SpaceParse, TypesAreKept) {
  EXPECT_EQ(values_of("[1, -2, +3, 0x10, 0o17, 007]"), (Strings{"1", "-2", "3", "16", "15", "7"}));
  EXPECT_EQ(values_of("[1.0, 1e-5, .5, 2., -0.25, 1E3]"), (Strings{"1.0", "1e-05", "0.5", "2.0", "-0.25", "1000.0"}));
  EXPECT_EQ(values_of("[true, False, TRUE]"), (Strings{"true", "false", "true"}));
  EXPECT_EQ(values_of("[null, ~, Null]"), (Strings{"null", "null", "null"}));
  EXPECT_EQ(values_of("null"), Strings{"null"});
  EXPECT_EQ(values_of("[same, \"1\", 'true', \"no\", 1x, '', 3.1.2, -]"),
            (Strings{"\"same\"", "\"1\"", "\"true\"", "\"no\"", "\"1x\"", "\"\"", "\"3.1.2\"", "\"-\""}));
  EXPECT_EQ(values_of("[!!str 5]"), Strings{"\"5\""});
  EXPECT_EQ(values_of("[\"a\\nb\\\"\", \"ä\"]"), (Strings{"\"a\\nb\\\"\"", "\"ä\""}));
  EXPECT_EQ(values_of("9223372036854775807"), Strings{"9223372036854775807"});
  EXPECT_EQ(values_of("-9223372036854775808"), Strings{"-9223372036854775808"});
}

TEST(SpaceParse, SeveralInputs) {
  const auto all = list_all(
      "m:\n  Add:\n    no_params: true\n    input_shape: [[[1, 64, 56, 56], [1, 64, 56, 56]], [[1, 8], [1, 1]]]\n");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].input_shapes, (InputShapes{{1, 64, 56, 56}, {1, 64, 56, 56}}));
  EXPECT_EQ(all[1].input_shapes, (InputShapes{{1, 8}, {1, 1}}));
  EXPECT_EQ(all[0].input_dtypes, (Strings{"float32", "float32"}));
}

TEST(SpaceParse, InputDtypeForAllOrPerInput) {
  const std::string head = "m:\n  C:\n    no_params: true\n    input_shape: [[[1, 8], [1, 4]]]\n";
  EXPECT_EQ(list_all(head + "    input_dtype: int64\n")[0].input_dtypes, (Strings{"int64", "int64"}));
  EXPECT_EQ(list_all(head + "    input_dtype: [int64, float32]\n")[0].input_dtypes, (Strings{"int64", "float32"}));
}

TEST(SpaceParse, InputRangeAndOccurs) {
  const std::string head = "m:\n  C:\n    no_params: true\n    input_shape: [[1, 8], [1, 4]]\n";
  const auto ranged = list_all(head + "    input_range: [0, 1000]\n    occurs: [3, 1]\n");
  ASSERT_EQ(ranged[1].input_ranges.size(), 1u);
  EXPECT_EQ(ranged[1].input_ranges[0].low, 0.0);
  EXPECT_EQ(ranged[1].input_ranges[0].high, 1000.0);
  EXPECT_EQ(ranged[0].occurs, 3);
  EXPECT_EQ(ranged[1].occurs, 1);
  EXPECT_EQ(list_all(head + "    occurs: 4\n")[1].occurs, 4);
  EXPECT_EQ(list_all(head)[1].occurs, 0);
}

TEST(SpaceParse, GroupsOfOneClass) {
  const auto all = list_all(R"(torch.nn:
  Conv2d:
    - in_channels: 3
      kernel_size: [3, 5]
      input_shape: [[1, 3, 8, 8]]
    - in_channels: 16
      kernel_size: 1
      input_shape: [[1, 16, 4, 4]]
)");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].parameters_json, R"({"in_channels":16,"kernel_size":1})");
  EXPECT_EQ(all[1].entry, 0u);
  EXPECT_EQ(all[2].entry, 1u);
  EXPECT_EQ(all[2].place.line, 6);
}

TEST(SpaceParse, SeveralModulesAndClassesInOrder) {
  const auto all = list_all(
      "b:\n  Z: {no_params: true, input_shape: [[1]]}\n  A.Inner: {no_params: true, input_shape: [[2]]}\n"
      "a.b:\n  Z: {no_params: true, input_shape: [[3]]}\n");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].class_name, "A.Inner");
  EXPECT_EQ(all[2].module, "a.b");
  EXPECT_EQ(all[2].index, 2u);
}

TEST(SpaceParse, AnchorsAndMergeKeys) {
  const auto all = list_all(R"(m:
  A: &a
    channels: [8, 16]
    kernel: &kernels [3, 5]
    input_shape: &shapes [[1, 8], [1, 16]]
  B:
    <<: *a
    kernel: 7
  C:
    width: [1, 2]
    kernel: *kernels
    input_shape: *shapes
)");
  ASSERT_EQ(all.size(), 4u + 2u + 4u);
  EXPECT_EQ(all[4].parameters_json, R"({"channels":8,"kernel":7})");
  EXPECT_EQ(all[9].parameters_json, R"({"width":2,"kernel":5})");
}

TEST(SpaceParse, CapturedInstances) {
  const auto all = list_all("mmt.captured:\n  captured: [a1, 12345678, 12e4]\n");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].captured_id, "a1");
  EXPECT_EQ(all[1].captured_id, "12345678");
  EXPECT_EQ(all[2].captured_id, "12e4");
  EXPECT_TRUE(all[0].input_shapes.empty());
}

TEST(SpaceParse, ByteOrderMarkAndWindowsLineEnds) {
  EXPECT_EQ(list_all("\xEF\xBB\xBFm:\r\n  C:\r\n    no_params: true\r\n    input_shape: [[1]]\r\n").size(), 1u);
}

TEST(SpaceParse, PlacesAreCarried) {
  const Space space = parse_space("m:\n  C:\n    a: 1\n    bb: 2\n    input_shape: [[1]]\n", "ops.yaml");
  const SpaceEntry& entry = space.entries.at(0);
  EXPECT_EQ(entry.module_place.line, 1);
  EXPECT_EQ(entry.class_place.line, 2);
  EXPECT_EQ(entry.parameters[1].place.line, 4);
  EXPECT_EQ(entry.parameters[1].place.column, 5);
  EXPECT_EQ(entry.shapes_place.line, 5);
}

TEST(SpaceKeywords, SameRules) {
  const Space space = parse_keywords(
      R"({"in_channels": [64, 128], "stride": 1, "kernel": [[3, 5]], "eps": [1e-05, 1.0], "input_shape": [[1, 64], [1, 128]]})",
      "pkg", "Block", "register(Block)");
  const auto all = list_all(space);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].parameters_json, R"({"in_channels":64,"stride":1,"kernel":[3,5],"eps":1e-05})");
  EXPECT_EQ(all[3].parameters_json, R"({"in_channels":128,"stride":1,"kernel":[3,5],"eps":1.0})");
  EXPECT_EQ(all[3].module, "pkg");
}

TEST(SpaceKeywords, ErrorsNameTheCallNotALine) {
  try {
    parse_keywords(R"({"a": [1, 2], "input_shape": [[1]]})", "pkg", "Block", "register(Block)");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kParse);
    EXPECT_EQ(std::string(error.what()).rfind("register(Block): key 'a' of pkg.Block: ", 0), 0u) << error.what();
  }
}

}  // namespace
}  // namespace mmt
