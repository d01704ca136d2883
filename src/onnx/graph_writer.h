// Assembles an ONNX model: nodes, initializers, inputs and outputs, by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "onnx/wire.h"

namespace mmt::onnx {

using Shape = std::vector<std::int64_t>;

/// ONNX's number of a torch dtype name; 0 where there is none.
int element_type(std::string_view dtype);
/// Bytes per element of a torch dtype name; 0 where it has no ONNX type.
std::size_t element_size(std::string_view dtype);

/// One attribute of a node.
class Attribute {
 public:
  Attribute(std::string_view name, std::int64_t value);
  Attribute(std::string_view name, int value) : Attribute(name, static_cast<std::int64_t>(value)) {}
  Attribute(std::string_view name, bool value) : Attribute(name, static_cast<std::int64_t>(value ? 1 : 0)) {}
  Attribute(std::string_view name, double value);
  Attribute(std::string_view name, std::string_view value);
  Attribute(std::string_view name, const char* value) : Attribute(name, std::string_view(value)) {}
  Attribute(std::string_view name, const Shape& values);
  Attribute(std::string_view name, const std::vector<std::string>& values);

  const Message& message() const { return message_; }

 private:
  Message message_;
};

class GraphWriter {
 public:
  /// `inputs`: names, "" for an absent one.
  void node(std::string_view op_type, std::string_view name, const std::vector<std::string>& inputs,
            const std::vector<std::string>& outputs, const std::vector<Attribute>& attributes);

  void input(std::string_view name, std::string_view dtype, const Shape& shape);
  void output(std::string_view name, std::string_view dtype, const Shape& shape);

  /// A constant whose bytes stay the caller's until finish().
  void initializer(std::string_view name, std::string_view dtype, const Shape& shape, std::string_view data);
  /// A constant whose bytes move in here.
  void owned_initializer(std::string_view name, std::string_view dtype, const Shape& shape, std::string data);

  /// The bytes of the model; weights are copied once, to here.
  std::string finish(int opset, std::string_view graph_name) const;

 private:
  struct Initializer {
    Message header;  // everything but the data
    std::string_view data;
  };

  Message nodes_, inputs_, outputs_;
  std::vector<Initializer> initializers_;
  std::vector<std::unique_ptr<std::string>> owned_;
};

}  // namespace mmt::onnx
