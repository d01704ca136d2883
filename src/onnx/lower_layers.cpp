// Convolution, linear, normalization, pooling, attention, resampling: as PyTorch's exporter writes them.
#include <cmath>
#include <cstring>
#include <limits>

#include "onnx/lowering.h"

namespace mmt::onnx {
namespace {

Shape tail(const Shape& shape, std::size_t from) {
  return Shape(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end());
}

std::vector<float> floats(std::string_view data) {
  std::vector<float> values(data.size() / sizeof(float));
  std::memcpy(values.data(), data.data(), data.size());
  return values;
}

std::string bytes(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

/// Weight and bias of a convolution with a batch norm in them.
std::vector<std::string> folded_weights(Call& c, const TraceNode& norm) {
  Lowering& lowering = c.lowering();
  const auto channels = static_cast<std::size_t>(c.shape(1)[0]);
  const auto vector_of = [&](std::size_t input, float otherwise) {
    return norm.inputs[input] < 0 ? std::vector<float>(channels, otherwise)
                                  : floats(lowering.constant_data(norm.inputs[input]));
  };
  const std::vector<float> mean = vector_of(1, 0), variance = vector_of(2, 1), scale = vector_of(3, 1),
                           shift = vector_of(4, 0);
  std::vector<float> weight = floats(c.data(1));
  std::vector<float> bias = c.has(2) ? floats(c.data(2)) : std::vector<float>(channels, 0.0f);
  const auto eps = static_cast<float>(Json::parse(norm.arguments_json).at("eps").get<double>());
  const std::size_t per_channel = channels == 0 ? 0 : weight.size() / channels;
  for (std::size_t channel = 0; channel < channels; ++channel) {
    const float factor = scale[channel] / std::sqrt(variance[channel] + eps);
    for (std::size_t i = 0; i < per_channel; ++i) weight[channel * per_channel + i] *= factor;
    bias[channel] = (bias[channel] - mean[channel]) * factor + shift[channel];
  }
  return {lowering.constant("weight", "float32", c.shape(1), bytes(weight)),
          lowering.constant("bias", "float32", {c.shape(1)[0]}, bytes(bias))};
}

void conv(Call& c) {
  std::vector<std::string> inputs{c.in(0)};
  if (const TraceNode* norm = c.lowering().folded_into(c.index())) {
    for (std::string& name : folded_weights(c, *norm)) inputs.push_back(std::move(name));
  } else {
    inputs.push_back(c.in(1));
    if (c.has(2)) inputs.push_back(c.in(2));
  }
  c.emit("Conv", inputs,
         {{"dilations", c.list("dilation")},
          {"group", c.integer("groups")},
          {"kernel_shape", tail(c.shape(1), 2)},
          {"pads", c.list("padding")},
          {"strides", c.list("stride")}});
}

void conv_transpose(Call& c) {
  std::vector<std::string> inputs{c.in(0), c.in(1)};
  if (c.has(2)) inputs.push_back(c.in(2));
  std::vector<Attribute> attributes{
      {"dilations", c.list("dilation")}, {"group", c.integer("groups")}, {"kernel_shape", tail(c.shape(1), 2)}};
  const Shape extra = c.list("output_padding");
  for (const std::int64_t size : extra) {
    if (size != 0) {
      attributes.emplace_back("output_padding", extra);
      break;
    }
  }
  attributes.emplace_back("pads", c.list("padding"));
  attributes.emplace_back("strides", c.list("stride"));
  c.emit("ConvTranspose", inputs, attributes);
}

/// A constant matrix with rows and columns exchanged, as a new constant.
std::string transposed(Call& c, std::size_t input) {
  const Shape& shape = c.shape(input);
  const std::string_view data = c.data(input);
  const auto rows = static_cast<std::size_t>(shape[0]);
  const auto columns = static_cast<std::size_t>(shape[1]);
  const std::size_t size = element_size(c.dtype(input));
  std::string result(data.size(), '\0');
  constexpr std::size_t kBlock = 32;  // both sides of a block stay in the first-level cache
  for (std::size_t r0 = 0; r0 < rows; r0 += kBlock) {
    for (std::size_t c0 = 0; c0 < columns; c0 += kBlock) {
      for (std::size_t r = r0; r < std::min(r0 + kBlock, rows); ++r) {
        for (std::size_t k = c0; k < std::min(c0 + kBlock, columns); ++k) {
          std::memcpy(result.data() + (k * rows + r) * size, data.data() + (r * columns + k) * size, size);
        }
      }
    }
  }
  return c.lowering().constant("weight", c.dtype(input), {shape[1], shape[0]}, std::move(result));
}

void linear(Call& c) {
  if (c.rank() == 2 && c.has(2)) {
    c.emit("Gemm", {c.in(0), c.in(1), c.in(2)}, {{"alpha", 1.0}, {"beta", 1.0}, {"transB", 1}});
    return;
  }
  const std::string weight =
      c.is_constant(1) ? transposed(c, 1) : c.step("Transpose", {c.in(1)}, {{"perm", Shape{1, 0}}});
  if (!c.has(2)) {
    c.emit("MatMul", {c.in(0), weight});
    return;
  }
  const std::string product = c.step("MatMul", {c.in(0), weight});
  c.emit("Add", {c.in(2), product});
}

void embedding(Call& c) { c.emit("Gather", {c.in(1), c.in(0)}); }

void batch_norm(Call& c) {
  const std::int64_t channels = c.shape(1)[0];
  const std::string weight = c.has(3) ? c.in(3) : c.lowering().filled(channels, 1.0f);
  const std::string bias = c.has(4) ? c.in(4) : c.lowering().filled(channels, 0.0f);
  c.emit("BatchNormalization", {c.in(0), weight, bias, c.in(1), c.in(2)},
         {{"epsilon", c.real("eps")}, {"momentum", 0.9}, {"training_mode", 0}});
}

void instance_norm(Call& c) {
  const std::int64_t channels = c.shape()[1];
  const std::string weight = c.has(1) ? c.in(1) : c.lowering().filled(channels, 1.0f);
  const std::string bias = c.has(2) ? c.in(2) : c.lowering().filled(channels, 0.0f);
  c.emit("InstanceNormalization", {c.in(0), weight, bias}, {{"epsilon", c.real("eps")}});
}

std::string ones_or_zeros(Call& c, const Shape& shape, float value) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  if (shape.size() == 1) return c.lowering().filled(count, value);
  const std::vector<float> values(static_cast<std::size_t>(count), value);
  return c.lowering().constant("filled", "float32", shape, bytes(values));
}

void layer_norm(Call& c) {
  const Shape shape = c.list("shape");
  const std::string weight = c.has(1) ? c.in(1) : ones_or_zeros(c, shape, 1.0f);
  const std::string bias = c.has(2) ? c.in(2) : ones_or_zeros(c, shape, 0.0f);
  c.emit("LayerNormalization", {c.in(0), weight, bias},
         {{"axis", -static_cast<std::int64_t>(shape.size())}, {"epsilon", c.real("eps")}});
}

void rms_norm(Call& c) {
  Shape axes;
  for (std::size_t i = 0; i < c.list("shape").size(); ++i) axes.insert(axes.begin(), -1 - static_cast<std::int64_t>(i));
  const std::string squared = c.step("Pow", {c.in(0), c.scalar(2.0)});
  const std::string mean = c.step("ReduceMean", {squared}, {{"axes", axes}, {"keepdims", 1}});
  const std::string shifted = c.step("Add", {mean, c.scalar(c.real("eps"))});
  const std::string root = c.step("Sqrt", {shifted});
  const std::string inverse = c.step("Div", {c.scalar(1.0), root});
  if (!c.has(1)) {
    c.emit("Mul", {c.in(0), inverse});
    return;
  }
  const std::string normalized = c.step("Mul", {c.in(0), inverse});
  c.emit("Mul", {normalized, c.in(1)});
}

/// A constant vector of one number per channel, shaped so that it broadcasts over the axes behind the channels.
std::string per_channel(Call& c, std::size_t input, std::int64_t rank) {
  Shape shape{c.shape(input)[0]};
  shape.resize(static_cast<std::size_t>(rank - 1), 1);
  return c.lowering().constant("channels", c.dtype(input), shape, std::string(c.data(input)));
}

void group_norm(Call& c) {
  if ((c.has(1) && !c.is_constant(1)) || (c.has(2) && !c.is_constant(2))) c.unsupported("weight or bias is computed");
  const std::int64_t groups = c.integer("groups");
  const std::string grouped = c.step("Reshape", {c.in(0), c.ints({0, groups, -1})}, {{"allowzero", 0}});
  const std::string normalized =
      c.step("InstanceNormalization", {grouped, c.lowering().filled(groups, 1.0f), c.lowering().filled(groups, 0.0f)},
             {{"epsilon", c.real("eps")}});
  if (!c.has(1) && !c.has(2)) {
    c.emit("Reshape", {normalized, c.ints(c.shape())}, {{"allowzero", 0}});
    return;
  }
  std::string result = c.step("Reshape", {normalized, c.ints(c.shape())}, {{"allowzero", 0}});
  if (c.has(1)) {
    const std::string weight = per_channel(c, 1, c.rank());
    if (!c.has(2)) {
      c.emit("Mul", {result, weight});
      return;
    }
    result = c.step("Mul", {result, weight});
  }
  c.emit("Add", {result, per_channel(c, 2, c.rank())});
}

void max_pool(Call& c) {
  c.emit("MaxPool", {c.in(0)},
         {{"ceil_mode", c.flag("ceil_mode")},
          {"dilations", c.list("dilation")},
          {"kernel_shape", c.list("kernel")},
          {"pads", c.list("padding")},
          {"strides", c.list("stride")}});
}

void avg_pool(Call& c) {
  if (c.given("divisor")) c.unsupported("divisor_override is set");
  c.emit("AveragePool", {c.in(0)},
         {{"ceil_mode", c.flag("ceil_mode")},
          {"count_include_pad", c.flag("count_include_pad")},
          {"kernel_shape", c.list("kernel")},
          {"pads", c.list("padding")},
          {"strides", c.list("stride")}});
}

/// Kernel (and stride) of the pooling that an adaptive one equals.
Shape adaptive_kernel(Call& c) {
  const Shape size = c.list("size");
  Shape kernel;
  for (std::size_t i = 0; i < size.size(); ++i) {
    const std::int64_t length = c.shape()[i + 2];
    if (size[i] == 0 || length % size[i] != 0) c.unsupported("the output size does not divide the input size");
    kernel.push_back(length / size[i]);
  }
  return kernel;
}

void adaptive_avg_pool(Call& c) {
  const Shape size = c.list("size");
  bool global = true;
  for (const std::int64_t length : size) global = global && length == 1;
  if (global) {
    c.emit("GlobalAveragePool", {c.in(0)});
    return;
  }
  const Shape kernel = adaptive_kernel(c);
  c.emit("AveragePool", {c.in(0)}, {{"kernel_shape", kernel}, {"strides", kernel}});
}

void adaptive_max_pool(Call& c) {
  const Shape kernel = adaptive_kernel(c);
  c.emit("MaxPool", {c.in(0)}, {{"kernel_shape", kernel}, {"pads", Shape(kernel.size() * 2, 0)}, {"strides", kernel}});
}

/// [rows, columns] of 0 where a query may look and minus infinity where not.
std::string causal_mask(Call& c, std::int64_t rows, std::int64_t columns) {
  std::vector<float> mask(static_cast<std::size_t>(rows * columns), 0.0f);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = r + 1; k < columns; ++k) {
      mask[static_cast<std::size_t>(r * columns + k)] = -std::numeric_limits<float>::infinity();
    }
  }
  return c.lowering().constant("causal", "float32", {rows, columns}, bytes(mask));
}

void attention(Call& c) {
  const std::int64_t rank = c.rank(1);
  Shape order;
  for (std::int64_t i = 0; i < rank; ++i) order.push_back(i);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  const std::string key = c.step("Transpose", {c.in(1)}, {{"perm", order}});
  const std::string root = c.scalar(std::sqrt(c.real("scale")));  // half of the scale on each side, as torch does
  const std::string query = c.step("Mul", {c.in(0), root});
  const std::string scaled_key = c.step("Mul", {key, root});
  std::string scores = c.step("MatMul", {query, scaled_key});
  if (c.flag("causal")) {
    scores =
        c.step("Add", {scores, causal_mask(c, c.shape(0)[c.shape(0).size() - 2], c.shape(1)[c.shape(1).size() - 2])});
  } else if (c.has(3)) {
    std::string mask = c.in(3);
    if (c.dtype(3) == "bool") {
      mask = c.step("Where", {mask, c.scalar(0.0), c.scalar(-std::numeric_limits<double>::infinity())});
    }
    scores = c.step("Add", {scores, mask});
  }
  const std::string weights = c.step("Softmax", {scores}, {{"axis", -1}});
  c.emit("MatMul", {weights, c.in(2)});
}

void interpolate(Call& c) {
  const std::string mode = c.text("mode");
  const bool align = c.flag("align_corners");
  std::string onnx_mode;
  if (mode == "nearest") {
    onnx_mode = "nearest";
  } else if (mode == "linear" || mode == "bilinear" || mode == "trilinear") {
    onnx_mode = "linear";
  } else if (mode == "bicubic") {
    onnx_mode = "cubic";
  } else {
    c.unsupported("mode " + mode);
  }
  const std::string coordinates = mode == "nearest" ? "asymmetric" : align ? "align_corners" : "half_pixel";
  std::vector<std::string> inputs{c.in(0), ""};
  if (c.given("scale")) {
    std::vector<float> scales{1.0f, 1.0f};
    for (const Json& scale : c.argument("scale")) scales.push_back(scale.get<float>());
    inputs.push_back(
        c.lowering().constant("scales", "float32", {static_cast<std::int64_t>(scales.size())}, bytes(scales)));
  } else {
    inputs.insert(inputs.end(), {"", c.ints(c.out_shape())});
  }
  c.emit("Resize", inputs,
         {{"coordinate_transformation_mode", coordinates},
          {"cubic_coeff_a", -0.75},
          {"mode", onnx_mode},
          {"nearest_mode", "floor"}});
}

void grid_sample(Call& c) {
  c.emit(
      "GridSample", {c.in(0), c.in(1)},
      {{"align_corners", c.flag("align_corners")}, {"mode", c.text("mode")}, {"padding_mode", c.text("padding_mode")}});
}

}  // namespace

void add_layers(LowerTable& t) {
  t["conv1d"] = t["conv2d"] = t["conv3d"] = conv;
  t["conv_transpose1d"] = t["conv_transpose2d"] = t["conv_transpose3d"] = conv_transpose;
  t["linear"] = linear;
  t["embedding"] = embedding;
  t["batch_norm"] = batch_norm;
  t["instance_norm"] = instance_norm;
  t["layer_norm"] = layer_norm;
  t["rms_norm"] = rms_norm;
  t["group_norm"] = group_norm;
  t["max_pool1d"] = t["max_pool2d"] = t["max_pool3d"] = max_pool;
  t["avg_pool1d"] = t["avg_pool2d"] = t["avg_pool3d"] = avg_pool;
  t["adaptive_avg_pool1d"] = t["adaptive_avg_pool2d"] = t["adaptive_avg_pool3d"] = adaptive_avg_pool;
  t["adaptive_max_pool1d"] = t["adaptive_max_pool2d"] = t["adaptive_max_pool3d"] = adaptive_max_pool;
  t["attention"] = attention;
  t["interpolate"] = interpolate;
  t["grid_sample"] = grid_sample;
}

}  // namespace mmt::onnx
