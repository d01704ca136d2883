#include "mmt/packed_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kernel/mnn_builder.h"
#include "kernel/mnn_file.h"
#include "mmt/error.h"

namespace mmt {
namespace {

using flatbuffers::FlatBufferBuilder;
using test::OpSpec;
using test::slot;

OpSpec input(const std::string& name, int tensor, std::vector<int> dims, int dtype = 1) {
  return {name, 34, 21, {}, {tensor}, [=](FlatBufferBuilder& builder) {
            const auto list = builder.CreateVector(dims);
            const auto start = builder.StartTable();
            builder.AddOffset(slot(0), list);
            builder.AddElement<std::int32_t>(slot(1), dtype, 1);
            return builder.EndTable(start);
          }};
}

OpSpec conversion(int from, int to, std::int8_t layout) {
  return {"conversion", 129, 66, {from}, {to}, [=](FlatBufferBuilder& builder) {
            const auto start = builder.StartTable();
            builder.AddElement<std::int8_t>(slot(1), layout, 0);
            return builder.EndTable(start);
          }};
}

OpSpec conv(const std::string& name, int from, int to) {
  return {name, 12, 9, {from}, {to}, test::convolution(3, 36, true)};
}

/// Images as files are read: at an address that is a multiple of 8.
class Image {
 public:
  explicit Image(std::string_view bytes) : words_((bytes.size() + 7) / 8), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(words_.data(), bytes.data(), size_);
  }
  explicit Image(const std::vector<std::uint8_t>& bytes)
      : Image(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())) {}
  Image(const std::vector<OpSpec>& ops, const std::vector<std::string>& tensors,
        const std::vector<std::string>& results = {})
      : Image(test::build_mnn(ops, tensors, results)) {}

  std::string_view view() const { return {reinterpret_cast<const char*>(words_.data()), size_}; }
  mnn::Graph graph() const {
    return mnn::parse_graph(reinterpret_cast<const std::uint8_t*>(words_.data()), size_, "test");
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

Image two_inputs() {
  return Image({input("input_0", 0, {1, 4, 8, 8}),
                conversion(0, 1, 2),
                conv("conv", 1, 2),
                input("input_1", 3, {1, 8}),
                input("input_2", 4, {1, 4, 6, 6}),
                conversion(4, 5, 2),
                {"sum", 7, 0, {2, 3, 5}, {6}}},
               {"input_0", "a", "b", "input_1", "input_2", "c", "sum"});
}

TEST(PackedModel, StubsStandBehindTheConversionsOfInputsOfRankFour) {
  const Image plain = two_inputs();
  const auto made = packed_model(plain.view());
  ASSERT_TRUE(made.has_value());
  const mnn::Graph graph = Image(*made).graph();
  std::vector<std::string> names;
  for (const mnn::OpNode& op : graph.ops) names.push_back(op.name);
  EXPECT_EQ(names, (std::vector<std::string>{"input_0", "input_0___tr4mmt_stub_0", "mmt_stub_0", "conv", "input_1",
                                             "input_2", "input_2___tr4mmt_stub_2", "mmt_stub_2", "sum"}));
  EXPECT_EQ(graph.tensor_names,
            (std::vector<std::string>{"input_0", "mmt_stub_0", "b", "input_1", "input_2", "mmt_stub_2", "sum",
                                      "input_0___tr4mmt_stub_0", "input_2___tr4mmt_stub_2"}));
  const mnn::OpNode& stub = graph.ops[2];
  EXPECT_EQ(stub.type, 47);
  EXPECT_EQ(stub.attributes, "kernel_x=1,kernel_y=1,stride_x=1,stride_y=1,ceil=0,pads=0x0x0x0");
  EXPECT_EQ(graph.ops[1].attributes, "to=2");
  EXPECT_EQ(graph.ops[1].outputs, stub.inputs);
  EXPECT_EQ(stub.outputs, graph.ops[3].inputs);
  EXPECT_EQ(graph.ops[6].inputs, (std::vector<int>{4}));
  EXPECT_EQ(graph.ops[8].inputs, (std::vector<int>{2, 3, 5}));
}

TEST(PackedModel, EveryInputGetsItsStubWhateverTheOrderOfItsReaders) {
  const Image plain({input("input_0", 0, {1, 4, 8, 8}), input("input_1", 1, {1, 4, 8, 8}), conversion(1, 2, 2),
                     conv("second", 2, 3), conversion(0, 4, 2), conv("first", 4, 5)},
                    {"input_0", "input_1", "a", "b", "c", "d"});
  const auto made = packed_model(plain.view());
  ASSERT_TRUE(made.has_value());
  const mnn::Graph graph = Image(*made).graph();
  for (const auto& [stub, tensor] : {std::pair{"mmt_stub_0", 4}, {"mmt_stub_1", 2}}) {
    ASSERT_GE(graph.find(stub), 1) << stub;
    const mnn::OpNode& op = graph.ops[static_cast<std::size_t>(graph.find(stub))];
    EXPECT_EQ(op.outputs, (std::vector<int>{tensor})) << stub;
    EXPECT_EQ(graph.ops[static_cast<std::size_t>(graph.find(stub)) - 1].outputs, op.inputs) << stub;
    EXPECT_EQ(graph.tensor_names[static_cast<std::size_t>(tensor)], stub);
  }
}

TEST(PackedModel, ThePlainFileIsItsEndUntouched) {
  const Image plain = two_inputs();
  EXPECT_TRUE(packed_model(plain.view())->ends_with(plain.view()));
  EXPECT_EQ(packed_model(plain.view())->size() % 4, 0u);
}

TEST(PackedModel, WhatThePlainModelDoesNotShowIsLeftToTheConverter) {
  const std::vector<int> image{1, 4, 8, 8};
  const std::vector<std::string> names{"input_0", "a", "b", "c"};
  const OpSpec relu{"relu", 69, 0, {0}, {2}};
  // Read by what runs unpacked alone, and by others beside its conversion.
  EXPECT_EQ(packed_model(Image({input("input_0", 0, image), relu}, names).view()), std::nullopt);
  EXPECT_EQ(packed_model(Image({input("input_0", 0, image), conversion(0, 1, 2), conv("x", 1, 3), relu}, names).view()),
            std::nullopt);
  EXPECT_EQ(
      packed_model(
          Image({input("input_0", 0, image), conversion(0, 1, 2), conversion(0, 2, 2), conv("x", 1, 3)}, names).view()),
      std::nullopt);
  // A conversion to another layout, an input of another type, of another name, none of rank 4, none that is read.
  EXPECT_EQ(packed_model(Image({input("input_0", 0, image), conversion(0, 1, 1), conv("x", 1, 2)}, names).view()),
            std::nullopt);
  EXPECT_EQ(packed_model(Image({input("input_0", 0, image, 3), conversion(0, 1, 2), conv("x", 1, 2)}, names).view()),
            std::nullopt);
  EXPECT_EQ(packed_model(Image({input("image", 0, image), conversion(0, 1, 2), conv("x", 1, 2)}, names).view()),
            std::nullopt);
  EXPECT_EQ(packed_model(Image({input("input_0", 0, {1, 4}), conversion(0, 1, 2), conv("x", 1, 2)}, names).view()),
            std::nullopt);
  EXPECT_EQ(packed_model(Image({input("input_0", 0, image), conv("x", 1, 2)}, names).view()), std::nullopt);
  // A conversion that is a result itself; one beside it is none.
  const std::vector<OpSpec> ops{input("input_0", 0, image), conversion(0, 1, 2), conv("x", 1, 2)};
  EXPECT_EQ(packed_model(Image(ops, names, {"a", "b"}).view()), std::nullopt);
  EXPECT_TRUE(packed_model(Image(ops, names, {"b"}).view()).has_value());
}

TEST(PackedModel, DamagedFilesAreErrorsOrModels) {
  const Image plain = two_inputs();
  for (std::size_t size = 0; size < plain.view().size(); ++size) {
    try {
      packed_model(Image(plain.view().substr(0, size)).view());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    }
  }
  std::mt19937 random(1);
  int made = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(plain.view());
    for (int change = 0; change < 3; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      if (const auto packed = packed_model(Image(bytes).view())) {
        Image(*packed).graph();
        ++made;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    }
  }
  EXPECT_GT(made, 0);
}

}  // namespace
}  // namespace mmt
