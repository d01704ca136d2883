// Joins the engine's schedule with the file's graph: signatures, roles and ports.
#include <algorithm>
#include <optional>

#include "kernel/data_flow.h"
#include "kernel/mnn_fields.h"
#include "kernel/signature.h"
#include "mmt/error.h"

namespace mmt {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

std::size_t position_of(const std::vector<TensorDesc>& tensors, std::int64_t id) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].id == id) return i;
  }
  return kNone;
}

/// A Raster that only changes the layout of one whole tensor.
bool is_layout_change(const KernelDesc& kernel) {
  return kernel.type == "Raster" && kernel.inputs.size() == 1 && kernel.outputs.size() == 1 &&
         kernel.regions.size() == 1 && kernel.inputs[0].shape == kernel.outputs[0].shape &&
         kernel.inputs[0].layout != kernel.outputs[0].layout;
}

std::string edge_kind(const std::string& type, const std::string& attributes) {
  if (type.starts_with("Convolution") || type == "Deconvolution") return "convolution";  // depthwise ones fold nothing
  if (type == "BinaryOp") return "binary";
  if (type == "ReLU") return attributes.empty() ? "relu" : "leaky_relu";
  if (type == "ReLU6") return "relu6";
  if (type == "BatchNorm" || type == "Scale") return "batch_norm";
  if (type == "Raster") return "raster";
  return "other";
}

bool has_fused_activation(const std::string& attributes) {
  return attributes.find("relu=1") != std::string::npos || attributes.find("relu6=1") != std::string::npos ||
         attributes.find("activation=") != std::string::npos;
}

class Planner {
 public:
  Planner(const mnn::Graph& graph, const SessionDesc& session, const std::string& stub_prefix)
      : graph_(graph), session_(session), stub_prefix_(stub_prefix) {}

  KernelPlan plan() {
    for (const TensorDesc& input : session_.inputs) plan_.inputs.push_back(port(input));
    for (const TensorDesc& output : session_.outputs) plan_.outputs.push_back(port(output));
    input_ids_.resize(session_.inputs.size());
    for (std::size_t i = 0; i < session_.inputs.size(); ++i) input_ids_[i] = {session_.inputs[i].id};
    for (const KernelDesc& kernel : session_.kernels) add(kernel);
    const std::vector<std::string> flow = data_flow(session_);
    for (std::size_t i = 0; i < flow.size(); ++i) plan_.kernels[i].tensors = flow[i];
    for (std::size_t i = 0; i < input_ids_.size(); ++i) name_reader(i);
    for (std::size_t i = 0; i < session_.outputs.size(); ++i) name_maker(i);
    for (const mnn::OpNode& op : graph_.ops) plan_.weight_bytes += op.constant_bytes;
    plan_.memory_mib = session_.memory_mib;
    plan_.mflops = session_.mflops;
    return std::move(plan_);
  }

 private:
  static PortDesc port(const TensorDesc& tensor) {
    PortDesc port;
    port.shape = tensor.shape;
    port.dtype = tensor.dtype;
    port.layout = tensor.layout;
    port.edge_kind = "other";
    return port;
  }

  /// Which model input a tensor is, directly or through its conversion or stub.
  std::size_t input_of(std::int64_t id) const {
    for (std::size_t i = 0; i < input_ids_.size(); ++i) {
      if (std::find(input_ids_[i].begin(), input_ids_[i].end(), id) != input_ids_[i].end()) return i;
    }
    return kNone;
  }

  void add(const KernelDesc& kernel) {
    bool derived = false;
    const mnn::OpNode* origin = kernel.type == kCopyType ? nullptr : find_origin(graph_, kernel.name, &derived);
    PlannedKernel planned;
    planned.signature = make_signature(kernel, origin, derived);
    set_role(kernel, planned);
    plan_.kernels.push_back(std::move(planned));
  }

  void set_role(const KernelDesc& kernel, PlannedKernel& planned) {
    const std::size_t source = kernel.inputs.empty() ? kNone : input_of(kernel.inputs[0].id);
    if (!stub_prefix_.empty() && kernel.name.find(stub_prefix_) != std::string::npos && source != kNone) {
      planned.role = KernelRole::kStub;
      planned.port = static_cast<int>(source);
      input_ids_[source].push_back(kernel.outputs[0].id);
      if (kernel.type != "Raster") plan_.inputs[source].layout = kernel.outputs[0].layout;
      return;
    }
    if (kernel.type == kCopyType) {
      // What reads the copy reads the input.
      for (std::size_t i = 0; i < kernel.inputs.size(); ++i) {
        const std::size_t copied = input_of(kernel.inputs[i].id);
        if (copied != kNone) input_ids_[copied].push_back(kernel.outputs[i].id);
      }
      return;
    }
    if (!is_layout_change(kernel)) return;
    if (const std::size_t sink = position_of(session_.outputs, kernel.outputs[0].id); sink != kNone) {
      planned.role = KernelRole::kOutputConvert;
      planned.port = static_cast<int>(sink);
      plan_.outputs[sink].layout = kernel.inputs[0].layout;
      return;
    }
    // Only the conversion of the bare input: one of a stub's output belongs to the body, it happens inside a network
    // too.
    if (source != kNone && position_of(session_.inputs, kernel.inputs[0].id) == source) {
      planned.role = KernelRole::kInputConvert;
      planned.port = static_cast<int>(source);
      input_ids_[source].push_back(kernel.outputs[0].id);
      plan_.inputs[source].layout = kernel.outputs[0].layout;
    }
  }

  /// Names the kind of the only body kernel that reads input `index`.
  void name_reader(std::size_t index) {
    std::optional<std::size_t> reader;
    for (std::size_t k = 0; k < session_.kernels.size(); ++k) {
      if (plan_.kernels[k].role != KernelRole::kBody || session_.kernels[k].type == kCopyType) continue;
      for (const TensorDesc& input : session_.kernels[k].inputs) {
        if (input_of(input.id) != index) continue;
        if (reader.has_value() && *reader != k) return;
        reader = k;
      }
    }
    if (!reader.has_value()) return;
    plan_.inputs[index].edge_kind =
        edge_kind(session_.kernels[*reader].type, plan_.kernels[*reader].signature.attributes);
  }

  /// A kernel of the first group, where `kernel` joins what the groups of one transposed convolution made.
  std::optional<std::size_t> joined_group(const KernelDesc& kernel) const {
    if (kernel.type != "Raster" || kernel.inputs.size() < 2) return std::nullopt;
    std::optional<std::size_t> first;
    std::string_view whole;
    for (const TensorDesc& input : kernel.inputs) {
      std::size_t k = 0;
      while (k < session_.kernels.size() && position_of(session_.kernels[k].outputs, input.id) == kNone) ++k;
      if (k == session_.kernels.size() || session_.kernels[k].type != "Deconvolution") return std::nullopt;
      const std::string_view name = session_.kernels[k].name;
      const std::size_t cut = name.rfind("__group__");  // how the converter names them: "x__group__0", "x__group__1"
      if (cut == std::string_view::npos || (first.has_value() && name.substr(0, cut) != whole)) return std::nullopt;
      whole = name.substr(0, cut);
      if (!first.has_value()) first = k;
    }
    return first;
  }

  void name_maker(std::size_t index) {
    PortDesc& port = plan_.outputs[index];
    std::int64_t id = session_.outputs[index].id;
    for (std::size_t k = session_.kernels.size(); k-- > 0;) {
      const KernelDesc& kernel = session_.kernels[k];
      const std::size_t place = position_of(kernel.outputs, id);
      if (place == kNone) continue;
      if (plan_.kernels[k].role == KernelRole::kOutputConvert) {
        id = kernel.inputs[0].id;
        continue;
      }
      if (kernel.type == kCopyType) {
        id = kernel.inputs[place].id;
        continue;
      }
      if (const std::optional<std::size_t> group = joined_group(kernel); group.has_value()) {
        port.edge_kind = "joined_groups";
        port.has_activation = has_fused_activation(plan_.kernels[*group].signature.attributes);
      } else {
        port.edge_kind = edge_kind(kernel.type, plan_.kernels[k].signature.attributes);
        port.has_activation = has_fused_activation(plan_.kernels[k].signature.attributes);
      }
      port.through = plan_.kernels[k].role != KernelRole::kBody;
      return;
    }
    port.through = true;
  }

  const mnn::Graph& graph_;
  const SessionDesc& session_;
  const std::string& stub_prefix_;
  KernelPlan plan_;
  std::vector<std::vector<std::int64_t>>
      input_ids_;  ///< Per model input: its tensor and its converted or stubbed forms.
};

}  // namespace

const char* kernel_role_name(KernelRole role) noexcept {
  switch (role) {
    case KernelRole::kBody:
      return "body";
    case KernelRole::kInputConvert:
      return "input_convert";
    case KernelRole::kOutputConvert:
      return "output_convert";
    case KernelRole::kStub:
      return "stub";
  }
  return "unknown";
}

void check_model_file(const std::string& model_path) { mnn::read_graph(model_path); }

KernelPlan plan_kernels(const std::string& model_path, const SessionDesc& session, const std::string& stub_prefix) {
  const mnn::Graph graph = mnn::read_graph(model_path);
  return Planner(graph, session, stub_prefix).plan();
}

}  // namespace mmt
