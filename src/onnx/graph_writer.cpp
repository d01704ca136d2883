#include "onnx/graph_writer.h"

#include <array>
#include <utility>

namespace mmt::onnx {
namespace {

// Field numbers of onnx.proto (IR version 8).
enum ModelField { kIrVersion = 1, kProducerName = 2, kGraph = 7, kOpsetImport = 8 };
enum OpsetField { kOpsetVersion = 2 };
enum GraphField { kNode = 1, kGraphName = 2, kInitializer = 5, kGraphInput = 11, kGraphOutput = 12 };
enum NodeField { kNodeInput = 1, kNodeOutput = 2, kNodeName = 3, kOpType = 4, kAttribute = 5 };
enum AttributeField { kName = 1, kF = 2, kI = 3, kS = 4, kInts = 8, kStrings = 9, kType = 20 };
enum AttributeType { kFloat = 1, kInt = 2, kString = 3, kIntList = 7, kStringList = 8 };
enum TensorField { kDims = 1, kDataType = 2, kTensorName = 8, kRawData = 9 };
enum ValueField { kValueName = 1, kValueType = 2, kTensorType = 1, kElemType = 1, kShape = 2, kDim = 1, kDimValue = 1 };

struct DType {
  std::string_view name;
  int type;
  std::size_t size;
};
constexpr std::array<DType, 10> kTypes{{{"float32", 1, 4},
                                        {"uint8", 2, 1},
                                        {"int8", 3, 1},
                                        {"int16", 5, 2},
                                        {"int32", 6, 4},
                                        {"int64", 7, 8},
                                        {"bool", 9, 1},
                                        {"float16", 10, 2},
                                        {"float64", 11, 8},
                                        {"bfloat16", 16, 2}}};

const DType* find_type(std::string_view dtype) {
  for (const DType& type : kTypes) {
    if (type.name == dtype) return &type;
  }
  return nullptr;
}

Message value_info(std::string_view name, std::string_view dtype, const Shape& shape) {
  Message dims;
  for (const std::int64_t size : shape) {
    Message dim;
    dim.signed_varint(kDimValue, size);
    dims.message(kDim, dim);
  }
  Message tensor, type, value;
  tensor.varint(kElemType, static_cast<std::uint64_t>(element_type(dtype)));
  tensor.message(kShape, dims);
  type.message(kTensorType, tensor);
  value.text(kValueName, name);
  value.message(kValueType, type);
  return value;
}

std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

}  // namespace

int element_type(std::string_view dtype) {
  const DType* type = find_type(dtype);
  return type == nullptr ? 0 : type->type;
}

std::size_t element_size(std::string_view dtype) {
  const DType* type = find_type(dtype);
  return type == nullptr ? 0 : type->size;
}

Attribute::Attribute(std::string_view name, std::int64_t value) {
  message_.text(kName, name);
  message_.signed_varint(kI, value);
  message_.varint(kType, kInt);
}

Attribute::Attribute(std::string_view name, double value) {
  message_.text(kName, name);
  message_.float32(kF, static_cast<float>(value));
  message_.varint(kType, kFloat);
}

Attribute::Attribute(std::string_view name, std::string_view value) {
  message_.text(kName, name);
  message_.text(kS, value);
  message_.varint(kType, kString);
}

Attribute::Attribute(std::string_view name, const Shape& values) {
  message_.text(kName, name);
  for (const std::int64_t value : values) message_.signed_varint(kInts, value);
  message_.varint(kType, kIntList);
}

Attribute::Attribute(std::string_view name, const std::vector<std::string>& values) {
  message_.text(kName, name);
  for (const std::string& value : values) message_.text(kStrings, value);
  message_.varint(kType, kStringList);
}

void GraphWriter::node(std::string_view op_type, std::string_view name, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs, const std::vector<Attribute>& attributes) {
  Message node;
  for (const std::string& input : inputs) node.text(kNodeInput, input);
  for (const std::string& output : outputs) node.text(kNodeOutput, output);
  node.text(kNodeName, name);
  node.text(kOpType, op_type);
  for (const Attribute& attribute : attributes) node.message(kAttribute, attribute.message());
  nodes_.message(kNode, node);
}

void GraphWriter::input(std::string_view name, std::string_view dtype, const Shape& shape) {
  inputs_.message(kGraphInput, value_info(name, dtype, shape));
}

void GraphWriter::output(std::string_view name, std::string_view dtype, const Shape& shape) {
  outputs_.message(kGraphOutput, value_info(name, dtype, shape));
}

void GraphWriter::initializer(std::string_view name, std::string_view dtype, const Shape& shape,
                              std::string_view data) {
  Initializer entry;
  for (const std::int64_t size : shape) entry.header.signed_varint(kDims, size);
  entry.header.varint(kDataType, static_cast<std::uint64_t>(element_type(dtype)));
  entry.header.text(kTensorName, name);
  entry.header.length(kRawData, data.size());
  entry.data = data;
  initializers_.push_back(std::move(entry));
}

void GraphWriter::owned_initializer(std::string_view name, std::string_view dtype, const Shape& shape,
                                    std::string data) {
  owned_.push_back(std::make_unique<std::string>(std::move(data)));
  initializer(name, dtype, shape, *owned_.back());
}

std::string GraphWriter::finish(int opset, std::string_view graph_name) const {
  Message name;
  name.text(kGraphName, graph_name);
  std::size_t graph_size =
      nodes_.bytes().size() + name.bytes().size() + inputs_.bytes().size() + outputs_.bytes().size();
  for (const Initializer& entry : initializers_) {
    const std::size_t size = entry.header.bytes().size() + entry.data.size();
    graph_size += 1 + varint_size(size) + size;
  }

  Message opset_import, model;
  opset_import.varint(kOpsetVersion, static_cast<std::uint64_t>(opset));
  model.reserve(graph_size + 64);
  model.varint(kIrVersion, 8);
  model.text(kProducerName, "mmt");
  model.length(kGraph, graph_size);
  model.append(nodes_.bytes());
  model.append(name.bytes());
  for (const Initializer& entry : initializers_) {
    model.length(kInitializer, entry.header.bytes().size() + entry.data.size());
    model.append(entry.header.bytes());
    model.append(entry.data);
  }
  model.append(inputs_.bytes());
  model.append(outputs_.bytes());
  model.message(kOpsetImport, opset_import);
  return model.take();
}

}  // namespace mmt::onnx
