// A reader of ONNX bytes for tests, written against the format and not against the writer.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace mmt::test {

struct Field {
  int number = 0;
  std::uint64_t value = 0;  // varints and 32-bit floats (their bits)
  std::string_view bytes;   // length-delimited
};

inline std::vector<Field> fields(std::string_view data) {
  std::vector<Field> found;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      if (at >= data.size()) throw std::runtime_error("varint runs over the end");
      const auto byte = static_cast<unsigned char>(data[at++]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < data.size()) {
    const std::uint64_t tag = varint();
    Field field;
    field.number = static_cast<int>(tag >> 3);
    if ((tag & 7) == 0) {
      field.value = varint();
    } else if ((tag & 7) == 5) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, data.data() + at, 4);
      field.value = bits;
      at += 4;
    } else if ((tag & 7) == 2) {
      const std::uint64_t size = varint();
      if (size > data.size() - at) throw std::runtime_error("field runs over the end");
      field.bytes = data.substr(at, size);
      at += size;
    } else {
      throw std::runtime_error("unknown wire type");
    }
    found.push_back(field);
  }
  return found;
}

struct OnnxNode {
  std::string type, name;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::vector<std::int64_t>> ints;
  std::map<std::string, float> floats;
  std::map<std::string, std::string> texts;
};

struct OnnxTensor {
  int type = 0;
  std::vector<std::int64_t> shape;
  std::string data;
};

struct OnnxModel {
  std::int64_t ir_version = 0, opset = 0;
  std::vector<OnnxNode> nodes;
  std::map<std::string, OnnxTensor> initializers;
  std::vector<std::string> inputs, outputs;

  std::vector<std::string> types() const {
    std::vector<std::string> result;
    for (const OnnxNode& node : nodes) result.push_back(node.type);
    return result;
  }
};

inline OnnxNode read_node(std::string_view data) {
  OnnxNode node;
  for (const Field& f : fields(data)) {
    if (f.number == 1) node.inputs.emplace_back(f.bytes);
    if (f.number == 2) node.outputs.emplace_back(f.bytes);
    if (f.number == 3) node.name = f.bytes;
    if (f.number == 4) node.type = f.bytes;
    if (f.number != 5) continue;
    std::string name;
    for (const Field& a : fields(f.bytes)) {
      if (a.number == 1) name = a.bytes;
      if (a.number == 3 || a.number == 8) node.ints[name].push_back(static_cast<std::int64_t>(a.value));
      if (a.number == 4) node.texts[name] = a.bytes;
      if (a.number == 2) {
        const auto bits = static_cast<std::uint32_t>(a.value);
        std::memcpy(&node.floats[name], &bits, 4);
      }
    }
  }
  return node;
}

inline OnnxModel read_onnx(std::string_view data) {
  OnnxModel model;
  for (const Field& f : fields(data)) {
    if (f.number == 1) model.ir_version = static_cast<std::int64_t>(f.value);
    if (f.number == 8) model.opset = static_cast<std::int64_t>(fields(f.bytes).at(0).value);
    if (f.number != 7) continue;
    for (const Field& g : fields(f.bytes)) {
      if (g.number == 1) model.nodes.push_back(read_node(g.bytes));
      if (g.number == 11) model.inputs.emplace_back(fields(g.bytes).at(0).bytes);
      if (g.number == 12) model.outputs.emplace_back(fields(g.bytes).at(0).bytes);
      if (g.number != 5) continue;
      OnnxTensor tensor;
      std::string name;
      for (const Field& t : fields(g.bytes)) {
        if (t.number == 1) tensor.shape.push_back(static_cast<std::int64_t>(t.value));
        if (t.number == 2) tensor.type = static_cast<int>(t.value);
        if (t.number == 8) name = t.bytes;
        if (t.number == 9) tensor.data = t.bytes;
      }
      model.initializers[name] = tensor;
    }
  }
  return model;
}

}  // namespace mmt::test
