#include "predict/estimate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace mmt {
namespace {

constexpr int kNeighbours = 8;
// Bytes per microsecond that a plain copy reaches anywhere; the floor of an estimate with nothing to compare with.
constexpr double kSlowCopyBytesPerUs = 4000.0;
constexpr double kSmallestKernelUs = 0.5;

/// Engine types that a function of a trace is most likely to become.
std::string engine_type(const PlanKernel& kernel) {
  const std::string& type = kernel.signature.type;
  static constexpr std::array<std::pair<const char*, const char*>, 16> kTypes = {{
      {"conv_transpose", "Deconvolution"},
      {"conv", "Convolution"},
      {"linear", "Convolution"},
      {"add", "BinaryOp"},
      {"sub", "BinaryOp"},
      {"mul", "BinaryOp"},
      {"div", "BinaryOp"},
      {"pool", "Pooling"},
      {"mean", "Reduction"},
      {"sum", "Reduction"},
      {"relu", "ReLU"},
      {"matmul", "MatMul"},
      {"bmm", "MatMul"},
      {"softmax", "Softmax"},
      {"norm", "LayerNorm"},
      {"interpolate", "Resize"},
  }};
  if (!type.empty() && type.front() >= 'A' && type.front() <= 'Z') return type;  // Already the engine's.
  for (const auto& [word, engine] : kTypes) {
    if (type.find(word) != std::string::npos) return engine;
  }
  return type.find("sigmoid") != std::string::npos || type.find("swish") != std::string::npos ||
                 type.find("elu") != std::string::npos
             ? "UnaryOp"
             : "Raster";
}

/// Elements behind the channel axis of the first shape after "->": the positions that a convolution's weights visit.
double output_positions(const std::string& text) {
  const std::size_t arrow = text.rfind("-> [");
  if (arrow == std::string::npos) return 0;
  double positions = 1;
  int axis = 0;
  std::size_t at = arrow + 4;
  while (at < text.size() && text[at] != ']') {
    std::size_t used = 0;
    const double extent = std::stod(text.substr(at), &used);
    if (axis != 1) positions *= extent;
    ++axis;
    at += used;
    if (at < text.size() && text[at] == ',') ++at;
  }
  return positions;
}

}  // namespace

double kernel_work(const std::string& type, const std::string& text, double weight_bytes, double input_bytes,
                   double output_bytes) {
  if (type.starts_with("Conv") && weight_bytes > 0) {
    const double positions = output_positions(text);
    if (positions > 0) return weight_bytes / 4 * positions;
  }
  return std::max(input_bytes + output_bytes, 1.0);
}

namespace {

struct Neighbour {
  double distance;
  double hot_us, cold_us;
  std::string text;
};

/// Rows of `type`, each scaled to `work` and with how unlike `wanted` it is.
std::vector<Neighbour> neighbours_of(const KernelSignature& wanted, const std::string& type, double work,
                                     LatencyTable& table) {
  std::vector<Neighbour> neighbours;
  for (const KernelRow& row : table.similar_kernels(type, wanted.attributes, 256)) {
    if (row.hot_us <= 0) continue;
    const double row_work = kernel_work(row.type, row.text, static_cast<double>(row.weight_bytes),
                                        static_cast<double>(row.input_bytes), static_cast<double>(row.output_bytes));
    const double ratio = work / std::max(row_work, 1.0);
    const auto apart = [](double a, double b) { return std::abs(std::log((a + 64) / (b + 64))); };
    double distance = std::abs(std::log(ratio)) +
                      0.5 * apart(static_cast<double>(wanted.output_bytes), static_cast<double>(row.output_bytes)) +
                      0.5 * apart(static_cast<double>(wanted.input_bytes), static_cast<double>(row.input_bytes));
    if (row.attributes != wanted.attributes) distance += 1.0;
    // Time grows a little slower than work: every kernel has a part that does not depend on its size.
    const double scale = std::pow(ratio, 0.95);
    neighbours.push_back({distance, row.hot_us * scale, row.cold_us * scale, row.text});
  }
  return neighbours;
}

/// The nearest ones' times, the nearer the more.
Estimate mean_of_nearest(std::vector<Neighbour> neighbours) {
  std::sort(neighbours.begin(), neighbours.end(),
            [](const Neighbour& a, const Neighbour& b) { return a.distance < b.distance; });
  const std::size_t count = std::min<std::size_t>(kNeighbours, neighbours.size());
  double weights = 0, hot = 0, cold = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double weight = 1.0 / (0.05 + neighbours[i].distance * neighbours[i].distance);
    weights += weight;
    hot += weight * std::log(neighbours[i].hot_us);
    cold += weight * std::log(std::max(neighbours[i].cold_us, 1e-3));
  }
  return {std::exp(hot / weights), std::exp(cold / weights), neighbours.front().text};
}

// Types that do little else than moving their bytes, at about the same speed.
constexpr std::array<std::string_view, 8> kMovingTypes = {"ReLU",  "ReLU6",     "BinaryOp", "UnaryOp",
                                                          "Scale", "BatchNorm", "Pooling",  "Raster"};

// A depthwise convolution loads both factors for each product; per product it took 2.5 to 4 times what others took.
constexpr double kDepthwiseSlower = 4.0;

/// Nothing of its type is in the table: it moves its bytes as other types do, and a convolution multiplies at best as
/// fast as others do.
Estimate estimate_by_other_types(const KernelSignature& wanted, const std::string& type, double work,
                                 LatencyTable& table) {
  const double bytes =
      std::max(static_cast<double>(wanted.input_bytes + wanted.output_bytes + wanted.weight_bytes), 1.0);
  const double slow_us = std::max(kSmallestKernelUs, bytes / kSlowCopyBytesPerUs);
  const bool multiplies = type.starts_with("Conv");
  std::vector<Neighbour> moving;
  if (multiplies || std::find(kMovingTypes.begin(), kMovingTypes.end(), type) != kMovingTypes.end()) {
    for (const std::string_view other : kMovingTypes) {
      const std::vector<Neighbour> found = neighbours_of(wanted, std::string(other), bytes, table);
      moving.insert(moving.end(), found.begin(), found.end());
    }
  }
  Estimate estimate = moving.empty() ? Estimate{slow_us, slow_us, ""} : mean_of_nearest(std::move(moving));
  if (!multiplies) return estimate;
  if (auto convolutions = neighbours_of(wanted, "Convolution", work, table); !convolutions.empty()) {
    Estimate least = mean_of_nearest(std::move(convolutions));
    const double slower = type == "ConvolutionDepthwise" ? kDepthwiseSlower : 1.0;
    least.hot_us *= slower;
    least.cold_us *= slower;
    if (least.hot_us > estimate.hot_us) estimate = least;
  }
  return estimate;
}

}  // namespace

Estimate estimate_kernel(const PlanKernel& kernel, LatencyTable& table) {
  const KernelSignature& wanted = kernel.signature;
  const std::string type = engine_type(kernel);
  const double work =
      kernel.mflops > 0 && type.starts_with("Conv")
          ? kernel.mflops * 1e6 / 2
          : kernel_work(type, wanted.text, static_cast<double>(wanted.weight_bytes),
                        static_cast<double>(wanted.input_bytes), static_cast<double>(wanted.output_bytes));
  std::vector<Neighbour> neighbours = neighbours_of(wanted, type, work, table);
  if (neighbours.empty()) return estimate_by_other_types(wanted, type, work, table);
  return mean_of_nearest(std::move(neighbours));
}

}  // namespace mmt
