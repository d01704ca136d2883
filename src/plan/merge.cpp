#include "plan/merge.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace mmt {
namespace {

constexpr std::string_view kArrow = " -> ";

/// "[1,8,4,4]c4" gives 1, 8, 4, 4; nothing where that is no tensor, or more than one.
std::optional<std::vector<std::int64_t>> extents(std::string_view tensor) {
  if (!tensor.starts_with('[') || tensor.find(' ') != tensor.npos) return std::nullopt;
  std::vector<std::int64_t> shape;
  const char* at = tensor.data() + 1;
  const char* const end = tensor.data() + tensor.size();
  while (at < end && *at != ']') {
    std::int64_t extent = 0;
    const auto [next, error] = std::from_chars(at, end, extent);
    if (error != std::errc{}) return std::nullopt;
    shape.push_back(extent);
    at = next < end && *next == ',' ? next + 1 : next;
  }
  if (at >= end) return std::nullopt;
  return shape;
}

/// The number of elements that a copy of one box without gaps takes in its order: "regions=1 0:1x1x8@0/0x0x1>0/0x0x1".
std::int64_t elements_in_order(std::string_view attributes) {
  constexpr std::string_view kStart = "regions=1 0:1x1x", kUnit = "x1";
  if (!attributes.starts_with(kStart)) return -1;
  attributes.remove_prefix(kStart.size());
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(attributes.data(), attributes.data() + attributes.size(), count);
  if (error != std::errc{}) return -1;
  attributes.remove_prefix(static_cast<std::size_t>(end - attributes.data()));
  const std::size_t split = attributes.find('>');
  if (!attributes.starts_with("@0/") || split == attributes.npos) return -1;
  const std::string_view from = attributes.substr(0, split), to = attributes.substr(split);
  const std::string_view unit = count > 1 ? kUnit : "x0";
  return to.starts_with(">0/") && from.ends_with(unit) && to.ends_with(unit) ? count : -1;
}

}  // namespace

KernelTensors tensors_of(const KernelRow& row) {
  std::string_view text = row.text;
  text.remove_prefix(std::min(text.size(), row.type.size() + (row.attributes.empty() ? 0 : row.attributes.size() + 2)));
  if (text.starts_with(' ')) text.remove_prefix(1);
  const std::size_t arrow = text.rfind(kArrow);
  if (arrow == text.npos) return {};
  return {text.substr(0, arrow), text.substr(arrow + kArrow.size())};
}

bool copies_whole(const KernelRow& row) {
  if (row.type != "Raster") return false;
  const auto [inputs, outputs] = tensors_of(row);
  const auto from = extents(inputs), to = extents(outputs);
  if (!from || !to) return false;
  const std::int64_t copied = elements_in_order(row.attributes);
  for (const auto& shape : {*from, *to}) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : shape) elements *= extent;
    if (elements != copied) return false;
  }
  return true;
}

bool drops_trailing_ones(const KernelRow& row) {
  if (!copies_whole(row)) return false;
  const auto [inputs, outputs] = tensors_of(row);
  auto from = extents(inputs);
  const auto to = extents(outputs);
  if (from->size() <= to->size() || to->size() < 3) return false;
  while (from->size() > to->size() && from->back() == 1) from->pop_back();
  return *from == *to;
}

std::vector<std::string> merged_copies(const KernelRow& first, const KernelRow& second) {
  std::vector<std::string> texts;
  const std::string inputs(tensors_of(first).inputs), outputs(tensors_of(second).outputs);
  if (first.type != "Raster" || second.type != "Raster" || inputs.empty() || outputs.empty()) return texts;
  const auto with = [&](const KernelRow& row) {
    return row.type + "{" + row.attributes + "} " + inputs + std::string(kArrow) + outputs;
  };
  if (copies_whole(second)) texts.push_back(with(first));
  if (copies_whole(first)) texts.push_back(with(second));
  return texts;
}

bool moves_before_copies(const KernelRow& row) {
  constexpr std::array<std::string_view, 3> kMoved{"ReLU", "ReLU6", "UnaryOp"};
  if (row.attributes.find("of_op=") != row.attributes.npos) return false;  // Part of a larger operation.
  return std::find(kMoved.begin(), kMoved.end(), row.type) != kMoved.end();
}

std::string before_copy(const KernelRow& activation, const KernelRow& copy) {
  const std::string tensor(tensors_of(copy).inputs);
  const std::string name =
      activation.attributes.empty() ? activation.type : activation.type + "{" + activation.attributes + "}";
  return name + " " + tensor + std::string(kArrow) + tensor;
}

}  // namespace mmt
