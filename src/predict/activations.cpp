#include "predict/activations.h"

#include <algorithm>

namespace mmt {

std::int64_t TouchedMemory::first_use(const KernelSignature& kernel) {
  const std::int64_t used = kernel.input_bytes + kernel.output_bytes;
  const std::int64_t before = reach_;
  reach_ = std::max(reach_, used);
  return std::min(kernel.output_bytes, reach_ - before);
}

TensorAges::Passed TensorAges::since(int writer) const {
  const Passed& then = last_use_[static_cast<std::size_t>(writer)];
  return {now_.bytes - then.bytes, now_.us - then.us};
}

void TensorAges::add(const std::vector<int>& reads, double bytes, double us) {
  now_.bytes += bytes;
  now_.us += us;
  for (const int read : reads) last_use_[static_cast<std::size_t>(read)] = now_;
  last_use_.push_back(now_);
}

}  // namespace mmt
