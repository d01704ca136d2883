// Writing ONNX models from traces, without the onnx package.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mmt/trace.h"

namespace mmt {

/// The data of one constant of a trace: contiguous, row-major, in the value's dtype. Not owned.
struct ConstantBuffer {
  const void* data = nullptr;
  std::size_t size_bytes = 0;
};

/// How inputs enter the graph; see OperatorModel in mmt/manifest.h.
enum class LowerContext { kPlain, kPacked };

struct LowerOptions {
  LowerContext context = LowerContext::kPlain;
  int opset = 17;  ///< The only one so far.
};

/// The bytes of an ONNX model (IR version 8) of the trace, with graph inputs "input_0", … and outputs "output_0", ….
/// Node patterns are the ones that converters know from PyTorch's own exporter, so that they fuse alike.
/// `constants[i]` belongs to values whose `constant` is i; only those that are used are read.
/// Throws Error(kUnsupported) naming function, module and reason where a node has no ONNX form here (closed
/// operators among them), Error(kInvalidArgument) where a buffer has the wrong size.
std::string lower_to_onnx(const Trace& trace, const std::vector<ConstantBuffer>& constants,
                          const LowerOptions& options = {});

/// Canonical names of all functions that lower_to_onnx knows, sorted.
std::vector<std::string> lowered_functions();

}  // namespace mmt
