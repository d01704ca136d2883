#include "engine/copies.h"

#include <unordered_set>
#include <utility>

namespace mmt {
namespace {

const TensorDesc* source_of(const TensorDesc& copy, const std::vector<TensorDesc>& made,
                            const std::unordered_set<std::int64_t>& read) {
  const TensorDesc* latest = nullptr;
  for (auto it = made.rbegin(); it != made.rend(); ++it) {
    if (it->shape != copy.shape || it->dtype != copy.dtype) continue;
    if (!read.contains(it->id)) return &*it;
    if (latest == nullptr) latest = &*it;
  }
  return latest;
}

}  // namespace

void name_copies(SessionDesc& session) {
  std::unordered_set<std::int64_t> read;
  for (const KernelDesc& kernel : session.kernels) {
    for (const TensorDesc& input : kernel.inputs) read.insert(input.id);
  }
  std::vector<TensorDesc> made = session.inputs;
  std::vector<KernelDesc> kept;
  kept.reserve(session.kernels.size());
  for (KernelDesc& kernel : session.kernels) {
    if (kernel.type == kCopyType) {
      std::erase_if(kernel.outputs, [&](const TensorDesc& copy) {
        const TensorDesc* source = source_of(copy, made, read);
        if (source != nullptr) kernel.inputs.push_back(*source);
        return source == nullptr;
      });
      if (kernel.outputs.empty()) continue;
    }
    made.insert(made.end(), kernel.outputs.begin(), kernel.outputs.end());
    kept.push_back(std::move(kernel));
  }
  session.kernels = std::move(kept);
}

}  // namespace mmt
