// Builds small `.mnn` images for tests, field by field.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace mmt::test {

struct OpSpec {
  std::string name;
  int type = 0;
  int parameter_type = 0;
  std::vector<int> inputs, outputs;
  /// Writes the parameter table and returns its offset.
  std::function<flatbuffers::uoffset_t(flatbuffers::FlatBufferBuilder&)> parameters = {};
};

inline flatbuffers::voffset_t slot(int field) { return static_cast<flatbuffers::voffset_t>(4 + 2 * field); }

/// Parameters of a 2-D convolution with a square kernel.
inline std::function<flatbuffers::uoffset_t(flatbuffers::FlatBufferBuilder&)> convolution(int kernel, int weights,
                                                                                          bool relu) {
  return [=](flatbuffers::FlatBufferBuilder& builder) {
    const auto weight = builder.CreateVector(std::vector<float>(static_cast<std::size_t>(weights), 0.5f));
    const auto common_start = builder.StartTable();
    builder.AddElement<std::int32_t>(slot(2), kernel, 1);
    builder.AddElement<std::int32_t>(slot(3), kernel, 1);
    builder.AddElement<std::uint8_t>(slot(12), relu ? 1 : 0, 0);
    const auto common = flatbuffers::Offset<void>(builder.EndTable(common_start));
    const auto start = builder.StartTable();
    builder.AddOffset(slot(0), common);
    builder.AddOffset(slot(1), weight);
    return builder.EndTable(start);
  };
}

inline std::vector<std::uint8_t> build_mnn(const std::vector<OpSpec>& ops, const std::vector<std::string>& tensors,
                                           const std::vector<std::string>& results = {}) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<flatbuffers::Table>> offsets;
  for (const OpSpec& op : ops) {
    const auto name = builder.CreateString(op.name);
    const auto inputs = builder.CreateVector(op.inputs);
    const auto outputs = builder.CreateVector(op.outputs);
    flatbuffers::uoffset_t parameters = 0;
    if (op.parameters) parameters = op.parameters(builder);
    const auto start = builder.StartTable();
    builder.AddOffset(slot(0), inputs);
    builder.AddElement<std::uint8_t>(slot(1), static_cast<std::uint8_t>(op.parameter_type), 0);
    if (parameters != 0) builder.AddOffset(slot(2), flatbuffers::Offset<void>(parameters));
    builder.AddOffset(slot(3), name);
    builder.AddOffset(slot(4), outputs);
    builder.AddElement<std::int32_t>(slot(5), op.type, 0);
    offsets.emplace_back(builder.EndTable(start));
  }
  const auto list = builder.CreateVector(offsets);
  const auto names = builder.CreateVectorOfStrings(tensors);
  const auto outputs = builder.CreateVectorOfStrings(results);
  const auto start = builder.StartTable();
  builder.AddOffset(slot(3), list);
  builder.AddOffset(slot(4), outputs);
  builder.AddOffset(slot(7), names);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

}  // namespace mmt::test
