#include "mmt/predict.h"

#include <algorithm>
#include <set>
#include <utility>

#include "mmt/profile.h"
#include "predict/activations.h"
#include "predict/estimate.h"

namespace mmt {
namespace {

/// MNN's Select looks at each value of its condition, so that its time hangs on how well a processor guesses them: in a
/// network with PReLU one took 0.35 ms on constant images, 0.55 on smooth ones, 0.9 on uniform and 1.6 on normal noise.
bool branches_on_values(const KernelSignature& kernel) { return kernel.type == "Select"; }

}  // namespace

Prediction predict(const ModelPlan& plan, LatencyTable& table) {
  const CostModel model = CostModel::from(table.config());
  Prediction prediction;
  std::set<std::string> flags;
  TouchedMemory memory;
  TensorAges ages;
  prediction.kernels.reserve(plan.kernels.size());
  prediction.node_us.assign(plan.nodes.size(), 0.0);
  const auto extra_us = [&](const KernelCost& cost) {
    return model.cold_extra_us(cost.hot_us, cost.cold_us) + cost.memory_us;
  };
  for (const PlanKernel& kernel : plan.kernels) {
    KernelCost cost;
    const auto row = kernel.signature.key.empty() ? nullptr : table.find_kernel(kernel.signature.key);
    if (row != nullptr) {
      cost.hot_us = row->hot_us;
      cost.cold_us = row->cold_us;
      cost.se_us = row->hot_se_us > row->cold_se_us ? row->hot_se_us : row->cold_se_us;
      for (std::string& word : flag_words(row->flags)) flags.insert(std::move(word));
    } else {
      const Estimate estimate = estimate_kernel(kernel, table);
      cost.hot_us = estimate.hot_us;
      cost.cold_us = estimate.cold_us;
      cost.estimated = true;
      flags.insert("estimated");
    }
    cost.memory_us = model.writing_us(static_cast<double>(memory.first_use(kernel.signature)));
    for (const int read : kernel.reads) {
      const KernelSignature& writer = plan.kernels[static_cast<std::size_t>(read)].signature;
      const auto bytes = static_cast<double>(std::min(writer.output_bytes, kernel.signature.input_bytes));
      const TensorAges::Passed since = ages.since(read);
      cost.return_us += model.return_us(bytes, since.bytes, since.us);
    }
    const double footprint_bytes = model.footprint_bytes(kernel.signature);
    ages.add(kernel.reads, footprint_bytes, cost.hot_us + model.kernel_overhead_us);
    prediction.sums.footprint_bytes += footprint_bytes;
    prediction.sums.hot_us += cost.hot_us + cost.return_us;
    cost.rereads = model.rereads(kernel.signature);
    (cost.rereads ? prediction.sums.reread_extra_us : prediction.sums.cold_extra_us) += extra_us(cost);
    prediction.sums.kernels += 1;
    prediction.sums.variance_us2 += cost.se_us * cost.se_us;
    const bool by_values = !cost.estimated && branches_on_values(kernel.signature);
    if (by_values) flags.insert("values");
    if (cost.estimated || by_values) prediction.sums.estimated_us += cost.cold_us;
    prediction.kernels.push_back(cost);
  }
  prediction.sums.cold_extra_us += model.cold_run_extra_us;
  const ColdShare share = model.cold_share(prediction.sums);
  prediction.cold_share = share.once;
  prediction.reread_share = share.again;
  for (std::size_t i = 0; i < prediction.kernels.size(); ++i) {
    KernelCost& cost = prediction.kernels[i];
    cost.us = cost.hot_us + cost.return_us + (cost.rereads ? share.again : share.once) * extra_us(cost) +
              model.kernel_overhead_us;
    if (plan.kernels[i].node >= 0) prediction.node_us[static_cast<std::size_t>(plan.kernels[i].node)] += cost.us;
  }
  prediction.run_overhead_us = model.run_overhead_us + prediction.cold_share * model.cold_run_extra_us;
  prediction.kernel_overhead_us =
      (model.kernel_overhead_us + prediction.cold_share * model.cold_kernel_extra_us) * prediction.sums.kernels;
  prediction.latency_us = model.latency_us(prediction.sums);
  const double half = model.half_width_us(prediction.sums);
  prediction.low_us = prediction.latency_us - half;
  prediction.high_us = prediction.latency_us + half;
  if (!plan.exact && !plan.doubts.empty()) flags.insert("unsure");
  const Provenance& run = table.config().run;
  if (!run.facts.per_kernel) {
    flags.insert("whole_runs");
  } else if (!run.is_current()) {
    flags.insert("earlier_version");
  }
  for (const std::string& word : flags) add_flag(prediction.flags, word);
  return prediction;
}

}  // namespace mmt
