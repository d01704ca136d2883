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

/// A copy of one box out of one tensor, in its order, as the engine has it where both are packed images: "1x1x32@64/…"
/// of [1,8,2,2] is "8x2x2@64/4x2x1>0/4x2x1". Empty for anything else.
std::string by_channels(std::string_view attributes, std::string_view output) {
  constexpr std::string_view kStart = "regions=1 0:1x1x", kFlat = "/0x0x1>0/0x0x1";
  const auto shape = extents(output);
  if (!shape || shape->size() != 4 || (*shape)[0] != 1 || !attributes.starts_with(kStart) ||
      !attributes.ends_with(kFlat))
    return "";
  attributes.remove_prefix(kStart.size());
  attributes.remove_suffix(kFlat.size());
  const std::int64_t channels = (*shape)[1], height = (*shape)[2], width = (*shape)[3];
  const std::string count = std::to_string(channels * height * width) + "@";
  if (!attributes.starts_with(count)) return "";
  attributes.remove_prefix(count.size());
  const std::string strides = "/" + std::to_string(height * width) + "x" + std::to_string(width) + "x1";
  return "regions=1 0:" + std::to_string(channels) + "x" + std::to_string(height) + "x" + std::to_string(width) + "@" +
         std::string(attributes) + strides + ">0" + strides;
}

/// Takes "3x4x5" off the front of `text`; false where that is something else.
bool take_three(std::string_view& text, std::array<std::int64_t, 3>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && !text.starts_with('x')) return false;
    if (i > 0) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers[i]);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return true;
}

/// The number of elements that a copy of one box without gaps takes in its order: "regions=1 0:1x1x8@0/0x0x1>0/0x0x1",
/// "regions=1 0:1x2x4@0/0x4x1>0/0x4x1".
std::int64_t elements_in_order(std::string_view attributes) {
  constexpr std::string_view kStart = "regions=1 0:", kFrom = "@0/", kTo = ">0/";
  std::array<std::int64_t, 3> size{}, from{}, to{};
  if (!attributes.starts_with(kStart)) return -1;
  attributes.remove_prefix(kStart.size());
  if (!take_three(attributes, size) || !attributes.starts_with(kFrom)) return -1;
  attributes.remove_prefix(kFrom.size());
  if (!take_three(attributes, from) || !attributes.starts_with(kTo)) return -1;
  attributes.remove_prefix(kTo.size());
  if (!take_three(attributes, to) || !attributes.empty()) return -1;
  std::int64_t count = 1;
  for (std::size_t i = size.size(); i-- > 0;) {
    if (size[i] < 1) return -1;
    if (size[i] > 1 && (from[i] != count || to[i] != count)) return -1;
    count *= size[i];
  }
  return count;
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

bool joins_packed_channels(const memory::KernelText& kernel) {
  constexpr std::size_t kImage = 4, kChannels = 1;
  if (kernel.type != "Raster" || kernel.inputs.size() < 2 || kernel.outputs.size() != 1) return false;
  const std::vector<std::int64_t>& to = kernel.outputs.front().extents;
  if (to.size() != kImage) return false;
  std::int64_t channels = 0;
  for (const memory::Shape& input : kernel.inputs) {
    if (!input.packed || input.extents.size() != kImage) return false;
    for (std::size_t axis = 0; axis < kImage; ++axis) {
      if (axis != kChannels && input.extents[axis] != to[axis]) return false;
    }
    channels += input.extents[kChannels];
  }
  return channels == to[kChannels];
}

std::vector<std::string> merged_copies(const KernelRow& first, const KernelRow& second) {
  std::vector<std::string> texts;
  const std::string inputs(tensors_of(first).inputs), outputs(tensors_of(second).outputs);
  if (first.type != "Raster" || second.type != "Raster" || inputs.empty() || outputs.empty()) return texts;
  const auto with = [&](const std::string& attributes) {
    return first.type + "{" + attributes + "} " + inputs + std::string(kArrow) + outputs;
  };
  if (copies_whole(second)) {
    texts.push_back(with(first.attributes));
    const std::string sliced = by_channels(first.attributes, outputs);
    if (!sliced.empty() && !copies_whole(first)) texts.push_back(with(sliced));
  }
  if (copies_whole(first)) texts.push_back(with(second.attributes));
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
