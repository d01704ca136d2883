#include "kernel/mnn_file.h"

#include <flatbuffers/flatbuffers.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kernel/mnn_fields.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

// Fields of the two outer tables (positions, from 0).
enum : std::uint16_t { kNetOps = 3, kNetOutputs = 4, kNetTensorNames = 7 };
enum : std::uint16_t {
  kOpInputs = 0,
  kOpParameterType = 1,
  kOpParameters = 2,
  kOpName = 3,
  kOpOutputs = 4,
  kOpType = 5
};

// Deep enough for every real file; a bound for hostile ones.
constexpr unsigned kMaxDepth = 32;
constexpr unsigned kMaxTables = 4'000'000;

constexpr flatbuffers::voffset_t slot(std::uint16_t field) {
  return static_cast<flatbuffers::voffset_t>(4 + 2 * field);
}

std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), "%.9g", value);
  return buffer;
}

class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size, const std::string& where)
      : verifier_(data, size, kMaxDepth, kMaxTables), data_(data), size_(size), where_(where) {}

  Graph read() {
    if (size_ < 8) fail("it is too short to be a model");
    const auto root_offset = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(data_);
    if (root_offset >= size_ || root_offset < 4) fail("its root lies outside the file");
    const auto* net = reinterpret_cast<const flatbuffers::Table*>(data_ + root_offset);
    check(net->VerifyTableStart(verifier_), "its root is no table");

    Graph graph;
    graph.tensor_names = strings(net, kNetTensorNames);
    graph.output_names = strings(net, kNetOutputs);
    const auto* ops = tables(net, kNetOps);
    if (ops == nullptr) fail("it holds no operators");
    graph.ops.reserve(ops->size());
    for (flatbuffers::uoffset_t i = 0; i < ops->size(); ++i) {
      place_ = "operator " + std::to_string(i);
      graph.ops.push_back(op(ops->Get(i), graph.tensor_names.size()));
      graph.by_name.emplace(graph.ops.back().name, static_cast<int>(i));
    }
    return graph;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kCorrupt, where_ + ": not a readable .mnn model: " + (place_.empty() ? "" : place_ + ": ") +
                                         what + "; convert the model again");
  }
  void check(bool ok, const char* what) const {
    if (!ok) fail(what);
  }

  template <typename T>
  T scalar(const flatbuffers::Table* table, std::uint16_t field, T fallback) {
    const auto offset = table->GetOptionalFieldOffset(slot(field));
    if (offset == 0) return fallback;
    const auto* at = reinterpret_cast<const std::uint8_t*>(table) + offset;
    check(inside(at, sizeof(T)), "a value lies outside the file");
    return flatbuffers::ReadScalar<T>(at);
  }

  bool inside(const std::uint8_t* at, std::size_t bytes) const {
    return at >= data_ && bytes <= size_ && static_cast<std::size_t>(at - data_) <= size_ - bytes;
  }

  /// The place that an offset field points to, or nullptr where it is absent.
  const std::uint8_t* follow(const flatbuffers::Table* table, std::uint16_t field) {
    check(table->VerifyOffset(verifier_, slot(field)), "an offset lies outside the file");
    return table->GetPointer<const std::uint8_t*>(slot(field));
  }

  template <typename T>
  const flatbuffers::Vector<T>* vector(const flatbuffers::Table* table, std::uint16_t field) {
    const auto* at = reinterpret_cast<const flatbuffers::Vector<T>*>(follow(table, field));
    check(verifier_.VerifyVector(at), "a list leaves the file");
    return at;
  }

  const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::Table>>* tables(const flatbuffers::Table* table,
                                                                             std::uint16_t field) {
    const auto* list = vector<flatbuffers::Offset<flatbuffers::Table>>(table, field);
    if (list == nullptr) return nullptr;
    for (flatbuffers::uoffset_t i = 0; i < list->size(); ++i) {
      const auto* element = reinterpret_cast<const std::uint8_t*>(list->Get(i));
      check(inside(element, 4) && list->Get(i)->VerifyTableStart(verifier_), "a table lies outside the file");
      check(verifier_.EndTable(), "its tables are nested too deeply");
    }
    return list;
  }

  std::vector<std::string> strings(const flatbuffers::Table* table, std::uint16_t field) {
    std::vector<std::string> result;
    const auto* list = vector<flatbuffers::Offset<flatbuffers::String>>(table, field);
    if (list == nullptr) return result;
    check(verifier_.VerifyVectorOfStrings(list), "a name leaves the file");
    result.reserve(list->size());
    for (const auto* text : *list) result.push_back(text->str());
    return result;
  }

  std::vector<int> indices(const flatbuffers::Table* table, std::uint16_t field, std::size_t limit) {
    std::vector<int> result;
    if (const auto* list = vector<std::int32_t>(table, field)) {
      for (const std::int32_t index : *list) {
        check(index >= -1 && index < static_cast<std::int64_t>(limit), "it names a tensor that does not exist");
        result.push_back(index);
      }
    }
    return result;
  }

  OpNode op(const flatbuffers::Table* table, std::size_t tensors) {
    OpNode node;
    if (const auto* at = follow(table, kOpName)) {
      const auto* text = reinterpret_cast<const flatbuffers::String*>(at);
      check(verifier_.VerifyString(text), "its name leaves the file");
      node.name = text->str();
    }
    node.type = scalar<std::int32_t>(table, kOpType, 0);
    node.parameter_type = scalar<std::uint8_t>(table, kOpParameterType, 0);
    node.inputs = indices(table, kOpInputs, tensors);
    node.outputs = indices(table, kOpOutputs, tensors);
    const Table* known = parameter_table(node.parameter_type);
    if (known != nullptr) {
      if (const auto* at = follow(table, kOpParameters)) parameters(at, *known, node);
    }
    return node;
  }

  void parameters(const std::uint8_t* at, const Table& known, OpNode& node) {
    const auto* table = reinterpret_cast<const flatbuffers::Table*>(at);
    check(inside(at, 4) && table->VerifyTableStart(verifier_), "its parameters lie outside the file");
    for (const Field& field : known.fields) read_field(table, field, node);
    check(verifier_.EndTable(), "its parameters are nested too deeply");
  }

  void read_field(const flatbuffers::Table* table, const Field& field, OpNode& node) {
    switch (field.kind) {
      case FieldKind::kInt32:
        return add(node, field, scalar<std::int32_t>(table, field.id, static_cast<int>(field.fallback)));
      case FieldKind::kInt8:
        return add(node, field, scalar<std::int8_t>(table, field.id, static_cast<std::int8_t>(field.fallback)));
      case FieldKind::kBool:
        return add(node, field, scalar<std::uint8_t>(table, field.id, field.fallback != 0) != 0);
      case FieldKind::kFloat:
        return add(node, field, scalar<float>(table, field.id, static_cast<float>(field.fallback)));
      case FieldKind::kIntVector:
        if (const auto* list = vector<std::int32_t>(table, field.id); list != nullptr && list->size() > 0) {
          std::string text;
          for (const std::int32_t value : *list) text += (text.empty() ? "" : "x") + std::to_string(value);
          add_text(node, field.name, text);
        }
        return;
      case FieldKind::kFloatVector:
        if (const auto* list = vector<std::int32_t>(table, field.id))
          node.constant_bytes += 4 * static_cast<std::int64_t>(list->size());
        return;
      case FieldKind::kByteVector:
        if (const auto* list = vector<std::uint8_t>(table, field.id))
          node.constant_bytes += static_cast<std::int64_t>(list->size());
        return;
      case FieldKind::kTable:
        if (const auto* at = follow(table, field.id)) parameters(at, *field.table, node);
        return;
    }
  }

  static void add(OpNode& node, const Field& field, double value) {
    if (field.name != nullptr && value != field.fallback) add_text(node, field.name, number(value));
  }
  static void add_text(OpNode& node, const char* name, const std::string& value) {
    node.attributes += (node.attributes.empty() ? "" : ",") + std::string(name) + "=" + value;
  }

  flatbuffers::Verifier verifier_;
  const std::uint8_t* data_;
  std::size_t size_;
  const std::string& where_;
  std::string place_;
};

}  // namespace

int Graph::find(const std::string& name) const {
  const auto it = by_name.find(name);
  return it == by_name.end() ? -1 : it->second;
}

Graph parse_graph(const std::uint8_t* data, std::size_t size, const std::string& where) {
  return Reader(data, size, where).read();
}

Graph read_graph(const std::string& path) {
  std::error_code unknown;
  if (!std::filesystem::is_regular_file(path, unknown))
    throw Error(ErrorCode::kIo, path + ": is no file; give the path of a .mnn model");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Error(ErrorCode::kIo, path + ": cannot be opened for reading; check the path and its permissions");
  const std::streamsize size = file.tellg();
  // FlatBuffers' scalars are read where they lie, so the image must be aligned for the widest of them.
  std::vector<std::uint64_t> image((static_cast<std::size_t>(size) + 7) / 8);
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(image.data()), size))
    throw Error(ErrorCode::kIo, path + ": reading stopped early");
  return parse_graph(reinterpret_cast<const std::uint8_t*>(image.data()), static_cast<std::size_t>(size), path);
}

}  // namespace mmt::mnn
