#include "kernel/signature.h"

#include <algorithm>
#include <unordered_map>

#include "mmt/hash.h"

namespace mmt {
namespace {

constexpr std::size_t kRegionsSpelledOut = 3;

std::string shape_text(const TensorDesc& tensor) {
  std::string text = "[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) text += (i ? "," : "") + std::to_string(tensor.shape[i]);
  text += "]";
  if (tensor.layout == Layout::kNc4hw4) text += "c4";
  if (tensor.layout == Layout::kNhwc) text += "nhwc";
  if (tensor.dtype != "float32") text += tensor.dtype;
  return text;
}

std::string triple(const int values[3]) {
  return std::to_string(values[0]) + "x" + std::to_string(values[1]) + "x" + std::to_string(values[2]);
}

/// How far apart elements lie; 0 along extents of 1, where the engine's own figures are anything.
std::string strides(const int values[3], const int size[3]) {
  const int known[3] = {size[0] > 1 ? values[0] : 0, size[1] > 1 ? values[1] : 0, size[2] > 1 ? values[2] : 0};
  return triple(known);
}

/// Copies are told apart by their sizes, strides and offsets: those decide whether the engine can copy whole blocks.
std::string regions_text(const KernelDesc& kernel) {
  std::unordered_map<std::int64_t, std::size_t> position;
  for (std::size_t i = 0; i < kernel.inputs.size(); ++i) position.emplace(kernel.inputs[i].id, i);
  std::vector<std::string> texts;
  texts.reserve(kernel.regions.size());
  for (const RegionDesc& region : kernel.regions) {
    const auto it = position.find(region.origin);
    texts.push_back((it == position.end() ? "?" : std::to_string(it->second)) + ":" + triple(region.size) + "@" +
                    std::to_string(region.src_offset) + "/" + strides(region.src_stride, region.size) + ">" +
                    std::to_string(region.dst_offset) + "/" + strides(region.dst_stride, region.size));
  }
  if (texts.empty()) return "";
  std::string text = "regions=" + std::to_string(texts.size());
  std::string all;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    all += texts[i] + ";";
    if (i < kRegionsSpelledOut) text += " " + texts[i];
  }
  if (texts.size() > kRegionsSpelledOut) text += " #" + identity_hex(all).substr(0, 8);
  return text;
}

std::string attributes_text(const KernelDesc& kernel, const mnn::OpNode* origin, bool derived) {
  if (kernel.type == "Raster") return regions_text(kernel);
  if (origin == nullptr) return "";
  if (!derived) return origin->attributes;
  // A derived kernel's own parameters live only inside the engine; they follow from the operator that it was made of.
  return "of_op=" + std::to_string(origin->type) + (origin->attributes.empty() ? "" : "," + origin->attributes);
}

}  // namespace

std::int64_t tensor_bytes(const TensorDesc& tensor) {
  std::int64_t elements = 1;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t extent = std::max(tensor.shape[i], 0);
    if (i == 1 && tensor.layout == Layout::kNc4hw4) extent = (extent + 3) / 4 * 4;
    elements *= extent;
  }
  const bool narrow = tensor.dtype == "int8" || tensor.dtype == "uint8";
  const bool wide = tensor.dtype == "int64" || tensor.dtype == "float64";
  return elements * (narrow ? 1 : wide ? 8 : 4);
}

const mnn::OpNode* find_origin(const mnn::Graph& graph, const std::string& kernel_name, bool* derived) {
  *derived = false;
  if (const int index = graph.find(kernel_name); index >= 0) return &graph.ops[static_cast<std::size_t>(index)];
  const std::size_t cut = kernel_name.rfind("_raster_");
  if (cut == std::string::npos || cut == 0) return nullptr;
  *derived = true;
  const int index = graph.find(kernel_name.substr(0, cut));
  return index < 0 ? nullptr : &graph.ops[static_cast<std::size_t>(index)];
}

KernelSignature make_signature(const KernelDesc& kernel, const mnn::OpNode* origin, bool derived) {
  KernelSignature signature;
  signature.type = kernel.type;
  signature.attributes = attributes_text(kernel, origin, derived);
  std::string text = kernel.type;
  if (!signature.attributes.empty()) text += "{" + signature.attributes + "}";
  for (const TensorDesc& input : kernel.inputs) {
    text += " " + shape_text(input);
    signature.input_bytes += tensor_bytes(input);
  }
  text += " ->";
  for (const TensorDesc& output : kernel.outputs) {
    text += " " + shape_text(output);
    signature.output_bytes += tensor_bytes(output);
  }
  if (origin != nullptr && !derived) signature.weight_bytes = origin->constant_bytes;
  signature.key = identity_hex(text);
  signature.text = std::move(text);
  return signature;
}

}  // namespace mmt
