#include "mmt/packed_model.h"

#include <flatbuffers/flatbuffers.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernel/mnn_file.h"
#include "mmt/kernel.h"

namespace mmt {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::String;
using flatbuffers::Table;
using flatbuffers::uoffset_t;
using flatbuffers::Vector;
using flatbuffers::voffset_t;
using Tables = Vector<Offset<Table>>;
using Names = Vector<Offset<String>>;

// Positions of fields and numbers of types in MNN's schema (those of the parameters: mnn_fields.cpp).
namespace net {
constexpr int kTensorNotes = 1, kOps = 3, kTensorNames = 7, kTensorNumber = 8, kSubgraphs = 10, kFieldCount = 12;
constexpr int kOffsets[] = {0, 2, 4, 11};  // what is handed on as it is: texts, the converter's version, output names
constexpr int kBytes[] = {5, 6, 9};        // numbers of one byte
}  // namespace net
namespace op {
constexpr int kInputs = 0, kParameterType = 1, kParameters = 2, kName = 3, kOutputs = 4, kType = 5, kFormat = 6;
constexpr int kInputType = 34, kPoolingType = 47, kConvertType = 129;
}  // namespace op
namespace input {
constexpr int kUnion = 21, kDims = 0, kDataType = 1;
constexpr std::int32_t kFloat32 = 1;
}  // namespace input
namespace convert {
constexpr int kUnion = 66, kFrom = 0, kTo = 1;
constexpr std::int8_t kPackedLayout = 2;  // NC4HW4
}  // namespace convert
constexpr int kPoolUnion = 31;

constexpr voffset_t slot(int field) { return static_cast<voffset_t>(4 + 2 * field); }

/// A conversion of an input, behind which a stub is to stand.
struct Place {
  std::size_t op = 0;
  std::string input;       ///< The input's name, "input_0".
  std::string stub;        ///< The stub's name, "mmt_stub_0".
  int from = -1, to = -1;  ///< Tensors: the input, and what its conversion writes.
};

class Writer {
 public:
  explicit Writer(std::string_view plain)
      : plain_(plain),
        graph_(mnn::parse_graph(reinterpret_cast<const std::uint8_t*>(plain.data()), plain.size(), "the plain model")),
        net_(flatbuffers::GetRoot<Table>(plain.data())),
        ops_(net_->GetPointer<const Tables*>(slot(net::kOps))),
        names_(net_->GetPointer<const Names*>(slot(net::kTensorNames))),
        builder_(plain.size() + 4096) {}

  std::optional<std::string> packed() {
    if (!is_simple() || !find_places()) return std::nullopt;
    // The plain file becomes the end of the new one, untouched: what is written before it refers to its tables.
    builder_.ForceDefaults(true);  // as the converter writes
    builder_.PushBytes(reinterpret_cast<const std::uint8_t*>(plain_.data()), plain_.size());
    builder_.Align(plain_.size() % 16 == 0 ? 16 : plain_.size() % 8 == 0 ? 8 : 4);
    const Offset<Tables> ops = write_ops();
    const Offset<Names> names = write_names();
    const uoffset_t start = builder_.StartTable();
    for (const int field : net::kOffsets) {
      if (const auto* at = net_->GetPointer<const Table*>(slot(field))) builder_.AddOffset(slot(field), kept(at));
    }
    builder_.AddOffset(slot(net::kOps), ops);
    builder_.AddOffset(slot(net::kTensorNames), names);
    if (net_->CheckField(slot(net::kTensorNumber)))
      builder_.AddElement(slot(net::kTensorNumber), net_->GetField<std::int32_t>(slot(net::kTensorNumber), 0));
    for (const int field : net::kBytes) {
      if (net_->CheckField(slot(field))) builder_.AddElement(slot(field), net_->GetField<std::int8_t>(slot(field), 0));
    }
    builder_.Finish(Offset<Table>(builder_.EndTable(start)));
    return std::string(reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize());
  }

 private:
  /// Whether the root holds nothing but what is handed on here.
  bool is_simple() const {
    if (plain_.size() % 4 != 0 || plain_.size() > (std::size_t{1} << 30) || names_ == nullptr) return false;
    if (net_->CheckField(slot(net::kTensorNotes)) || net_->CheckField(slot(net::kSubgraphs))) return false;
    for (const int field : net::kOffsets) {
      if (!points_inside(field)) return false;
    }
    const auto lies_inside = [&](int field, std::size_t bytes) {
      return net_->GetOptionalFieldOffset(slot(field)) + bytes <= bytes_after(net_);
    };
    if (!lies_inside(net::kTensorNumber, sizeof(std::int32_t))) return false;
    for (const int field : net::kBytes) {
      if (!lies_inside(field, sizeof(std::int8_t))) return false;
    }
    const auto* fields = reinterpret_cast<const std::uint8_t*>(net_) - flatbuffers::ReadScalar<std::int32_t>(net_);
    return flatbuffers::ReadScalar<voffset_t>(fields) <= slot(net::kFieldCount);
  }

  std::size_t bytes_after(const void* at) const {
    return static_cast<std::size_t>(plain_.data() + plain_.size() - static_cast<const char*>(at));
  }

  bool points_inside(int field) const {
    const voffset_t offset = net_->GetOptionalFieldOffset(slot(field));
    if (offset == 0) return true;
    if (offset + sizeof(uoffset_t) > bytes_after(net_)) return false;
    const auto* at = reinterpret_cast<const std::uint8_t*>(net_) + offset;
    return flatbuffers::ReadScalar<uoffset_t>(at) < bytes_after(at);
  }

  bool find_places() {
    for (const mnn::OpNode& node : graph_.ops) {
      if (node.type != op::kInputType) continue;
      const Table* parameters = parameters_of(node, input::kUnion);
      if (parameters == nullptr || node.outputs.size() != 1) return false;
      const auto* dims = parameters->GetPointer<const Vector<std::int32_t>*>(slot(input::kDims));
      if (dims == nullptr || dims->size() != 4) continue;
      if (parameters->GetField<std::int32_t>(slot(input::kDataType), input::kFloat32) != input::kFloat32) return false;
      if (!find_place(node)) return false;
    }
    // Inputs need not be read in their own order.
    std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.op < b.op; });
    return !places_.empty();
  }

  /// Notes where the stub of this input stands; false where the plain model does not tell. An input that nothing reads
  /// has none.
  bool find_place(const mnn::OpNode& input) {
    constexpr std::string_view prefix = "input_";
    if (!input.name.starts_with(prefix)) return false;
    bool found = false;
    for (std::size_t i = 0; i < graph_.ops.size(); ++i) {
      const mnn::OpNode& reader = graph_.ops[i];
      if (std::find(reader.inputs.begin(), reader.inputs.end(), input.outputs[0]) == reader.inputs.end()) continue;
      const Table* parameters = reader.type == op::kConvertType ? parameters_of(reader, convert::kUnion) : nullptr;
      if (found || parameters == nullptr || reader.inputs.size() != 1 || reader.outputs.size() != 1 ||
          reader.outputs[0] < 0 || parameters->GetField<std::int8_t>(slot(convert::kTo), 0) != convert::kPackedLayout)
        return false;
      const std::string& converted = graph_.tensor_names[static_cast<std::size_t>(reader.outputs[0])];
      const auto& results = graph_.output_names;  // A result keeps its name, which the stub's would take.
      if (std::find(results.begin(), results.end(), converted) != results.end()) return false;
      found = true;
      places_.push_back({i, input.name, std::string(kStubPrefix) + "_" + input.name.substr(prefix.size()),
                         input.outputs[0], reader.outputs[0]});
    }
    return true;
  }

  const Table* table_of(const mnn::OpNode& node) const {
    return ops_->Get(static_cast<uoffset_t>(&node - graph_.ops.data()));
  }
  const Table* parameters_of(const mnn::OpNode& node, int of_type) const {
    if (node.parameter_type != of_type) return nullptr;
    return table_of(node)->GetPointer<const Table*>(slot(op::kParameters));
  }

  /// What lies at `at` in the plain file, as the builder counts: from the end.
  template <typename T>
  Offset<T> kept(const T* at) const {
    return Offset<T>(static_cast<uoffset_t>(bytes_after(at)));
  }

  /// "input_0___tr4mmt_stub_0": as the converter names it, after who reads it.
  static std::string conversion_name(const Place& place) { return place.input + "___tr4" + place.stub; }

  Offset<Tables> write_ops() {
    std::vector<Offset<Table>> list;
    std::size_t next = 0;
    for (uoffset_t i = 0; i < ops_->size(); ++i) {
      if (next == places_.size() || places_[next].op != i) {
        list.push_back(kept(ops_->Get(i)));
        continue;
      }
      const Place& place = places_[next];
      const int between = static_cast<int>(names_->size() + next);
      list.push_back(write_conversion(place, between));
      list.push_back(write_stub(place, between));
      ++next;
    }
    return builder_.CreateVector(list);
  }

  Offset<Table> write_conversion(const Place& place, int to) {
    const Table* old = parameters_of(graph_.ops[place.op], convert::kUnion);
    const uoffset_t start = builder_.StartTable();
    builder_.AddElement(slot(convert::kFrom), old->GetField<std::int8_t>(slot(convert::kFrom), 0));
    builder_.AddElement(slot(convert::kTo), convert::kPackedLayout);
    const uoffset_t parameters = builder_.EndTable(start);
    return write_op(conversion_name(place), op::kConvertType, convert::kUnion, parameters, place.from, to, place);
  }

  /// A max pooling of 1x1 in steps of 1, which leaves everything as it is.
  Offset<Table> write_stub(const Place& place, int from) {
    const auto pads = builder_.CreateVector(std::vector<std::int32_t>(4, 0));
    const uoffset_t start = builder_.StartTable();
    for (const int pad : {0, 1}) builder_.AddElement<std::int32_t>(slot(pad), 0);
    for (const int size : {3, 4, 5, 6}) builder_.AddElement<std::int32_t>(slot(size), 1);  // kernel and stride
    builder_.AddElement<std::int32_t>(slot(9), 1);                                         // float32
    builder_.AddOffset(slot(11), pads);
    // Not global; a maximum; pads as given; whole windows only; what counts in an average.
    for (const int choice : {2, 7, 8, 10, 12}) builder_.AddElement<std::int8_t>(slot(choice), 0);
    const uoffset_t parameters = builder_.EndTable(start);
    return write_op(place.stub, op::kPoolingType, kPoolUnion, parameters, from, place.to, place);
  }

  Offset<Table> write_op(const std::string& name, int type, int parameter_type, uoffset_t parameters, std::int32_t from,
                         std::int32_t to, const Place& place) {
    const auto text = builder_.CreateString(name);
    const auto inputs = builder_.CreateVector(&from, 1);
    const auto outputs = builder_.CreateVector(&to, 1);
    const Table* like = ops_->Get(static_cast<uoffset_t>(place.op));
    const uoffset_t start = builder_.StartTable();
    builder_.AddOffset(slot(op::kInputs), inputs);
    builder_.AddOffset(slot(op::kParameters), Offset<Table>(parameters));
    builder_.AddOffset(slot(op::kName), text);
    builder_.AddOffset(slot(op::kOutputs), outputs);
    builder_.AddElement(slot(op::kType), static_cast<std::int32_t>(type));
    builder_.AddElement(slot(op::kParameterType), static_cast<std::uint8_t>(parameter_type));
    if (like->CheckField(slot(op::kFormat)) && like->GetOptionalFieldOffset(slot(op::kFormat)) < bytes_after(like))
      builder_.AddElement(slot(op::kFormat), like->GetField<std::int8_t>(slot(op::kFormat), 0));
    return Offset<Table>(builder_.EndTable(start));
  }

  /// The stub's result takes the number that the conversion's had, so that nothing else changes; the conversion's new
  /// result comes last.
  Offset<Names> write_names() {
    std::vector<Offset<String>> list;
    for (uoffset_t i = 0; i < names_->size(); ++i) list.push_back(kept(names_->Get(i)));
    for (const Place& place : places_) {
      list[static_cast<std::size_t>(place.to)] = builder_.CreateString(place.stub);
      list.push_back(builder_.CreateString(conversion_name(place)));
    }
    return builder_.CreateVector(list);
  }

  std::string_view plain_;
  mnn::Graph graph_;
  const Table* net_;
  const Tables* ops_;
  const Names* names_;
  std::vector<Place> places_;
  FlatBufferBuilder builder_;
};

}  // namespace

std::optional<std::string> packed_model(std::string_view plain) { return Writer(plain).packed(); }

}  // namespace mmt
