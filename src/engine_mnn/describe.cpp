#include "engine_mnn/describe.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "engine/copies.h"
#include "engine_mnn/random_pool.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

using Describe = MNN::Tensor::InsideDescribe::NativeInsideDescribe;

/// Gives every distinct tensor a small number, in order of appearance.
class Tensors {
 public:
  void set_name(const MNN::Tensor* tensor, const std::string& name) { names_[tensor] = name; }

  bool knows(const MNN::Tensor* tensor) const { return ids_.contains(tensor); }

  std::int64_t id(const MNN::Tensor* tensor) {
    return ids_.try_emplace(tensor, static_cast<std::int64_t>(ids_.size())).first->second;
  }

  TensorDesc desc(const MNN::Tensor* tensor) {
    const Describe& inside = *MNN::TensorUtils::getDescribe(tensor);
    TensorDesc out;
    out.id = id(tensor);
    out.shape = tensor->shape();
    const int format = static_cast<int>(inside.dimensionFormat);
    out.layout = format >= 0 && format <= 2 ? static_cast<Layout>(format) : Layout::kUnknown;
    out.dtype = type_name(tensor->getType());
    const auto name = names_.find(tensor);
    if (name != names_.end()) out.name = name->second;
    const int usage = static_cast<int>(inside.usage);
    out.constant = usage == 3 || usage == 4;
    return out;
  }

 private:
  std::unordered_map<const MNN::Tensor*, std::int64_t> ids_;
  std::unordered_map<const MNN::Tensor*, std::string> names_;
};

RegionDesc region_desc(const MNN::Tensor::InsideDescribe::Region& region, Tensors& tensors) {
  RegionDesc out;
  out.origin = tensors.id(region.origin);
  out.src_offset = region.src.offset;
  out.dst_offset = region.dst.offset;
  for (int axis = 0; axis < 3; ++axis) {
    out.size[axis] = region.size[axis];
    out.src_stride[axis] = region.src.stride[axis];
    out.dst_stride[axis] = region.dst.stride[axis];
  }
  return out;
}

/// What another backend computed lies in its own memory, until it is copied for whoever asks.
bool lies_in_host_memory([[maybe_unused]] const std::vector<MNN::Tensor*>& outputs) {
#if defined(MMT_MNN_SDK)
  return !outputs.empty() && std::all_of(outputs.begin(), outputs.end(), [](const MNN::Tensor* tensor) {
    return tensor->buffer().host != nullptr && tensor->buffer().device == 0;
  });
#else
  return false;  // The wheel has no other backend than the CPU.
#endif
}

}  // namespace

SessionDesc describe(const Model& model, const std::string& origin) {
  SessionDesc desc;
  Tensors tensors;
  const bool elsewhere = model.backend() != "cpu";
  for (const NamedTensor& input : model.inputs()) tensors.set_name(input.tensor, input.name);
  for (const NamedTensor& output : model.outputs()) tensors.set_name(output.tensor, output.name);
  for (const NamedTensor& input : model.inputs()) desc.inputs.push_back(tensors.desc(input.tensor));
  for (const NamedTensor& output : model.outputs()) desc.outputs.push_back(tensors.desc(output.tensor));

  const MNN::TensorCallBackWithInfo before = [&](const std::vector<MNN::Tensor*>& inputs,
                                                 const MNN::OperatorInfo* info) {
    KernelDesc copies;
    copies.name = info->name();
    copies.type = kCopyType;
    for (const MNN::Tensor* tensor : inputs) {
      if (tensor == nullptr || tensors.knows(tensor)) continue;
      const TensorDesc copy = tensors.desc(tensor);
      if (!copy.constant) copies.outputs.push_back(copy);
    }
    if (!copies.outputs.empty()) desc.kernels.push_back(std::move(copies));
    KernelDesc& kernel = desc.kernels.emplace_back();
    kernel.name = info->name();
    kernel.type = info->type();
    kernel.mflops = info->flops();
    for (const MNN::Tensor* tensor : inputs)
      if (tensor != nullptr) kernel.inputs.push_back(tensors.desc(tensor));
    return false;
  };
  const MNN::TensorCallBackWithInfo after = [&](const std::vector<MNN::Tensor*>& outputs, const MNN::OperatorInfo*) {
    KernelDesc& kernel = desc.kernels.back();
    desc.cpu_kernels += elsewhere && lies_in_host_memory(outputs) ? 1 : 0;
    for (const MNN::Tensor* tensor : outputs) {
      kernel.outputs.push_back(tensors.desc(tensor));
      if (kernel.type != "Raster") continue;
      for (const auto& region : MNN::TensorUtils::getDescribe(tensor)->regions)
        if (region.origin != nullptr) kernel.regions.push_back(region_desc(region, tensors));
    }
    return true;
  };
  const int code =
      static_cast<int>(model.interpreter().runSessionWithCallBackInfo(model.session(), before, after, true));
  if (code != 0) throw Error(ErrorCode::kEngine, origin + ": cannot list the kernels: " + error_text(code));
  name_copies(desc);
  desc.memory_mib = model.memory_mib();
  desc.mflops = model.mflops();
  return desc;
}

}  // namespace mmt::mnn
