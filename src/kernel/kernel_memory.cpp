#include "mmt/kernel_memory.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "kernel/raster_memory.h"

namespace mmt::memory {
namespace {

constexpr int kFloat = 4;
// A matrix multiplication is cut recursively at most this often.
constexpr int kDeepest = 5;
// One part of a multiplication keeps its operands within this many numbers.
constexpr int kOperandNumbers = 32768;

std::int64_t divided(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }
std::int64_t rounded(std::int64_t value, std::int64_t to) { return divided(value, to) * to; }

Shape parse_shape(std::string_view word) {
  Shape shape;
  std::int64_t elements = 1;
  const std::size_t end = std::min(word.find(']'), word.size());  // Without its end: what a damaged table holds of it.
  std::size_t at = 1;
  while (at < end) {
    std::int64_t extent = 0;
    const auto [next, error] = std::from_chars(word.data() + at, word.data() + end, extent);
    if (error != std::errc() || !grows_within_memory(elements, extent)) break;
    shape.extents.push_back(extent);
    at = static_cast<std::size_t>(next - word.data()) + 1;
  }
  std::string_view rest = word.substr(std::min(end + 1, word.size()));
  if (rest.starts_with("c4")) {
    shape.packed = true;
    rest.remove_prefix(2);
  } else if (rest.starts_with("nhwc")) {
    rest.remove_prefix(4);
  }
  if (rest == "int8" || rest == "uint8" || rest == "bool") shape.element_bytes = 1;
  return shape;
}

/// Scratch of one multiplication of an e × l by an l × h matrix, split by Strassen's rule while that saves time.
void multiply(std::int64_t e, std::int64_t l, std::int64_t h, int depth, const Traits& t,
              std::vector<std::int64_t>& scratch) {
  const auto plain = [&](std::int64_t columns, std::int64_t rows) {
    std::int64_t limit = kOperandNumbers / (std::min<std::int64_t>(t.tile, columns) + t.rows);
    if (l <= limit) {
      scratch.push_back(l * t.tile * kFloat);
      return;
    }
    limit = std::max<std::int64_t>(limit / t.pack * t.pack, t.pack);
    scratch.push_back(columns * rounded(rows, t.pack) * kFloat);
    for (std::int64_t from = 0; from < l; from += limit) scratch.push_back(std::min(limit, l - from) * t.tile * kFloat);
  };
  const int unit = std::max(t.rows, t.pack);
  const std::int64_t half_e = e / t.tile / 2 * t.tile, half_h = h / unit / 2 * unit, half_l = l / 2;
  bool whole = depth >= kDeepest || half_e == 0 || half_h == 0 || l % (2 * t.pack) != 0 ||
               l % (2 * std::max(1, t.pack / t.rows)) != 0;
  if (!whole) {
    const double rows = static_cast<double>(half_h / t.rows) * t.rows;
    const double extra = 4.0 * static_cast<double>(half_e * half_l) + 4.0 * static_cast<double>(half_l) * rows +
                         7.0 * static_cast<double>(half_e * half_h);
    const double saved =
        static_cast<double>(e / t.tile) * (static_cast<double>(t.tile * half_h) + static_cast<double>(half_l * t.tile) +
                                           static_cast<double>(half_l) * rows);
    whole = saved - 1.5 * extra <= 0;
  }
  if (whole) {
    plain(e, h);
    return;
  }
  scratch.push_back(half_h * half_l * kFloat);
  scratch.push_back(std::max(half_l, half_h) * half_e * kFloat);
  for (int part = 0; part < 7; ++part) multiply(half_e, half_l, half_h, depth + 1, t, scratch);
  if (const std::int64_t rest = h - 2 * half_h; rest > 0) plain(2 * half_e, rest);
  if (const std::int64_t rest = e - 2 * half_e; rest > 0) plain(rest, h);
}

struct Convolution {
  std::int64_t in, out, out_h, out_w, in_h, in_w, batch;
  int kernel_x, kernel_y, stride_x, stride_y, dilate_x, dilate_y;

  explicit Convolution(const KernelText& k)
      : in(k.inputs[0].extent(1)),
        out(k.outputs[0].extent(1)),
        out_h(k.outputs[0].extent(2)),
        out_w(k.outputs[0].extent(3)),
        in_h(k.inputs[0].extent(2)),
        in_w(k.inputs[0].extent(3)),
        batch(k.inputs[0].extent(0)),
        kernel_x(k.attribute("kernel_x", 1)),
        kernel_y(k.attribute("kernel_y", 1)),
        stride_x(k.attribute("stride_x", 1)),
        stride_y(k.attribute("stride_y", 1)),
        dilate_x(k.attribute("dilate_x", 1)),
        dilate_y(k.attribute("dilate_y", 1)) {}

  bool is_pointwise() const {
    return kernel_x == 1 && kernel_y == 1 && stride_x == 1 && stride_y == 1 && in_h == out_h && in_w == out_w;
  }
};

/// Edge of the output tile that the engine's Winograd form takes, 0: it computes the convolution directly.
int winograd_unit(const Convolution& c, const Traits& t) {
  const bool possible = c.kernel_x == c.kernel_y && c.kernel_x > 1 && c.kernel_x <= 7 && c.stride_x == 1 &&
                        c.stride_y == 1 && c.dilate_x == 1 && c.dilate_y == 1;
  if (!possible) return 0;
  const double edge = std::sqrt(static_cast<double>(divided(c.out_w * c.out_h, t.threads)));
  const int largest = std::clamp(static_cast<int>(edge), 2, 8);
  const double in = static_cast<double>(c.in), out = static_cast<double>(c.out);
  const double direct = static_cast<double>(c.out_w * c.out_h) * 2.0 * in * out * c.kernel_x * c.kernel_x;
  double best = 1.0;
  int unit = 0;
  for (int u = 2; u <= largest; ++u) {
    const int alpha = u + c.kernel_x - 1;
    if (alpha != 4 && alpha != 6 && alpha != 8) continue;
    const double a = alpha;
    const double cost = (2 * a * a * a * in + 2 * a * a * in * out + (a + u) * u * 2 * a * out) *
                        static_cast<double>(divided(c.out_w, u) * divided(c.out_h, u));
    if (direct / cost > best) {
      best = direct / cost;
      unit = u;
    }
  }
  return unit;
}

Needs depthwise(const Convolution& c, const Traits& t) {
  const std::int64_t width = std::max(c.in_w, (c.out_w - 1) * c.stride_x + (c.kernel_x - 1) * c.dilate_x + 1);
  const std::int64_t height = std::max(c.in_h, (c.out_h - 1) * c.stride_y + (c.kernel_y - 1) * c.dilate_y + 1);
  const std::int64_t workers = std::min<std::int64_t>(t.threads, c.batch * divided(c.out, t.pack));
  const std::int64_t channels = rounded(c.out, t.pack);
  return {{channels * c.kernel_x * c.kernel_y * kFloat, channels * kFloat},
          {},
          0,
          {workers * width * height * t.pack * kFloat}};
}

Needs convolution(const Convolution& c, const Traits& t) {
  const std::int64_t bias = rounded(c.out, t.pack) * kFloat;
  const std::int64_t rows = rounded(c.out, t.rows);
  if (c.is_pointwise()) {
    Needs needs{{bias, rows * c.in * kFloat}, {}, 0, {}};
    const std::int64_t pixels = c.out_h * c.out_w * c.batch;
    const bool by_pixels = pixels > 8LL * t.tile * t.threads && pixels > divided(c.out, t.pack);
    for (int thread = 0; thread < t.threads; ++thread) {
      multiply(by_pixels ? divided(pixels, t.threads) : pixels, c.in, by_pixels ? c.out : divided(c.out, t.threads), 0,
               t, needs.scratch);
    }
    return needs;
  }
  if (const int unit = winograd_unit(c, t); unit > 0) {
    const std::int64_t alpha = unit + c.kernel_x - 1, in = divided(c.in, t.pack), out = divided(c.out, t.pack);
    const std::int64_t points = alpha * alpha;
    return {
        {bias, points * rows * c.in * kFloat},
        {},
        points * rows * c.in * kFloat,
        {t.threads * t.tile * (in + out) * t.pack * points * kFloat, t.threads * alpha * t.tile * in * t.pack * kFloat,
         t.threads * (1 + in * t.tile) * points * t.pack * kFloat}};
  }
  const std::int64_t taps = c.in * c.kernel_x * c.kernel_y;
  constexpr std::int64_t kPointerBytes = 24;  // Of every row of the image that a tile touches, per tap.
  return {{bias, rows * taps * kFloat},
          {c.out * taps * kFloat},
          0,
          {t.threads * taps * t.tile * kFloat, t.threads * c.kernel_x * c.kernel_y *
                                                   (divided(t.tile, std::max<std::int64_t>(c.out_w, 1)) + 1) *
                                                   kPointerBytes}};
}

/// How often a run reads all weights of the convolution: once for each tile of a matrix multiplication.
std::int64_t passes_over_weights(const Convolution& c, const Traits& t) {
  const std::int64_t unit = c.is_pointwise() ? 0 : winograd_unit(c, t);
  const std::int64_t columns = unit > 0 ? c.batch * divided(c.out_h, unit) * divided(c.out_w, unit)  // Tiles.
                                        : c.batch * c.out_h * c.out_w;
  return divided(columns, t.tile);
}

}  // namespace

bool grows_within_memory(std::int64_t& elements, std::int64_t extent) {
  constexpr std::int64_t kMost = std::int64_t{1} << 48;
  if (extent < 0 || elements > kMost / std::max<std::int64_t>(extent, 1)) return false;
  elements *= std::max<std::int64_t>(extent, 1);
  return true;
}

std::int64_t Shape::bytes(int pack) const {
  std::int64_t elements = 1;
  for (std::size_t i = 0; i < extents.size(); ++i)
    elements *= packed && i == 1 ? rounded(extents[i], pack) : extents[i];
  return elements * element_bytes;
}

KernelText KernelText::parse(std::string_view type, std::string_view attributes, std::string_view text,
                             std::int64_t weight_bytes) {
  KernelText kernel;
  kernel.type = type;
  kernel.attributes = attributes;
  kernel.weight_bytes = weight_bytes;
  std::size_t at = type.size() + (attributes.empty() ? 0 : attributes.size() + 2);
  bool outputs = false;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (word == "->") {
      outputs = true;
    } else if (word.starts_with('[')) {
      (outputs ? kernel.outputs : kernel.inputs).push_back(parse_shape(word));
    }
    at = end + 1;
  }
  return kernel;
}

int KernelText::attribute(std::string_view name, int fallback) const {
  std::size_t at = 0;
  while (at < attributes.size()) {
    const std::size_t end = std::min(attributes.find(',', at), attributes.size());
    const std::string_view item = std::string_view(attributes).substr(at, end - at);
    if (item.size() > name.size() && item.starts_with(name) && item[name.size()] == '=') {
      int value = fallback;
      std::from_chars(item.data() + name.size() + 1, item.data() + item.size(), value);
      return value;
    }
    at = end + 1;
  }
  return fallback;
}

Needs needs_of(const KernelText& kernel, const Traits& traits) {
  if (kernel.outputs.empty() || kernel.inputs.empty()) return {};
  if (kernel.type == "ConvolutionDepthwise") return depthwise(Convolution(kernel), traits);
  // With weights as a second input they are not the session's own.
  if (kernel.type == "Convolution" && kernel.weight_bytes > 0) return convolution(Convolution(kernel), traits);
  if (kernel.type == "Raster") return raster_needs(kernel, traits);
  Needs needs;
  if (kernel.weight_bytes > 0) needs.kept.push_back(kernel.weight_bytes);
  return needs;
}

}  // namespace mmt::memory

namespace mmt {

std::int64_t kept_weight_bytes(const KernelSignature& kernel, int threads) {
  memory::Traits traits;
  traits.threads = std::max(threads, 1);
  const auto text = memory::KernelText::parse(kernel.type, kernel.attributes, kernel.text, kernel.weight_bytes);
  const memory::Needs needs = memory::needs_of(text, traits);
  return std::max(kernel.weight_bytes, std::accumulate(needs.kept.begin(), needs.kept.end(), std::int64_t{0}));
}

bool rereads_weights(const KernelSignature& kernel) {
  constexpr memory::Traits kUsual{8, 24, 4, 1};  // Of processors with AVX2.
  if (kernel.type != "Convolution" || kernel.weight_bytes <= 0) return false;
  const auto text = memory::KernelText::parse(kernel.type, kernel.attributes, kernel.text, kernel.weight_bytes);
  if (text.inputs.empty() || text.outputs.empty()) return false;
  return memory::passes_over_weights(memory::Convolution(text), kUsual) > 1;
}

namespace {
bool are_most(double weights, const KernelSignature& kernel) {
  constexpr double kMostly = 0.6;
  return weights > 0 && weights > kMostly * (weights + static_cast<double>(kernel.output_bytes));
}
}  // namespace

bool is_mostly_weights(const KernelSignature& kernel) {
  // A convolution over more than one pixel works in scratch memory, which in a model is shared by all of them and hot,
  // while each operator has its own.
  if (rereads_weights(kernel)) return false;
  return are_most(static_cast<double>(kernel.weight_bytes), kernel);
}

bool is_mostly_reread_weights(const KernelSignature& kernel, int threads) {
  return rereads_weights(kernel) && are_most(static_cast<double>(kept_weight_bytes(kernel, threads)), kernel);
}

}  // namespace mmt
