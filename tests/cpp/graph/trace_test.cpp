#include "mmt/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mmt/error.h"

namespace mmt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// x -> exp -> y; y + c -> z; z * x -> out, and a closed operator at the end.
const char* const kText = R"({
  "values": [
    {"id": 0, "shape": [1, 4], "dtype": "float32", "constant": null},
    {"id": 1, "shape": [1, 4], "dtype": "float32", "constant": null},
    {"id": 2, "shape": [4], "dtype": "float32", "constant": 0},
    {"id": 3, "shape": [1, 4], "dtype": "float32", "constant": null},
    {"id": 4, "shape": [1, 4], "dtype": "float32", "constant": null},
    {"id": 5, "shape": [1, 2], "dtype": "float32", "constant": null}],
  "inputs": [0], "outputs": [5, 3],
  "nodes": [
    {"kind": "function", "name": "exp", "module": "", "fingerprint": "", "inputs": [0], "arguments": {}, "outputs": [1]},
    {"kind": "function", "name": "add", "module": "a", "fingerprint": "", "inputs": [1, 2],
     "arguments": {"beta": 1, "alpha": 2.5}, "outputs": [3]},
    {"kind": "function", "name": "mul", "module": "a.b", "fingerprint": "", "inputs": [3, 3, -1], "arguments": {},
     "outputs": [4]},
    {"kind": "operator", "name": "Head", "module": "head", "fingerprint": "0123", "inputs": [4], "arguments": {},
     "outputs": [5]}]})";

std::string changed(const std::string& from, const std::string& to) {
  std::string text = kText;
  const auto position = text.find(from);
  EXPECT_NE(position, std::string::npos);
  return text.replace(position, from.size(), to);
}

std::string failure(const std::string& text) {
  try {
    read_trace(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kParse);
    return error.what();
  }
  return "no failure";
}

TEST(Trace, ReadsWhatPythonWrites) {
  const Trace trace = read_trace(kText);
  ASSERT_EQ(trace.values.size(), 6u);
  ASSERT_EQ(trace.nodes.size(), 4u);
  EXPECT_THAT(trace.values[2].shape, ElementsAre(4));
  EXPECT_TRUE(trace.is_constant(2));
  EXPECT_FALSE(trace.is_constant(-1));
  EXPECT_EQ(trace.nodes[1].arguments_json, R"({"alpha":2.5,"beta":1})");
  EXPECT_EQ(trace.nodes[3].kind, TraceNodeKind::kOperator);
  EXPECT_EQ(trace.nodes[3].fingerprint, "0123");
  EXPECT_THAT(trace.outputs, ElementsAre(5, 3));
}

TEST(Trace, WritesWhatItReads) {
  const std::string text = write_trace(read_trace(kText));
  EXPECT_EQ(write_trace(read_trace(text)), text);
}

TEST(Trace, NamesWhatIsWrongInTheText) {
  EXPECT_THAT(failure("{"), HasSubstr("not JSON"));
  EXPECT_THAT(failure("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(failure(changed("\"inputs\": [0], \"outputs\"", "\"outputs\"")), HasSubstr("\"inputs\" is missing"));
  EXPECT_THAT(failure(changed("\"kind\": \"operator\"", "\"kind\": \"thing\"")),
              HasSubstr("node 3: unknown kind \"thing\""));
  EXPECT_THAT(failure(changed("\"shape\": [4]", "\"shape\": [-4]")), HasSubstr("value 2: negative size"));
  EXPECT_THAT(failure(changed("\"shape\": [4]", "\"shape\": \"4\"")),
              HasSubstr("value 2: field \"shape\" has the wrong type"));
  EXPECT_THAT(failure(changed("\"inputs\": [1, 2]", "\"inputs\": [1, 9]")),
              HasSubstr("node 1 (add): value 9 does not exist"));
  EXPECT_THAT(failure(changed("\"inputs\": [1, 2]", "\"inputs\": [4, 2]")),
              HasSubstr("uses value 4 before it is made"));
  EXPECT_THAT(failure(changed("\"outputs\": [4]", "\"outputs\": [3]")), HasSubstr("makes value 3 a second time"));
  EXPECT_THAT(failure(changed("\"arguments\": {\"beta\"", "\"arguments\": 3, \"x\": {\"beta\"")),
              HasSubstr("not an object"));
}

TEST(Trace, ThatWasPutTogetherElsewhereIsCheckedAsOneThatIsRead) {
  Trace trace = read_trace(kText);
  const std::string text = write_trace(trace);
  trace.nodes[1].arguments_json = R"({"beta": 1, "alpha": 2.5})";
  EXPECT_EQ(write_trace(checked_trace(trace)), text);
  const auto failure_of = [](const Trace& changed) -> std::string {
    try {
      checked_trace(changed);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  Trace other = trace;
  other.nodes[1].inputs = {1, 9};
  EXPECT_THAT(failure_of(other), HasSubstr("node 1 (add): value 9 does not exist"));
  other = trace;
  other.nodes[1].arguments_json = "[3]";
  EXPECT_THAT(failure_of(other), HasSubstr("add: field \"arguments\" is not an object"));
  other.nodes[1].arguments_json = "{";
  EXPECT_THAT(failure_of(other), HasSubstr("not JSON"));
}

TEST(GlueIdentity, IsNameArgumentsAndInputs) {
  const Trace trace = read_trace(kText);
  EXPECT_EQ(glue_identity(trace, 1).text, R"(add{"alpha":2.5,"beta":1} float32[1,4] const:float32[4])");
  EXPECT_EQ(glue_identity(trace, 2).text, "mul{} float32[1,4] float32[1,4]=0 none");
  EXPECT_EQ(glue_identity(trace, 1).fingerprint.size(), 32u);
  EXPECT_NE(glue_identity(trace, 1).fingerprint, glue_identity(trace, 0).fingerprint);
}

TEST(GlueIdentity, RefusesOperatorsAndNodesThatAreNotThere) {
  const Trace trace = read_trace(kText);
  EXPECT_THROW(glue_identity(trace, 3), Error);
  EXPECT_THROW(glue_identity(trace, 4), Error);
  EXPECT_THROW(glue_identity(trace, -1), Error);
}

TEST(ExtractTrace, CutsNodesOutWithTheirBorders) {
  const Trace part = extract_trace(read_trace(kText), {2, 1});
  ASSERT_EQ(part.nodes.size(), 2u);
  EXPECT_EQ(part.nodes[0].name, "add");
  EXPECT_THAT(part.inputs, ElementsAre(0));      // y of before
  EXPECT_THAT(part.outputs, ElementsAre(2, 3));  // z is returned, out is used by the operator
  EXPECT_EQ(part.values[1].constant, 0);
  EXPECT_THAT(part.nodes[0].inputs, ElementsAre(0, 1));
  EXPECT_THAT(part.nodes[1].inputs, ElementsAre(2, 2, -1));
  EXPECT_NO_THROW(read_trace(write_trace(part)));
}

TEST(ExtractTrace, GivesEverythingWhereNothingIsUsedOutside) {
  Trace trace = read_trace(kText);
  trace.outputs = {3};
  const Trace part = extract_trace(trace, {3});
  EXPECT_THAT(part.outputs, ElementsAre(1));
  EXPECT_THROW(extract_trace(trace, {}), Error);
  EXPECT_THROW(extract_trace(trace, {7}), Error);
}

Trace one_call(const std::string& name, const std::string& arguments,
               const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output,
               int constants_from) {
  Trace trace;
  TraceNode node;
  node.name = name;
  node.arguments_json = arguments;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool constant = static_cast<int>(i) >= constants_from;
    trace.values.push_back({inputs[i], "float32", constant ? static_cast<int>(i) - constants_from : -1});
    if (!constant) trace.inputs.push_back(static_cast<int>(i));
    node.inputs.push_back(static_cast<int>(i));
  }
  trace.values.push_back({output, "float32", -1});
  node.outputs = {static_cast<int>(inputs.size())};
  trace.outputs = node.outputs;
  trace.nodes.push_back(node);
  return trace;
}

TEST(TraceCosts, CountsMultiplyAddsAsTwo) {
  const auto conv = trace_costs(one_call("conv2d", "{}", {{1, 8, 10, 10}, {16, 4, 3, 3}, {16}}, {1, 16, 10, 10}, 1));
  EXPECT_EQ(conv[0].parameters, 16 * 4 * 9 + 16);
  EXPECT_EQ(conv[0].flops, 1600 * (2 * 4 * 9 + 1));
  const auto transposed =
      trace_costs(one_call("conv_transpose2d", "{}", {{1, 8, 5, 5}, {8, 4, 2, 2}}, {1, 4, 10, 10}, 1));
  EXPECT_EQ(transposed[0].flops, 2 * 200 * 16);
  const auto linear = trace_costs(one_call("linear", "{}", {{2, 6, 16}, {4, 16}, {4}}, {2, 6, 4}, 1));
  EXPECT_EQ(linear[0].flops, 48 * (2 * 16 + 1));
  EXPECT_EQ(trace_costs(one_call("matmul", "{}", {{2, 6, 16}, {2, 16, 5}}, {2, 6, 5}, 2))[0].flops, 2 * 60 * 16);
  EXPECT_EQ(trace_costs(one_call("add", "{}", {{2, 3}, {2, 3}}, {2, 3}, 2))[0].flops, 6);
  EXPECT_EQ(trace_costs(one_call("reshape", "{}", {{2, 3}}, {6}, 1))[0].flops, 0);
  EXPECT_EQ(trace_costs(one_call("max_pool2d", R"({"kernel":[3,3]})", {{1, 1, 6, 6}}, {1, 1, 2, 2}, 1))[0].flops, 36);
}

}  // namespace
}  // namespace mmt
