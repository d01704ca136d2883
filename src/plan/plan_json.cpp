#include <nlohmann/json.hpp>

#include "mmt/error.h"
#include "mmt/exact.h"

namespace mmt {

std::string write_plan(const ModelPlan& plan) {
  nlohmann::json nodes = nlohmann::json::array(), kernels = nlohmann::json::array(), missing = nlohmann::json::array();
  for (const PlanNode& node : plan.nodes) {
    nodes.push_back({{"module", node.module},
                     {"name", node.name},
                     {"fingerprint", node.fingerprint},
                     {"arguments", node.arguments_json},
                     {"inputs", node.input_shapes},
                     {"outputs", node.output_shapes},
                     {"found", node.found}});
  }
  for (const PlanKernel& kernel : plan.kernels) {
    const KernelSignature& s = kernel.signature;
    kernels.push_back({{"type", s.type},
                       {"attributes", s.attributes},
                       {"text", s.text},
                       {"key", s.key},
                       {"weight_bytes", s.weight_bytes},
                       {"input_bytes", s.input_bytes},
                       {"output_bytes", s.output_bytes},
                       {"node", kernel.node},
                       {"mflops", kernel.mflops},
                       {"folded", kernel.folded},
                       {"reads", kernel.reads}});
  }
  for (const MissingRow& row : plan.missing) {
    missing.push_back({{"what", row.what}, {"detail", row.detail}, {"cure", row.cure}, {"node", row.node}});
  }
  return nlohmann::json{{"nodes", nodes},
                        {"kernels", kernels},
                        {"missing", missing},
                        {"doubts", plan.doubts},
                        {"exact", plan.exact},
                        {"weight_bytes", plan.weight_bytes},
                        {"file_bytes", plan.file_bytes},
                        {"memory_mib", plan.memory_mib},
                        {"mflops", plan.mflops},
                        {"parameters", plan.parameters},
                        {"flops", plan.flops}}
      .dump();
}

ModelPlan read_plan(std::string_view json_text) {
  try {
    const auto json = nlohmann::json::parse(json_text);
    ModelPlan plan;
    for (const auto& item : json.at("nodes")) {
      PlanNode node;
      node.module = item.at("module");
      node.name = item.at("name");
      node.fingerprint = item.at("fingerprint");
      node.arguments_json = item.at("arguments");
      node.input_shapes = item.at("inputs");
      node.output_shapes = item.at("outputs");
      node.found = item.at("found");
      plan.nodes.push_back(std::move(node));
    }
    for (const auto& item : json.at("kernels")) {
      PlanKernel kernel;
      KernelSignature& s = kernel.signature;
      s.type = item.at("type");
      s.attributes = item.at("attributes");
      s.text = item.at("text");
      s.key = item.at("key");
      s.weight_bytes = item.at("weight_bytes");
      s.input_bytes = item.at("input_bytes");
      s.output_bytes = item.at("output_bytes");
      kernel.node = item.at("node");
      kernel.mflops = item.at("mflops");
      kernel.folded = item.at("folded");
      kernel.reads = item.value("reads", std::vector<int>());
      for (const int read : kernel.reads) {
        if (read >= 0 && read < static_cast<int>(plan.kernels.size())) continue;
        throw Error(ErrorCode::kParse,
                    "plan: a kernel reads from kernel " + std::to_string(read) + ", which is not before it");
      }
      if (kernel.node < -1 || kernel.node >= static_cast<int>(plan.nodes.size())) {
        throw Error(ErrorCode::kParse,
                    "plan: a kernel names node " + std::to_string(kernel.node) + ", which does not exist");
      }
      plan.kernels.push_back(std::move(kernel));
    }
    for (const auto& item : json.at("missing")) {
      plan.missing.push_back({item.at("what"), item.at("detail"), item.at("cure"), item.at("node")});
    }
    plan.doubts = json.at("doubts").get<std::vector<std::string>>();
    plan.exact = json.at("exact");
    plan.weight_bytes = json.at("weight_bytes");
    plan.file_bytes = json.at("file_bytes");
    plan.memory_mib = json.at("memory_mib");
    plan.mflops = json.at("mflops");
    plan.parameters = json.value("parameters", std::int64_t{-1});
    plan.flops = json.value("flops", std::int64_t{-1});
    return plan;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kParse, std::string("plan: ") + error.what());
  }
}

}  // namespace mmt
