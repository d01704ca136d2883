// Parameters and work of traced functions, from shapes alone.
#include <nlohmann/json.hpp>

#include <string_view>
#include <unordered_map>

#include "mmt/trace.h"

namespace mmt {
namespace {

using Json = nlohmann::json;

class Costs {
 public:
  Costs(const Trace& trace, const TraceNode& node) : trace_(trace), node_(node) {}

  TraceNodeCost count() const {
    TraceNodeCost cost;
    if (node_.kind == TraceNodeKind::kOperator) return cost;
    for (const int input : node_.inputs) {
      if (trace_.is_constant(input) && is_float(input)) cost.parameters += elements(input);
    }
    cost.flops = flops();
    return cost;
  }

 private:
  const TraceValue& value(int id) const { return trace_.values[static_cast<std::size_t>(id)]; }
  bool is_float(int id) const { return value(id).dtype.find("float") != std::string::npos; }
  std::int64_t elements(int id) const {
    std::int64_t count = 1;
    for (const std::int64_t size : value(id).shape) count *= size;
    return count;
  }
  std::int64_t in(std::size_t i) const {
    return i < node_.inputs.size() && node_.inputs[i] >= 0 ? elements(node_.inputs[i]) : 0;
  }
  std::int64_t out(std::size_t i = 0) const { return i < node_.outputs.size() ? elements(node_.outputs[i]) : 0; }
  const std::vector<std::int64_t>& shape(std::size_t i) const { return value(node_.inputs[i]).shape; }
  bool has(std::size_t i) const { return i < node_.inputs.size() && node_.inputs[i] >= 0; }

  std::int64_t product(const Json& sizes) const {
    std::int64_t count = 1;
    for (const Json& size : sizes) count *= size.get<std::int64_t>();
    return count;
  }

  std::int64_t recurrent() const {
    // Every weight matrix is applied once per time step and sequence; the gates add a few operations per unit.
    std::int64_t matrix = 0;
    const std::size_t first = node_.name == "lstm" ? 3 : 2;
    for (std::size_t i = first; i < node_.inputs.size(); ++i) {
      if (has(i) && shape(i).size() == 2) matrix += in(i);
    }
    const std::int64_t steps = shape(0)[0] * shape(0)[1];
    return steps * (2 * matrix) + 10 * out();
  }

  std::int64_t flops() const {
    const std::string_view name = node_.name;
    const bool transposed = name.rfind("conv_transpose", 0) == 0;
    if (transposed || name.rfind("conv", 0) == 0) {
      // Each output (transposed: input) element meets weight elements / its channels of them.
      const std::int64_t weights = in(1) / shape(1)[0];
      return 2 * (transposed ? in(0) : out()) * weights + (has(2) ? out() : 0);
    }
    if (name == "linear") return 2 * out() * shape(1)[1] + (has(2) ? out() : 0);
    if (name == "matmul") return 2 * out() * shape(0).back();
    if (name == "addmm" || name == "baddbmm") return 2 * out() * shape(1).back() + out();
    if (name == "attention") {
      const std::int64_t keys = shape(1)[shape(1).size() - 2];
      const std::int64_t scores = in(0) / shape(0).back() * keys;
      return 2 * scores * shape(0).back() + 2 * out() * keys + 5 * scores;
    }
    if (name == "einsum") return 2 * std::max(in(0), std::max(in(1), out()));
    if (name == "lstm" || name == "gru" || name == "rnn") return recurrent();
    if (name.rfind("max_pool", 0) == 0 || name.rfind("avg_pool", 0) == 0) {
      return out() * product(Json::parse(node_.arguments_json).at("kernel"));
    }
    if (name.rfind("adaptive_", 0) == 0) return in(0);
    if (name == "batch_norm") return 2 * out();
    static const std::unordered_map<std::string_view, int> kPerOutput = {
        {"layer_norm", 8},  {"group_norm", 8}, {"instance_norm", 8}, {"rms_norm", 5}, {"softmax", 5},
        {"log_softmax", 5}, {"gelu", 8},       {"silu", 5},          {"mish", 8},     {"hardswish", 4},
        {"sigmoid", 4},     {"tanh", 5},       {"interpolate", 4}};
    if (const auto found = kPerOutput.find(name); found != kPerOutput.end()) return found->second * out();
    static const std::unordered_map<std::string_view, int> kPerInput = {{"mean", 1},
                                                                        {"sum", 1},
                                                                        {"prod", 1},
                                                                        {"amax", 1},
                                                                        {"amin", 1},
                                                                        {"norm", 2},
                                                                        {"var", 4},
                                                                        {"std", 4},
                                                                        {"logsumexp", 4},
                                                                        {"cumsum", 1},
                                                                        {"argmax", 1},
                                                                        {"argmin", 1},
                                                                        {"max_with_indices", 1},
                                                                        {"min_with_indices", 1}};
    if (const auto found = kPerInput.find(name); found != kPerInput.end()) return found->second * in(0);
    static const std::unordered_map<std::string_view, int> kMoves = {{"reshape", 0},
                                                                     {"permute", 0},
                                                                     {"squeeze", 0},
                                                                     {"unsqueeze", 0},
                                                                     {"expand", 0},
                                                                     {"repeat", 0},
                                                                     {"cat", 0},
                                                                     {"stack", 0},
                                                                     {"split", 0},
                                                                     {"chunk", 0},
                                                                     {"unbind", 0},
                                                                     {"slice", 0},
                                                                     {"select", 0},
                                                                     {"index_select", 0},
                                                                     {"gather", 0},
                                                                     {"flip", 0},
                                                                     {"roll", 0},
                                                                     {"pad", 0},
                                                                     {"pixel_shuffle", 0},
                                                                     {"pixel_unshuffle", 0},
                                                                     {"channel_shuffle", 0},
                                                                     {"embedding", 0},
                                                                     {"cast", 0},
                                                                     {"topk", 0},
                                                                     {"sort", 0},
                                                                     {"tril", 0},
                                                                     {"triu", 0}};
    return kMoves.count(name) != 0 ? 0 : out();  // everything else works element by element
  }

  const Trace& trace_;
  const TraceNode& node_;
};

}  // namespace

std::vector<TraceNodeCost> trace_costs(const Trace& trace) {
  std::vector<TraceNodeCost> costs;
  costs.reserve(trace.nodes.size());
  for (const TraceNode& node : trace.nodes) costs.push_back(Costs(trace, node).count());
  return costs;
}

}  // namespace mmt
