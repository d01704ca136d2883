#include "engine/engine_json.h"

#include <map>

#include "mmt/error.h"

namespace mmt {
namespace {

using nlohmann::json;

/// Reads a field where it is present, so that older and newer sides understand each other.
template <class T>
void read(const json& from, const char* key, T& value) {
  const auto found = from.find(key);
  if (found != from.end()) found->get_to(value);
}

json tensor_json(const TensorDesc& tensor) {
  json out = {
      {"id", tensor.id}, {"shape", tensor.shape}, {"layout", static_cast<int>(tensor.layout)}, {"dtype", tensor.dtype}};
  if (!tensor.name.empty()) out["name"] = tensor.name;
  if (tensor.constant) out["constant"] = true;
  return out;
}

TensorDesc tensor_from(const json& from) {
  TensorDesc tensor;
  read(from, "id", tensor.id);
  read(from, "shape", tensor.shape);
  int layout = static_cast<int>(Layout::kUnknown);
  read(from, "layout", layout);
  tensor.layout = layout >= 0 && layout <= 3 ? static_cast<Layout>(layout) : Layout::kUnknown;
  read(from, "dtype", tensor.dtype);
  read(from, "name", tensor.name);
  read(from, "constant", tensor.constant);
  return tensor;
}

json ids_of(const std::vector<TensorDesc>& tensors) {
  json ids = json::array();
  for (const TensorDesc& tensor : tensors) ids.push_back(tensor.id);
  return ids;
}

json region_json(const RegionDesc& r) {
  return {r.origin,        r.size[0],       r.size[1],    r.size[2],       r.src_offset,    r.src_stride[0],
          r.src_stride[1], r.src_stride[2], r.dst_offset, r.dst_stride[0], r.dst_stride[1], r.dst_stride[2]};
}

RegionDesc region_from(const json& from) {
  RegionDesc r;
  r.origin = from.at(0);
  r.src_offset = from.at(4);
  r.dst_offset = from.at(8);
  for (int axis = 0; axis < 3; ++axis) {
    r.size[axis] = from.at(1 + axis);
    r.src_stride[axis] = from.at(5 + axis);
    r.dst_stride[axis] = from.at(9 + axis);
  }
  return r;
}

}  // namespace

void to_json(json& out, const EngineConfig& config) {
  out = {{"backend", config.backend}, {"threads", config.threads}, {"precision", config.precision},
         {"memory", config.memory},   {"power", config.power},     {"cpus", config.cpus}};
}

void from_json(const json& from, EngineConfig& config) {
  read(from, "backend", config.backend);
  read(from, "threads", config.threads);
  read(from, "precision", config.precision);
  read(from, "memory", config.memory);
  read(from, "power", config.power);
  read(from, "cpus", config.cpus);
}

void to_json(json& out, const EngineFacts& facts) {
  out = {{"name", facts.name},       {"version", facts.version},        {"build", facts.build},
         {"backend", facts.backend}, {"threads", facts.threads},        {"per_kernel", facts.per_kernel},
         {"library", facts.library}, {"build_flags", facts.build_flags}};
}

void from_json(const json& from, EngineFacts& facts) {
  read(from, "name", facts.name);
  read(from, "version", facts.version);
  read(from, "build", facts.build);
  read(from, "backend", facts.backend);
  read(from, "threads", facts.threads);
  read(from, "per_kernel", facts.per_kernel);
  read(from, "library", facts.library);
  read(from, "build_flags", facts.build_flags);
}

void to_json(json& out, const OpenOptions& options) {
  out = {{"inputs", json::array()}, {"seed", options.seed}, {"independent", options.independent}};
  for (const InputSpec& spec : options.inputs)
    out["inputs"].push_back(
        {{"name", spec.name}, {"shape", spec.shape}, {"low", spec.low}, {"high", spec.high}, {"shared", spec.shared}});
}

void from_json(const json& from, OpenOptions& options) {
  read(from, "seed", options.seed);
  read(from, "independent", options.independent);
  if (!from.contains("inputs")) return;
  for (const json& entry : from.at("inputs")) {
    InputSpec& spec = options.inputs.emplace_back();
    read(entry, "name", spec.name);
    read(entry, "shape", spec.shape);
    read(entry, "low", spec.low);
    read(entry, "high", spec.high);
    read(entry, "shared", spec.shared);
  }
}

void to_json(json& out, const SessionDesc& desc) {
  std::map<std::int64_t, const TensorDesc*> tensors;
  const auto collect = [&](const std::vector<TensorDesc>& list) {
    for (const TensorDesc& tensor : list) tensors.emplace(tensor.id, &tensor);
  };
  collect(desc.inputs);
  collect(desc.outputs);
  json kernels = json::array();
  for (const KernelDesc& kernel : desc.kernels) {
    collect(kernel.inputs);
    collect(kernel.outputs);
    json entry = {{"name", kernel.name},
                  {"type", kernel.type},
                  {"mflops", kernel.mflops},
                  {"inputs", ids_of(kernel.inputs)},
                  {"outputs", ids_of(kernel.outputs)}};
    for (const RegionDesc& region : kernel.regions) entry["regions"].push_back(region_json(region));
    kernels.push_back(std::move(entry));
  }
  json list = json::array();
  for (const auto& [id, tensor] : tensors) list.push_back(tensor_json(*tensor));
  out = {{"tensors", std::move(list)},    {"inputs", ids_of(desc.inputs)}, {"outputs", ids_of(desc.outputs)},
         {"memory_mib", desc.memory_mib}, {"mflops", desc.mflops},         {"cpu_kernels", desc.cpu_kernels},
         {"kernels", std::move(kernels)}};
}

void from_json(const json& from, SessionDesc& desc) {
  std::map<std::int64_t, TensorDesc> tensors;
  for (const json& entry : from.at("tensors")) {
    TensorDesc tensor = tensor_from(entry);
    tensors.emplace(tensor.id, std::move(tensor));
  }
  const auto resolve = [&](const json& ids) {
    std::vector<TensorDesc> list;
    for (const json& id : ids) {
      const auto found = tensors.find(id.get<std::int64_t>());
      if (found == tensors.end()) throw Error(ErrorCode::kParse, "tensor " + id.dump() + " is not described");
      list.push_back(found->second);
    }
    return list;
  };
  desc.inputs = resolve(from.at("inputs"));
  desc.outputs = resolve(from.at("outputs"));
  read(from, "memory_mib", desc.memory_mib);
  read(from, "cpu_kernels", desc.cpu_kernels);
  read(from, "mflops", desc.mflops);
  for (const json& entry : from.at("kernels")) {
    KernelDesc& kernel = desc.kernels.emplace_back();
    read(entry, "name", kernel.name);
    read(entry, "type", kernel.type);
    read(entry, "mflops", kernel.mflops);
    kernel.inputs = resolve(entry.at("inputs"));
    kernel.outputs = resolve(entry.at("outputs"));
    if (!entry.contains("regions")) continue;
    for (const json& region : entry.at("regions")) kernel.regions.push_back(region_from(region));
  }
}

template <class T>
T parse_engine_json(const std::string& text, const std::string& what) {
  try {
    return json::parse(text).get<T>();
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kParse, what + ": " + error.what());
  }
}

template EngineConfig parse_engine_json(const std::string&, const std::string&);
template EngineFacts parse_engine_json(const std::string&, const std::string&);
template OpenOptions parse_engine_json(const std::string&, const std::string&);
template SessionDesc parse_engine_json(const std::string&, const std::string&);

}  // namespace mmt
