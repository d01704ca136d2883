// The text form of kernels: what decides how long one takes, and nothing else.
#pragma once

#include <string>

#include "kernel/mnn_file.h"
#include "mmt/kernel.h"

namespace mmt {

/// The operator of the file that a kernel came from: by the kernel's own name, or by the name before "_raster_<n>"
/// that the engine gives to the commands it derives from an operator. nullptr: none.
const mnn::OpNode* find_origin(const mnn::Graph& graph, const std::string& kernel_name, bool* derived);

/// `origin` may be nullptr. `derived`: the engine made this kernel out of `origin` by a geometry rule.
KernelSignature make_signature(const KernelDesc& kernel, const mnn::OpNode* origin, bool derived);

/// Bytes of a tensor's values in memory, counting the padding of packed layouts as MNN's smallest pack of 4 channels.
std::int64_t tensor_bytes(const TensorDesc& tensor);

}  // namespace mmt
