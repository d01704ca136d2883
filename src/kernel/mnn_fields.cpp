#include "kernel/mnn_fields.h"

#include <array>

namespace mmt::mnn {
namespace {

using enum FieldKind;

constexpr Field kConvCommonFields[] = {
    {0, "pad_x", kInt32, 0},    {1, "pad_y", kInt32, 0},    {2, "kernel_x", kInt32, 1}, {3, "kernel_y", kInt32, 1},
    {4, "stride_x", kInt32, 1}, {5, "stride_y", kInt32, 1}, {6, "dilate_x", kInt32, 1}, {7, "dilate_y", kInt32, 1},
    {8, "pad_mode", kInt8, 0},  {9, "group", kInt32, 1},    {10, nullptr, kInt32, 0},   {11, nullptr, kInt32, 0},
    {12, "relu", kBool, 0},     {13, "relu6", kBool, 0},    {14, "pads", kIntVector},   {15, "out_pads", kIntVector},
};
constexpr Table kConvCommon{"conv_common", kConvCommonFields};

constexpr Field kQuantFields[] = {
    {0, "quant_data", kByteVector},
    {1, "quant_scale", kFloatVector},
    {2, "quant_type", kInt32, 0},
    {7, "quant_bits", kInt32, 0},
};
constexpr Table kQuant{"quant", kQuantFields};

constexpr Field kConv2dFields[] = {
    {0, "common", kTable, 0, &kConvCommon},
    {1, "weight", kFloatVector},
    {2, "bias", kFloatVector},
    {3, "quant", kTable, 0, &kQuant},
};
constexpr Table kConv2d{"convolution", kConv2dFields};

constexpr Field kConv3dCommonFields[] = {
    {0, "dilate", kIntVector}, {1, "stride", kIntVector}, {2, "kernel", kIntVector},
    {3, "pads", kIntVector},   {4, "pad_mode", kInt8, 0}, {7, "relu", kBool, 0},
    {8, "relu6", kBool, 0},    {9, "group", kInt32, 1},   {10, "out_pads", kIntVector},
};
constexpr Table kConv3dCommon{"conv3d_common", kConv3dCommonFields};
constexpr Field kConv3dFields[] = {
    {0, "common", kTable, 0, &kConv3dCommon}, {1, "weight", kFloatVector}, {2, "bias", kFloatVector}};
constexpr Table kConv3d{"convolution3d", kConv3dFields};

constexpr Field kPoolFields[] = {
    {0, "pad_x", kInt32, 0},    {1, "pad_y", kInt32, 0},    {2, "global", kBool, 0},    {3, "kernel_x", kInt32, 0},
    {4, "kernel_y", kInt32, 0}, {5, "stride_x", kInt32, 0}, {6, "stride_y", kInt32, 0}, {7, "pool", kInt8, 0},
    {8, "pad_mode", kInt8, 0},  {10, "ceil", kBool, 1},     {11, "pads", kIntVector},   {12, "count", kInt8, 0},
};
constexpr Table kPool{"pool", kPoolFields};

constexpr Field kBinaryFields[] = {{0, "op", kInt32, 0}, {2, "activation", kInt32, 0}};
constexpr Table kBinary{"binary", kBinaryFields};
constexpr Field kUnaryFields[] = {{0, "op", kInt32, 0}};
constexpr Table kUnary{"unary", kUnaryFields};
constexpr Field kReluFields[] = {{0, "slope", kFloat, 0}};
constexpr Table kRelu{"relu", kReluFields};
constexpr Field kRelu6Fields[] = {{0, "min", kFloat, 0}, {1, "max", kFloat, 6}};
constexpr Table kRelu6{"relu6", kRelu6Fields};
constexpr Field kPreluFields[] = {{0, "slopes", kInt32, 0}, {1, "slope", kFloatVector}};
constexpr Table kPrelu{"prelu", kPreluFields};
constexpr Field kAxisFields[] = {{0, "axis", kInt32, 0}};
constexpr Table kAxis{"axis", kAxisFields};
constexpr Field kBatchNormFields[] = {{0, nullptr, kInt32, 0},
                                      {1, "slope", kFloatVector},
                                      {2, "mean", kFloatVector},
                                      {3, "variance", kFloatVector},
                                      {4, "bias", kFloatVector}};
constexpr Table kBatchNorm{"batch_norm", kBatchNormFields};
constexpr Field kScaleFields[] = {{0, nullptr, kInt32, 0}, {1, "scale", kFloatVector}, {2, "bias", kFloatVector}};
constexpr Table kScale{"scale", kScaleFields};
constexpr Field kReductionFields[] = {{0, "op", kInt8, 0}, {1, "axes", kIntVector}, {3, "keep", kBool, 0}};
constexpr Table kReduction{"reduction", kReductionFields};
constexpr Field kInterpFields[] = {{4, "mode", kInt32, 0}, {5, "align_corners", kBool, 0}, {6, "half_pixel", kBool, 0}};
constexpr Table kInterp{"interp", kInterpFields};
constexpr Field kLayerNormFields[] = {{0, "axes", kIntVector},
                                      {2, "gamma", kFloatVector},
                                      {3, "beta", kFloatVector},
                                      {4, "group", kInt32, 1},
                                      {6, "rms", kBool, 0}};
constexpr Table kLayerNorm{"layer_norm", kLayerNormFields};
constexpr Field kGroupNormFields[] = {{0, "axis", kInt32, 0},
                                      {2, "gamma", kFloatVector},
                                      {3, "beta", kFloatVector},
                                      {4, "group", kInt32, 1},
                                      {5, "swish", kInt32, 0}};
constexpr Table kGroupNorm{"group_norm", kGroupNormFields};
constexpr Field kBatchMatMulFields[] = {{0, "transpose_a", kBool, 0}, {1, "transpose_b", kBool, 0}};
constexpr Table kBatchMatMul{"batch_matmul", kBatchMatMulFields};
constexpr Field kMatMulFields[] = {
    {1, "transpose_a", kBool, 0}, {2, "transpose_b", kBool, 0}, {3, "weight", kFloatVector}, {4, "bias", kFloatVector}};
constexpr Table kMatMul{"matmul", kMatMulFields};
constexpr Field kInnerProductFields[] = {
    {3, "weight", kFloatVector}, {4, "bias", kFloatVector}, {5, "axis", kInt32, 0}, {6, "transpose", kBool, 0}};
constexpr Table kInnerProduct{"inner_product", kInnerProductFields};
constexpr Field kPermuteFields[] = {{0, "order", kIntVector}};
constexpr Table kPermute{"permute", kPermuteFields};
constexpr Field kConvertFields[] = {{0, "from", kInt8, 0}, {1, "to", kInt8, 0}};
constexpr Table kConvert{"convert", kConvertFields};
constexpr Field kInputFields[] = {{0, "dims", kIntVector}, {1, "dtype", kInt32, 1}, {2, "format", kInt8, 2}};
constexpr Table kInput{"input", kInputFields};
constexpr Field kBlobFields[] = {{0, "dims", kIntVector},  {1, "format", kInt8, 0},  {2, "dtype", kInt32, 1},
                                 {3, "data", kByteVector}, {4, "data", kByteVector}, {5, "data", kFloatVector},
                                 {7, "data", kFloatVector}};
constexpr Table kBlob{"blob", kBlobFields};
constexpr Field kEltwiseFields[] = {{0, "op", kInt8, 0}};
constexpr Table kEltwise{"eltwise", kEltwiseFields};
constexpr Field kDepthSpaceFields[] = {{0, "block", kInt32, 0}, {1, "mode", kInt8, 0}};
constexpr Table kDepthSpace{"depth_space", kDepthSpaceFields};
constexpr Field kGridSampleFields[] = {{0, "mode", kInt8, 0}, {1, "padding", kInt8, 0}, {2, "align_corners", kBool, 0}};
constexpr Table kGridSample{"grid_sample", kGridSampleFields};
constexpr Field kEluFields[] = {{0, "alpha", kFloat, 0}};
constexpr Table kElu{"elu", kEluFields};
constexpr Field kTopKFields[] = {{1, "sorted", kBool, 0}, {2, "largest", kBool, 1}};
constexpr Table kTopK{"topk", kTopKFields};
constexpr Field kGatherFields[] = {{3, "axis", kInt32, 0}};
constexpr Table kGather{"gather", kGatherFields};
constexpr Field kCumSumFields[] = {{0, "exclusive", kBool, 0}, {1, "reverse", kBool, 0}};
constexpr Table kCumSum{"cumsum", kCumSumFields};
constexpr Field kPadFields[] = {{0, "mode", kInt8, 0}};
constexpr Table kPad{"pad", kPadFields};
constexpr Field kCastFields[] = {{0, "from", kInt32, 0}, {1, "to", kInt32, 0}};
constexpr Table kCast{"cast", kCastFields};

}  // namespace

const Table* parameter_table(int union_type) noexcept {
  switch (union_type) {
    case 2:
    case 4:
      return &kAxis;
    case 5:
      return &kBatchNorm;
    case 6:
      return &kBinary;
    case 7:
      return &kBlob;
    case 8:
      return &kCast;
    case 9:
      return &kConv2d;
    case 14:
      return &kEltwise;
    case 18:
      return &kGather;
    case 20:
      return &kInnerProduct;
    case 21:
      return &kInput;
    case 22:
      return &kInterp;
    case 25:
      return &kMatMul;
    case 29:
      return &kPermute;
    case 31:
      return &kPool;
    case 32:
      return &kPrelu;
    case 50:
      return &kReduction;
    case 51:
      return &kRelu;
    case 52:
      return &kRelu6;
    case 58:
      return &kScale;
    case 66:
      return &kConvert;
    case 68:
      return &kTopK;
    case 70:
      return &kUnary;
    case 73:
      return &kBatchMatMul;
    case 75:
      return &kDepthSpace;
    case 80:
      return &kConv3d;
    case 81:
      return &kElu;
    case 84:
      return &kPad;
    case 88:
      return &kLayerNorm;
    case 91:
      return &kGridSample;
    case 94:
      return &kCumSum;
    case 95:
      return &kGroupNorm;
    default:
      return nullptr;
  }
}

}  // namespace mmt::mnn
