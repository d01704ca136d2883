// Exact plans, from the engine's own schedule.
#include "mmt/plan.h"
#include "plan/writers.h"

namespace mmt {

ModelPlan plan_from_schedule(const KernelPlan& plan, const SessionDesc& session) {
  ModelPlan result;
  result.exact = true;
  result.weight_bytes = plan.weight_bytes;
  result.memory_mib = plan.memory_mib;
  result.mflops = plan.mflops;
  result.kernels.reserve(plan.kernels.size());
  TensorWriters writers;
  for (std::size_t i = 0; i < plan.kernels.size(); ++i) {
    PlanNode node;
    node.module = i < session.kernels.size() ? session.kernels[i].name : "";
    node.name = plan.kernels[i].signature.type;
    node.arguments_json = "{}";
    node.found = "schedule";
    if (i < session.kernels.size()) {
      for (const TensorDesc& tensor : session.kernels[i].inputs)
        node.input_shapes.emplace_back(tensor.shape.begin(), tensor.shape.end());
      for (const TensorDesc& tensor : session.kernels[i].outputs)
        node.output_shapes.emplace_back(tensor.shape.begin(), tensor.shape.end());
    }
    PlanKernel kernel;
    kernel.signature = plan.kernels[i].signature;
    kernel.node = static_cast<int>(i);
    kernel.mflops = i < session.kernels.size() ? session.kernels[i].mflops : 0;
    kernel.reads = writers.add(FlowNumbers::parse(plan.kernels[i].tensors), static_cast<int>(i));
    result.nodes.push_back(std::move(node));
    result.kernels.push_back(std::move(kernel));
  }
  return result;
}

}  // namespace mmt
