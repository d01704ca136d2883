// Kernels: what the engine really executes, with an identity that does not depend on the model they came from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mmt/engine.h"

namespace mmt {

/// Identity of a kernel: two kernels with the same signature take the same time under the same engine configuration.
///
/// Text form, for people and for the table:
///   Convolution{kernel=3x3,stride=1x1,pad=1x1,dilate=1x1,group=1,relu} [1,64,56,56]nc4hw4 -> [1,64,56,56]nc4hw4
/// The key is identity_hex(text).
struct KernelSignature {
  std::string type;               ///< "Convolution"
  std::string attributes;         ///< "kernel=3x3,stride=1x1,…", sorted, empty where there are none.
  std::string text;               ///< The whole text form.
  std::string key;                ///< 32 hexadecimal digits.
  std::int64_t weight_bytes = 0;  ///< Constant data that the kernel reads (weights, bias).
  std::int64_t input_bytes = 0;   ///< Activations read.
  std::int64_t output_bytes = 0;  ///< Activations written.
};

/// The part of a kernel in its operator's life (see OperatorModel for contexts).
enum class KernelRole : std::uint8_t {
  kBody = 0,           ///< Always executed.
  kInputConvert = 1,   ///< Layout conversion of a model input; absent where the producer already has that layout.
  kOutputConvert = 2,  ///< Layout conversion to give a model output back; absent inside a network.
  kStub = 3,           ///< The stub of the packed context.
};
const char* kernel_role_name(KernelRole role) noexcept;  ///< "body", "input_convert", "output_convert", "stub"

struct PlannedKernel {
  KernelSignature signature;
  KernelRole role = KernelRole::kBody;
  int port = -1;  ///< Which model input or output a conversion belongs to; -1 for body.
  /// Numbers of the tensors that it reads and writes: "0,-1>3". First the model's inputs, then its outputs, then what
  /// lies between; -1: constant data. Empty: not known. "5=2", in rows of earlier versions: 5, which the
  /// engine copied from 2 before.
  std::string tensors;
};

/// A port of an operator, as its `.mnn` shows it.
struct PortDesc {
  std::vector<int> shape;
  std::string dtype;
  Layout layout = Layout::kNchw;  ///< Input: the layout that the body wants. Output: the layout that the body makes.
  std::string edge_kind;  ///< Output: what made it. Input: what reads it, if one kernel alone. "convolution", "binary",
                          ///< "raster", "joined_groups" (of a transposed convolution), "relu", "relu6",
                          ///< "batch_norm", "other".
  bool has_activation = false;  ///< Output: the making kernel already carries a fused activation.
  bool through = false;         ///< Output: a bare input or a view of it, no kernel made it.
};

/// A `.mnn` file's schedule, attributed.
struct KernelPlan {
  std::vector<PlannedKernel> kernels;  ///< In execution order, one per SessionDesc::kernels.
  std::vector<PortDesc> inputs;
  std::vector<PortDesc> outputs;
  std::int64_t weight_bytes = 0;
  double memory_mib = 0;
  double mflops = 0;
};

/// Joins the engine's schedule with the attributes in the `.mnn` file (kernel sizes, strides, fused activations …).
/// `stub_prefix`: kernels of operators whose name starts with it are stubs ("" for none).
/// Throws Error(kParse) naming `model_path` where the file is damaged.
KernelPlan plan_kernels(const std::string& model_path, const SessionDesc& session, const std::string& stub_prefix);

/// Follows every offset of a `.mnn` file once. Throws Error(kIo, kCorrupt) naming it and what to do where it is
/// damaged: the engine itself trusts what it opens.
void check_model_file(const std::string& model_path);

/// The prefix of stub operators' names that the converter side writes.
inline constexpr std::string_view kStubPrefix = "mmt_stub";

}  // namespace mmt
