#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "mmt/space.h"
#include "space/rules.h"

namespace mmt {
namespace {

std::string list_of(int count) {
  std::string list = "[";
  for (int i = 0; i < count; ++i) list += (i ? ", " : "") + std::to_string(i + 1);
  return list + "]";
}

Space wide_space(int parameters, int values) {
  std::string text = "m:\n  C:\n    first: 1\n    input_shape: [[1, 3, 8, 8]]\n";
  for (int i = 0; i < parameters; ++i) text += "    p" + std::to_string(i) + ": " + list_of(values) + "\n";
  return parse_space(text, "ops.yaml");
}

TEST(Enumerator, AMillionCombinationsOneAtATime) {
  const Space space = wide_space(6, 10);
  Enumerator enumerator(space);
  EXPECT_EQ(enumerator.count(), 1'000'000u);
  OperatorSpec spec;
  std::uint64_t seen = 0;
  std::size_t bytes = 0;
  while (enumerator.next(spec)) {
    ++seen;
    bytes += spec.parameters_json.size();
  }
  EXPECT_EQ(seen, 1'000'000u);
  EXPECT_GT(bytes, seen * 40);
  EXPECT_EQ(spec.parameters_json, R"({"first":1,"p0":10,"p1":10,"p2":10,"p3":10,"p4":10,"p5":10})");
  EXPECT_FALSE(enumerator.next(spec));
}

TEST(Enumerator, HugeCountsSaturate) {
  const Space space = wide_space(30, 10);
  EXPECT_EQ(space.count(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(space.entries[0].count(), std::numeric_limits<std::uint64_t>::max());
  Enumerator enumerator(space);
  OperatorSpec spec;
  EXPECT_TRUE(enumerator.next(spec));
  Space twice = space;
  twice.entries.push_back(space.entries[0]);
  EXPECT_EQ(twice.count(), std::numeric_limits<std::uint64_t>::max());
}

TEST(Enumerator, EmptySpace) {
  const Space space;
  OperatorSpec spec;
  EXPECT_FALSE(Enumerator(space).next(spec));
  EXPECT_EQ(space.count(), 0u);
}

TEST(Enumerator, ReusedSpecHoldsNothingOfTheLastOne) {
  const Space space = parse_space(
      "m:\n  A: {no_params: true, input_shape: [[[1], [2]]], input_range: [0, 5], occurs: 2}\n"
      "mmt.captured:\n  captured: [x]\nn:\n  B: {a: 1, input_shape: [[3]]}\n",
      "f");
  Enumerator enumerator(space);
  OperatorSpec spec;
  ASSERT_TRUE(enumerator.next(spec));
  EXPECT_EQ(spec.input_ranges.size(), 2u);
  ASSERT_TRUE(enumerator.next(spec));
  EXPECT_EQ(spec.captured_id, "x");
  EXPECT_TRUE(spec.input_shapes.empty() && spec.input_ranges.empty() && spec.occurs == 0);
  ASSERT_TRUE(enumerator.next(spec));
  EXPECT_TRUE(spec.captured_id.empty());
  EXPECT_EQ(spec.parameters_json, R"({"a":1})");
  EXPECT_FALSE(enumerator.next(spec));
}

TEST(SpaceRules, NamesFollowThePatternsOfTheSchema) {
  const std::regex dotted(space::kModulePattern), parameter(space::kParameterPattern);
  for (const std::string name :
       {"a", "_", "a1", "1a", "", ".", "a.", ".a", "a.b", "a..b", "a.1", "A.b_c.D9", "a b", "ä", "a-b", "a\n", "\na"}) {
    EXPECT_EQ(space::is_dotted_name(name), std::regex_match(name, dotted)) << name;
    EXPECT_EQ(space::is_parameter_name(name), std::regex_match(name, parameter)) << name;
  }
}

TEST(SpaceSchema, ComesFromTheTableOfRules) {
  const auto schema = nlohmann::json::parse(space_json_schema());
  const auto& group = schema.at("$defs").at("group");
  ASSERT_EQ(group.at("properties").size(), space::key_rules().size());
  for (const space::KeyRule& rule : space::key_rules()) {
    const std::string description = group.at("properties").at(rule.name).at("description");
    EXPECT_EQ(description.rfind(rule.description, 0), 0u) << rule.name;
  }
  EXPECT_EQ(group.at("required"), nlohmann::json::array({"input_shape"}));
  EXPECT_EQ(schema.at("$defs").at("size").at("maximum"), space::kLargestSize);
}

}  // namespace
}  // namespace mmt
