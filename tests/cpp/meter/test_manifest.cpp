#include "mmt/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "meter/scratch_folder.h"
#include "mmt/error.h"

namespace mmt {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Manifest some_manifest() {
  OperatorEntry entry;
  entry.fingerprint = "00112233445566778899aabbccddeeff";
  entry.kind = "module";
  entry.class_name = "torch.nn.Embedding";
  entry.parameters_json = R"({"num_embeddings":10,"padding_idx":null})";
  entry.inputs = {{.shape = {1, 4}, .dtype = "int64", .low = 0, .high = 10}, {.shape = {}}};
  entry.output_shapes = {{1, 4, 8}};
  entry.output_dtypes = {"float32"};
  entry.parameter_count = 80;
  entry.exporter = "mmt";
  entry.origin = "yaml";
  entry.models = {{"plain", "models/0011.mnn", 520, "ab"}, {"packed", "models/0011.packed.mnn", 620, "cd"}};
  OperatorEntry failed = entry;
  failed.models.clear();
  failed.error = "line\nbreak and \"quotes\"";
  Manifest manifest;
  manifest.mmt_version = "0.1.0";
  manifest.converter = "MNN 3.6.1";
  manifest.operators = {entry, failed};
  return manifest;
}

std::string message_for(const std::string& text) {
  try {
    parse_manifest(text, "ops/ops.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kParse);
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << text;
  return "";
}

std::string with_entry(const std::string& entry) { return R"({"format":1,"operators":[)" + entry + "]}"; }

TEST(Manifest, GivesBackWhatWasWritten) {
  testing::ScratchFolder folder;
  const Manifest written = some_manifest();
  write_manifest(folder / "ops", written);
  const Manifest read = read_manifest(folder / "ops");
  EXPECT_EQ(manifest_text(read), manifest_text(written));
  ASSERT_EQ(read.operators.size(), 2u);
  const OperatorEntry& entry = read.operators[0];
  EXPECT_EQ(entry.parameters_json, written.operators[0].parameters_json);
  EXPECT_EQ(entry.inputs[0].dtype, "int64");
  EXPECT_EQ(entry.inputs[0].high, 10);
  EXPECT_EQ(entry.inputs[1].dtype, "float32");
  EXPECT_EQ(entry.models[1].context, "packed");
  EXPECT_EQ(read.operators[1].error, "line\nbreak and \"quotes\"");
}

TEST(Manifest, AMissingFolderSaysWhatToDo) {
  try {
    read_manifest("/nowhere/ops");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/ops/ops.json"), HasSubstr("mmt generate")));
  }
}

TEST(Manifest, BrokenTextNamesLineAndColumn) {
  EXPECT_THAT(message_for("{\"format\":1,\n \"operators\": [}"), HasSubstr("ops/ops.json: line 2, column 16"));
  EXPECT_THAT(message_for(""), HasSubstr("line 1, column 1"));
  EXPECT_THAT(message_for(manifest_text(some_manifest()).substr(0, 100)), HasSubstr("ops/ops.json: line "));
}

TEST(Manifest, WrongContentNamesThePlace) {
  EXPECT_THAT(message_for("[]"), HasSubstr("top level: expected an object, found array"));
  EXPECT_THAT(message_for("{}"), HasSubstr("'format' is missing"));
  EXPECT_THAT(message_for(R"({"format":2,"operators":[]})"), HasSubstr("/format: 2 is not known"));
  EXPECT_THAT(message_for(R"({"format":1})"), HasSubstr("'operators' is missing"));
  EXPECT_THAT(message_for(R"({"format":1,"operators":[],"mmt_version":3})"), HasSubstr("ops/ops.json: "));
  EXPECT_THAT(message_for(with_entry("3")), HasSubstr("/operators/0: expected an object"));
  EXPECT_THAT(message_for(with_entry(R"({"kind":"module","class":"A"})")), HasSubstr("'fingerprint' is missing"));
  EXPECT_THAT(
      message_for(with_entry(R"({"fingerprint":"f","kind":"module","class":"A","inputs":[{"shape":[1,"x"]}]})")),
      HasSubstr("/operators/0/inputs/0/shape/1: expected an integer, found string"));
  EXPECT_THAT(
      message_for(with_entry(R"({"fingerprint":"f","kind":"module","class":"A","inputs":[{"shape":[9999999999]}]})")),
      HasSubstr("9999999999 is out of range"));
  EXPECT_THAT(message_for(with_entry(R"({"fingerprint":"f","kind":"module","class":"A","parameters":[]})")),
              HasSubstr("/operators/0/parameters: expected an object"));
}

TEST(Manifest, FilesOutsideTheFolderAreRefused) {
  for (const char* name : {"", "/etc/passwd", "../x.mnn", "models/../../x.mnn", ".."}) {
    const std::string entry = R"({"fingerprint":"f","kind":"module","class":"A","models":[{"context":"plain","file":")";
    EXPECT_THAT(message_for(with_entry(entry + name + "\"}]}")), HasSubstr("/operators/0/models/0/file")) << name;
  }
}

TEST(Manifest, ParametersThatAreNoObjectAreNotWritten) {
  Manifest manifest = some_manifest();
  manifest.operators[0].parameters_json = "{broken";
  EXPECT_THROW(manifest_text(manifest), Error);
}

TEST(Manifest, UnknownFieldsOfLaterVersionsAreIgnored) {
  const Manifest manifest = parse_manifest(R"({"format":1,"later":5,"operators":[]})", "x");
  EXPECT_TRUE(manifest.operators.empty());
}

}  // namespace
}  // namespace mmt
