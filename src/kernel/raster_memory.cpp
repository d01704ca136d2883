#include "kernel/raster_memory.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace mmt::memory {
namespace {

/// A box that is copied: counts and, for both ends, where it begins and how far apart its elements lie (unpacked).
struct Region {
  std::int64_t input = 0;
  std::array<std::int64_t, 3> size{};
  std::int64_t from = 0, to = 0;
  std::array<std::int64_t, 3> from_step{}, to_step{};
};

/// An offset between elements of a tensor, as batches, channels and pixels.
struct Place {
  std::int64_t pixels = 0, channels = 0, batches = 0;
};

struct Extent {
  std::int64_t batches = 1, channels = 1, pixels = 1;

  explicit Extent(const Shape& shape) : batches(shape.extent(0)), channels(shape.extent(1)) {
    for (std::size_t axis = 2; axis < shape.extents.size(); ++axis) pixels *= shape.extents[axis];
    pixels = std::max<std::int64_t>(pixels, 1);
    channels = std::max<std::int64_t>(channels, 1);
  }
  std::int64_t all() const { return batches * channels * pixels; }
  Place place(std::int64_t offset) const {
    return {offset % pixels, offset / pixels % channels, offset / pixels / channels};
  }
};

/// Reads "0:1x8x16@0/8x16x1>0/8x16x1"; nothing where a part is missing or damaged.
std::optional<Region> parse_region(std::string_view text) {
  std::array<std::int32_t, 12> numbers{};  // As in the engine: steps times sizes fit into 64 bits.
  const char *at = text.data(), *end = text.data() + text.size();
  for (std::int32_t& number : numbers) {
    while (at < end && *at != '-' && (*at < '0' || *at > '9')) ++at;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return std::nullopt;
    at = next;
  }
  const auto& n = numbers;
  std::int64_t copied = 1;
  for (const int axis : {1, 2, 3}) {
    if (!grows_within_memory(copied, n[static_cast<std::size_t>(axis)])) return std::nullopt;
  }
  return Region{n[0], {n[1], n[2], n[3]}, n[4], n[8], {n[5], n[6], n[7]}, {n[9], n[10], n[11]}};
}

/// The regions that the attributes spell out: the first few.
std::vector<Region> regions_of(const KernelText& kernel) {
  std::vector<Region> regions;
  const std::string_view text = kernel.attributes;
  for (std::size_t at = text.find(' '); at < text.size();) {
    const std::size_t next = std::min(text.find(' ', at + 1), text.size());
    const auto region = parse_region(text.substr(at + 1, next - at - 1));
    if (text[at + 1] == '#' || !region || region->input < 0 ||
        region->input >= static_cast<std::int64_t>(kernel.inputs.size()))
      break;
    regions.push_back(*region);
    at = next;
  }
  return regions;
}

/// Both ends are packed, and whole groups of channels can be copied as they lie.
bool copies_groups(const Region& r, const Shape& input, const Shape& output, int pack) {
  if (!input.packed || !output.packed || input.extents.size() < 2 || output.extents.size() < 2) return false;
  const Extent in(input), out(output);
  if (in.place(r.from).channels % pack != 0 || out.place(r.to).channels % pack != 0) return false;
  const bool batches = in.batches > 1 || out.batches > 1;
  const auto possible = [&](const Place& last, const Extent& extent) {
    if (last.channels > 0 && last.pixels > 0 && batches) return false;  // Batches lie between channels and pixels.
    return last.channels == 0 || last.batches == 0 || last.batches + 1 == extent.batches;
  };
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (r.size[axis] <= 1) continue;
    const Place from = in.place(r.from_step[axis] * (r.size[axis] - 1));
    const Place to = out.place(r.to_step[axis] * (r.size[axis] - 1));
    if (from.channels != to.channels || !possible(from, in) || !possible(to, out)) return false;
  }
  return true;
}

/// What is read are whole groups of channels of one image, which can be read where they lie.
bool reads_groups(const Region& r, const Shape& input, int pack) {
  const Extent in(input);
  if (in.batches != 1 || in.channels % pack != 0 || in.place(r.from).channels % pack != 0) return false;
  std::int64_t channels = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) channels += in.place(r.from_step[axis] * (r.size[axis] - 1)).channels;
  return channels % pack == 0;
}

/// One region that is the whole tensor in another layout, as it is or with channels last.
bool changes_layout(const Region& r, const Shape& input, const Shape& output) {
  if (input.packed == output.packed || r.from != 0 || r.to != 0) return false;
  const Extent packed(input.packed ? input : output);
  const Extent plain(input.packed ? output : input);
  const std::int64_t copied = r.size[0] * r.size[1] * r.size[2];
  if (copied != packed.all()) return false;
  bool straight = true;
  int from_unit = -1, to_unit = -1;
  for (int axis = 0; axis < 3; ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (r.size[i] <= 1) continue;
    straight = straight && r.from_step[i] == r.to_step[i];
    if (r.from_step[i] == 1) from_unit = axis;
    if (r.to_step[i] == 1) to_unit = axis;
  }
  if (straight) return true;
  if (from_unit < 0 || to_unit < 0 || from_unit == to_unit || plain.all() != copied) return false;
  const std::int64_t a = r.size[static_cast<std::size_t>(from_unit)], b = r.size[static_cast<std::size_t>(to_unit)];
  return r.size[static_cast<std::size_t>(3 - from_unit - to_unit)] == packed.batches &&
         ((a == packed.channels && b == packed.pixels) || (a == packed.pixels && b == packed.channels));
}

}  // namespace

Needs raster_needs(const KernelText& kernel, const Traits& traits) {
  Needs needs;
  const Shape& output = kernel.outputs[0];
  const std::vector<Region> regions = regions_of(kernel);
  const auto input_of = [&](const Region& r) -> const Shape& {
    return kernel.inputs[static_cast<std::size_t>(r.input)];
  };
  const bool all_inputs_packed =
      std::all_of(kernel.inputs.begin(), kernel.inputs.end(), [](const Shape& s) { return s.packed; });
  // Where not all regions are spelled out, the others are taken to be like the first ones.
  if (!regions.empty() && all_inputs_packed && std::all_of(regions.begin(), regions.end(), [&](const Region& r) {
        return copies_groups(r, input_of(r), output, traits.pack);
      })) {
    return needs;
  }
  if (regions.size() == 1 && kernel.attributes.starts_with("regions=1 ") &&
      changes_layout(regions[0], input_of(regions[0]), output)) {
    return needs;
  }
  Shape flat = output;
  flat.packed = false;
  if (output.packed) needs.scratch.push_back(flat.bytes(traits.pack));
  for (std::size_t i = 0; i < kernel.inputs.size(); ++i) {
    const Shape& input = kernel.inputs[i];
    if (!input.packed) continue;
    const auto mine = std::find_if(regions.begin(), regions.end(),
                                   [&](const Region& r) { return r.input == static_cast<std::int64_t>(i); });
    const Region* const region = mine != regions.end() ? &*mine : regions.empty() ? nullptr : &regions.front();
    if (region == nullptr || !reads_groups(*region, input, traits.pack)) needs.unpacked.push_back(i);
  }
  return needs;
}

}  // namespace mmt::memory
