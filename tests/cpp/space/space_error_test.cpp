// Every mistake gives one message with file, line, column, key, what is wrong and what would be right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mmt/error.h"
#include "mmt/space.h"

namespace mmt {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string message_of(const std::string& text) {
  try {
    parse_space(text, "ops.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kParse);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "more than one line: " << error.what();
    return error.what();
  }
  return "accepted: " + text;
}

/// `lines` below a class C of module m; they begin on line 3.
std::string below_class(const std::string& lines) { return message_of("m:\n  C:\n" + lines); }

TEST(SpaceErrors, EmptyFile) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "null\n", "   ", "\xEF\xBB\xBF"}) {
    EXPECT_THAT(message_of(text), AllOf(StartsWith("ops.yaml:1:1: the file is empty"), HasSubstr("input_shape:")));
  }
}

TEST(SpaceErrors, BrokenYaml) {
  EXPECT_THAT(message_of("m:\n  C:\n    a: [1, 2\n    input_shape: [[1]]\n"),
              AllOf(StartsWith("ops.yaml:"), HasSubstr("broken YAML"), HasSubstr("close every [")));
  EXPECT_THAT(message_of("m:\n  C:\n    a: 1\n   b: 2\n"),
              AllOf(StartsWith("ops.yaml:4:"), HasSubstr("broken YAML"), HasSubstr("indentation")));
  EXPECT_THAT(message_of("m:\n  C:\n    a: \"x\n"), AllOf(HasSubstr("broken YAML"), HasSubstr("close the quote")));
  EXPECT_THAT(message_of("m:\n  C:\n    a: 'it''s\n    input_shape: [[1]]\n"), StartsWith("ops.yaml:3:8: "));
  EXPECT_THAT(message_of("m:\n  C:\n    a: *nothing\n"), AllOf(StartsWith("ops.yaml:3:"), HasSubstr("anchor")));
  EXPECT_THAT(message_of("m: {C: {a: 1, input_shape: [[1]]}}\n---\nn: 1\n"), HasSubstr("second document"));
}

TEST(SpaceErrors, ColumnsCountCharacters) {
  EXPECT_THAT(message_of("m: {A: {a: [\"äöü\", yes], input_shape: [[1], [2]]}}\n"), StartsWith("ops.yaml:1:20: "));
  EXPECT_THAT(message_of("m:\n  C:\n    a: [\"ä\", null, \"ö\", null]\n    input_shape: [[1], x]\n"),
              StartsWith("ops.yaml:4:24: "));
}

TEST(SpaceErrors, Tabs) {
  EXPECT_THAT(message_of("m:\n\tC:\n"), AllOf(StartsWith("ops.yaml:2:1: a tab"), HasSubstr("spaces")));
  EXPECT_THAT(message_of("m:\n  C:\n  \ta: 1\n"), StartsWith("ops.yaml:3:3: a tab"));
  EXPECT_THAT(message_of("m:\n  C:\n    -\ta: 1\n"), StartsWith("ops.yaml:3:6: a tab"));
}

TEST(SpaceErrors, BytesThatAreNoText) {
  EXPECT_THAT(message_of("m:\n  \x04"), AllOf(StartsWith("ops.yaml:2:3: "), HasSubstr("0x04 is a control character")));
  EXPECT_THAT(message_of(std::string("m:\0", 3)), HasSubstr("control character"));
  EXPECT_THAT(message_of("m: \xFF\xFE"), AllOf(StartsWith("ops.yaml:1:4: "), HasSubstr("not valid UTF-8")));
  EXPECT_THAT(message_of("m: \xED\xA0\x80"), HasSubstr("not valid UTF-8"));
}

TEST(SpaceErrors, DuplicateKeysAtEveryLevel) {
  EXPECT_THAT(message_of("m:\n  C: {a: 1, input_shape: [[1]]}\nm:\n  D: {a: 1, input_shape: [[1]]}\n"),
              AllOf(StartsWith("ops.yaml:3:1: key 'm': duplicate key"), HasSubstr("line 1")));
  EXPECT_THAT(message_of("m:\n  C: {a: 1, input_shape: [[1]]}\n  C: {a: 1, input_shape: [[1]]}\n"),
              StartsWith("ops.yaml:3:3: key 'C' of m: duplicate key"));
  EXPECT_THAT(below_class("    a: 1\n    a: 2\n    input_shape: [[1]]\n"),
              AllOf(StartsWith("ops.yaml:4:5: key 'a' of m.C: duplicate key"), HasSubstr("line 3")));
  EXPECT_THAT(below_class("    a: [{x: 1, x: 2}]\n    input_shape: [[1]]\n"), HasSubstr("key 'x' of m.C.a"));
}

TEST(SpaceErrors, LengthsThatCannotBePaired) {
  EXPECT_THAT(below_class("    a: [1, 2, 3]\n    b: [1, 2]\n    input_shape: [[1], [2]]\n"),
              AllOf(StartsWith("ops.yaml:3:5: key 'a' of m.C: "), HasSubstr("3 values"), HasSubstr("2 shapes"),
                    HasSubstr("line 5"), HasSubstr("same length")));
  EXPECT_THAT(below_class("    a: 64\n    input_shape: [[1], [2]]\n"),
              AllOf(HasSubstr("1 value and"), HasSubstr("write 'a: [64, 64]'")));
  EXPECT_THAT(below_class("    no_params: true\n    input_shape: [[1], [2]]\n    occurs: [1, 2, 3]\n"),
              AllOf(StartsWith("ops.yaml:5:5: key 'occurs'"), HasSubstr("3 numbers for 2 input shapes")));
  EXPECT_THAT(below_class("    no_params: true\n    input_shape: [[1]]\n    input_dtype: [int64, int64]\n"),
              AllOf(StartsWith("ops.yaml:5:5: key 'input_dtype'"), HasSubstr("2 types for 1 input")));
}

TEST(SpaceErrors, ShapesThatAreNone) {
  const auto shape = [](const std::string& text) { return below_class("    a: 1\n    input_shape: " + text + "\n"); };
  EXPECT_THAT(shape("[1, 3, 224, 224]"), AllOf(StartsWith("ops.yaml:4:19: key 'input_shape' of m.C: "),
                                               HasSubstr("two brackets: [[1, 3, 224, 224]]")));
  EXPECT_THAT(shape("[[1, x, 3]]"), AllOf(StartsWith("ops.yaml:4:23: "), HasSubstr("not the text 'x'")));
  EXPECT_THAT(shape("[[1, -3]]"), HasSubstr("whole number from 1 to 2147483647, not -3"));
  EXPECT_THAT(shape("[[1, 0]]"), HasSubstr("not 0"));
  EXPECT_THAT(shape("[[1, 2.0]]"), HasSubstr("not 2.0"));
  EXPECT_THAT(shape("[[1, true]]"), HasSubstr("not true"));
  EXPECT_THAT(shape("[[1, \"3\"]]"), HasSubstr("not the text '3'"));
  EXPECT_THAT(shape("[[1, 4294967296]]"), HasSubstr("not 4294967296"));
  EXPECT_THAT(shape("[[65536, 65536]]"), HasSubstr("elements"));
  EXPECT_THAT(shape("[[]]"), HasSubstr("at least one size"));
  EXPECT_THAT(shape("[[[1, 2], []]]"), HasSubstr("at least one size"));
  EXPECT_THAT(shape("[[[1, 2], 3]]"), HasSubstr("not 3"));
  EXPECT_THAT(shape("[]"), HasSubstr("not an empty list"));
  EXPECT_THAT(shape("5"), HasSubstr("not 5"));
  EXPECT_THAT(shape("1x3x224x224"), HasSubstr("not the text '1x3x224x224'"));
  EXPECT_THAT(shape(""), HasSubstr("nothing follows"));
  EXPECT_THAT(shape("{a: 1}"), HasSubstr("not a mapping"));
  EXPECT_THAT(shape("[[1,1,1,1,1,1,1,1,1]]"), HasSubstr("at most 8"));
}

TEST(SpaceErrors, UnknownKeysGetASuggestion) {
  EXPECT_THAT(below_class("    a: 1\n    input_shapes: [[1]]\n"),
              AllOf(StartsWith("ops.yaml:4:5: key 'input_shapes' of m.C: "), HasSubstr("did you mean input_shape?")));
  EXPECT_THAT(below_class("    no_param: true\n    input_shape: [[1]]\n"), HasSubstr("did you mean no_params?"));
  EXPECT_THAT(below_class("    a: 1\n    input_type: int64\n    input_shape: [[1]]\n"),
              HasSubstr("did you mean input_dtype?"));
  EXPECT_THAT(below_class("    no_params: true\n    input_shape: [[1]]\n    input_dtype: int46\n"),
              AllOf(StartsWith("ops.yaml:5:18: "), HasSubstr("did you mean int64?"), HasSubstr("float32, int32")));
  EXPECT_THAT(below_class("    no_params: true\n    input_shape: [[1]]\n    input_dtype: torch.int64\n"),
              HasSubstr("did you mean int64?"));
}

TEST(SpaceErrors, AParameterMayBeCalledLikeAKey) {
  const Space space = parse_space("m:\n  C:\n    no_param: [1]\n    input_type: same\n    input_shape: [[1]]\n", "f");
  EXPECT_EQ(space.entries[0].parameters.size(), 2u);
}

TEST(SpaceErrors, MissingThings) {
  EXPECT_THAT(below_class("    a: 1\n"),
              AllOf(StartsWith("ops.yaml:2:3: key 'C' of m: input_shape is missing"), HasSubstr("[[1, 3, 224, 224]]")));
  EXPECT_THAT(below_class("    input_shape: [[1]]\n"), HasSubstr("'no_params: true'"));
  EXPECT_THAT(below_class("    no_params: false\n    input_shape: [[1]]\n"), HasSubstr("no parameter is given"));
  EXPECT_THAT(below_class("    no_params: true\n    a: 1\n    input_shape: [[1]]\n"),
              AllOf(StartsWith("ops.yaml:4:5: key 'a' of m.C"), HasSubstr("remove")));
  EXPECT_THAT(below_class("    a:\n    input_shape: [[1]]\n"), HasSubstr("nothing follows this parameter"));
  EXPECT_THAT(below_class("    a: []\n    input_shape: [[1]]\n"), HasSubstr("empty list"));
  EXPECT_THAT(below_class("    a:\n      -\n      - 2\n    input_shape: [[1], [2]]\n"), HasSubstr("missing"));
}

TEST(SpaceErrors, WrongNesting) {
  EXPECT_THAT(message_of("- m\n"), AllOf(StartsWith("ops.yaml:1:1: the top level"), HasSubstr("not a list")));
  EXPECT_THAT(message_of("just text\n"), HasSubstr("the top level holds modules"));
  EXPECT_THAT(message_of("{}\n"), HasSubstr("the top level holds modules"));
  EXPECT_THAT(message_of("input_shape: [[1]]\n"), HasSubstr("module and class are missing"));
  EXPECT_THAT(message_of("m:\n  input_shape: [[1]]\n"), HasSubstr("the class is missing"));
  EXPECT_THAT(message_of("m:\n"), AllOf(StartsWith("ops.yaml:1:1: key 'm'"), HasSubstr("a module holds classes")));
  EXPECT_THAT(message_of("m: {}\n"), HasSubstr("a module holds classes"));
  EXPECT_THAT(message_of("m: [C]\n"), HasSubstr("a module holds classes"));
  EXPECT_THAT(message_of("m:\n  C: 3\n"), AllOf(StartsWith("ops.yaml:2:6: key 'C' of m"), HasSubstr("not 3")));
  EXPECT_THAT(message_of("m:\n  C:\n"), AllOf(StartsWith("ops.yaml:2:3: key 'C' of m"), HasSubstr("not nothing")));
  EXPECT_THAT(message_of("torch:\n  nn:\n    Conv2d:\n      a: 1\n      input_shape: [[1]]\n"),
              AllOf(StartsWith("ops.yaml:3:5: key 'Conv2d' of torch.nn"), HasSubstr("dots (torch.nn)")));
  EXPECT_THAT(message_of("m:\n  C:\n    - {a: 1, input_shape: [[1]]}\n    - 3\n"), StartsWith("ops.yaml:4:7: "));
}

TEST(SpaceErrors, NamesThatAreNone) {
  EXPECT_THAT(message_of("my-module:\n  C: {a: 1, input_shape: [[1]]}\n"), HasSubstr("no module name"));
  EXPECT_THAT(message_of("./m.py:\n  C: {a: 1, input_shape: [[1]]}\n"), HasSubstr("no module name"));
  EXPECT_THAT(message_of("m:\n  3: {a: 1, input_shape: [[1]]}\n"), HasSubstr("no class name"));
  EXPECT_THAT(below_class("    a b: 1\n    input_shape: [[1]]\n"), HasSubstr("no parameter name"));
  EXPECT_THAT(message_of("? [a]\n: 1\n"), HasSubstr("a key must be a name, not a list"));
  EXPECT_THAT(message_of("m:\n  C:\n    : 1\n"), HasSubstr("a key must be a name"));
}

TEST(SpaceErrors, ValuesThatAreAmbiguous) {
  EXPECT_THAT(below_class("    a: yes\n    input_shape: [[1]]\n"),
              AllOf(StartsWith("ops.yaml:3:8: "), HasSubstr("write true, or \"yes\"")));
  EXPECT_THAT(below_class("    a: [Off]\n    input_shape: [[1]]\n"), HasSubstr("write false, or \"Off\""));
  EXPECT_THAT(below_class("    a: .inf\n    input_shape: [[1]]\n"), HasSubstr("finite"));
  EXPECT_THAT(below_class("    a: 1e999\n    input_shape: [[1]]\n"), HasSubstr("finite"));
  EXPECT_THAT(below_class("    a: 9223372036854775808\n    input_shape: [[1]]\n"), HasSubstr("64 bits"));
  EXPECT_THAT(below_class("    a: !!python/name:os.system x\n    input_shape: [[1]]\n"), HasSubstr("tag"));
  EXPECT_THAT(below_class("    a: !mine [1]\n    input_shape: [[1]]\n"), HasSubstr("tag"));
}

TEST(SpaceErrors, OtherKeys) {
  const std::string head = "    no_params: true\n    input_shape: [[1]]\n";
  EXPECT_THAT(below_class("    no_params: 1\n    input_shape: [[1]]\n"), HasSubstr("true or false"));
  EXPECT_THAT(below_class(head + "    input_range: [1, 0]\n"), HasSubstr("below its high end"));
  EXPECT_THAT(below_class(head + "    input_range: 5\n"), HasSubstr("two numbers"));
  EXPECT_THAT(below_class(head + "    input_range: [[0, 1], [0, 1]]\n"), HasSubstr("2 ranges for 1 input"));
  EXPECT_THAT(below_class(head + "    occurs: 0\n"), HasSubstr("whole number from 1"));
  EXPECT_THAT(below_class(head + "    occurs: []\n"), HasSubstr("empty"));
  EXPECT_THAT(below_class(head + "    input_dtype: []\n"), HasSubstr("empty"));
  EXPECT_THAT(below_class(head + "    input_dtype:\n"), HasSubstr("nothing follows"));
}

TEST(SpaceErrors, Captured) {
  EXPECT_THAT(message_of("mmt.captured:\n  Conv2d: [a]\n"), HasSubstr("'captured: [ids]'"));
  EXPECT_THAT(message_of("mmt.captured:\n  captured: []\n"), HasSubstr("empty"));
  EXPECT_THAT(message_of("mmt.captured:\n  captured: [a, a]\n"), HasSubstr("twice"));
  EXPECT_THAT(message_of("mmt.captured:\n  captured: [../a]\n"), HasSubstr("an id"));
}

TEST(SpaceErrors, AliasesThatGrowWithoutBound) {
  EXPECT_THAT(message_of("m:\n  C:\n    a: &a [*a]\n    input_shape: [[1]]\n"), HasSubstr("inside the value"));
  std::string text = "m:\n  C:\n    a0: &v0 [[x, x, x, x, x, x, x, x, x, x]]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*v" + std::to_string(i - 1);
    text += "    a" + std::to_string(i) + ": &v" + std::to_string(i) + " [";
    for (int copy = 0; copy < 10; ++copy) text += (copy ? ", " : "") + last;
    text += "]\n";
  }
  EXPECT_THAT(message_of(text + "    input_shape: [[1]]\n"), HasSubstr("once its aliases (*) are written out"));
}

TEST(SpaceErrors, MergeKeys) {
  EXPECT_THAT(below_class("    <<: 3\n    a: 1\n    input_shape: [[1]]\n"), HasSubstr("merge key"));
}

TEST(SpaceErrors, DeepNesting) {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  EXPECT_THAT(below_class("    a: " + deep + "\n    input_shape: [[1]]\n"), StartsWith("ops.yaml:"));
}

TEST(SpaceErrors, Files) {
  try {
    read_space("/nowhere/ops.yaml");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), StartsWith("/nowhere/ops.yaml: "));
  }
  EXPECT_THROW(read_space("/tmp"), Error);
}

TEST(DidYouMean, NearestWithinAThird) {
  const std::vector<std::string> names = {"in_channels", "out_channels", "kernel_size", "stride"};
  EXPECT_EQ(did_you_mean("in_chanels", names), "in_channels");
  EXPECT_EQ(did_you_mean("kernelsize", names), "kernel_size");
  EXPECT_EQ(did_you_mean("Stride", names), "stride");
  EXPECT_EQ(did_you_mean("stirde", names), "stride");
  EXPECT_EQ(did_you_mean("nett", {"Net", "net"}), "net");
  EXPECT_EQ(did_you_mean("conv2d", {"Conv1d", "Conv2d"}), "Conv2d");
  EXPECT_EQ(did_you_mean("padding", names), "");
  EXPECT_EQ(did_you_mean("", names), "");
}

}  // namespace
}  // namespace mmt
