#include "engine_mnn/model.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine_mnn/host_probe.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

/// Several names may stand for one number of MNN's; the first is the one that is reported.
constexpr std::pair<const char*, MNNForwardType> kBackends[] = {
    {"cpu", MNN_FORWARD_CPU},       {"metal", MNN_FORWARD_METAL},     {"cuda", MNN_FORWARD_CUDA},
    {"opencl", MNN_FORWARD_OPENCL}, {"opengl", MNN_FORWARD_OPENGL},   {"vulkan", MNN_FORWARD_VULKAN},
    {"nn", MNN_FORWARD_NN},         {"coreml", MNN_FORWARD_NN},       {"nnapi", MNN_FORWARD_NN},
    {"hiai", MNN_FORWARD_USER_0},   {"tensorrt", MNN_FORWARD_USER_1}, {"hexagon", MNN_FORWARD_HEXAGON},
    {"musa", MNN_FORWARD_MUSA},
};

/// Position of `value` in `names`, or an error that lists them.
int choice(const char* key, const std::string& value, std::initializer_list<const char*> names) {
  int index = 0;
  std::string list;
  for (const char* name : names) {
    if (value == name) return index;
    ++index;
    list += std::string(list.empty() ? "" : ", ") + name;
  }
  throw Error(ErrorCode::kInvalidArgument, std::string(key) + " '" + value + "': must be one of " + list);
}

std::vector<NamedTensor> listed(const std::map<std::string, MNN::Tensor*>& tensors) {
  std::vector<NamedTensor> list;
  for (const auto& [name, tensor] : tensors) list.push_back({name, tensor});
  return list;
}

}  // namespace

MNNForwardType forward_type(const std::string& backend) {
  std::string list;
  for (const auto& [name, type] : kBackends) {
    if (backend == name) return type;
    list += std::string(list.empty() ? "" : ", ") + name;
  }
  throw Error(ErrorCode::kInvalidArgument, "backend '" + backend + "': must be one of " + list);
}

std::string backend_name(int forward_type) {
  if (forward_type == MNN_FORWARD_CPU_EXTENSION) return "cpu";
  for (const auto& [name, type] : kBackends)
    if (forward_type == type) return name;
  return "type " + std::to_string(forward_type);
}

std::string error_text(int code) {
  const char* text = "unknown";
  switch (code) {
    case 1:
      text = "out of memory";
      break;
    case 2:
      text = "not supported";
      break;
    case 3:
      text = "shapes cannot be computed";
      break;
    case 4:
      text = "an operator has no implementation";
      break;
    case 5:
      text = "invalid value";
      break;
    case 10:
      text = "input data error";
      break;
    case 11:
      text = "stopped by a callback";
      break;
    case 20:
      text = "tensor not supported";
      break;
    case 21:
      text = "tensor must be divided";
      break;
    default:
      break;
  }
  return std::string(text) + " (MNN error " + std::to_string(code) + ")";
}

std::string shape_text(const std::vector<int>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  return text + "]";
}

std::size_t element_count(const std::vector<int>& shape) {
  std::size_t count = 1;
  for (const int extent : shape) count *= static_cast<std::size_t>(std::max(extent, 0));
  return count;
}

const InputSpec* find_spec(const std::vector<InputSpec>& specs, std::size_t index, const std::string& name) {
  for (const InputSpec& spec : specs)
    if (!spec.name.empty() && spec.name == name) return &spec;
  return index < specs.size() && specs[index].name.empty() ? &specs[index] : nullptr;
}

MNN::Session* SharedRuntime::create_session(MNN::Interpreter& interpreter, const MNN::ScheduleConfig& schedule) {
#if defined(MMT_MNN_SDK)
  if (schedule.type != MNN_FORWARD_CPU) {
    if (!info_) {
      backend_ = *schedule.backendConfig;
      MNN::ScheduleConfig kept = schedule;
      kept.backendConfig = &backend_;
      info_ = MNN::Interpreter::createRuntime({kept});
    }
    return interpreter.createSession(schedule, *info_);
  }
#endif
  return interpreter.createSession(schedule);
}

Model Model::from_file(const std::string& path, const EngineConfig& config, const std::vector<InputSpec>& inputs,
                       SharedRuntime& runtime) {
  if (access(path.c_str(), R_OK) != 0) {
    const int reason = errno;
    throw Error(reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path + ": " + std::strerror(reason));
  }
  Model model(MNN::Interpreter::createFromFile(path.c_str()), path);
  if (model.interpreter_ == nullptr)
    throw Error(ErrorCode::kEngine, path + ": MNN cannot load this file; it is damaged, or no .mnn model");
  // The file was read in small pieces. Whether they go back by themselves is chance, and the peak would tell of that.
  return_freed_memory();
  model.start(config, inputs, runtime);
  return model;
}

Model Model::from_bytes(const void* data, std::size_t size, const std::string& origin, const EngineConfig& config,
                        SharedRuntime& runtime) {
  Model model(MNN::Interpreter::createFromBuffer(data, size), origin);
  if (model.interpreter_ == nullptr) throw Error(ErrorCode::kEngine, origin + ": MNN cannot load it");
  model.start(config, {}, runtime);
  return model;
}

void Model::start(const EngineConfig& config, const std::vector<InputSpec>& inputs, SharedRuntime& runtime) {
  MNN::BackendConfig backend;
  backend.precision = static_cast<MNN::BackendConfig::PrecisionMode>(
      choice("precision", config.precision, {"normal", "high", "low", "low_bf16"}));
  backend.memory =
      static_cast<MNN::BackendConfig::MemoryMode>(choice("memory", config.memory, {"normal", "high", "low"}));
  backend.power = static_cast<MNN::BackendConfig::PowerMode>(choice("power", config.power, {"normal", "high", "low"}));
  MNN::ScheduleConfig schedule;
  schedule.type = forward_type(config.backend);
  // For other backends than the CPU this number is a set of modes of their own; 4 is MNN's default there.
  schedule.numThread = schedule.type == MNN_FORWARD_CPU ? config.threads : 4;
  schedule.backendConfig = &backend;

  session_ = runtime.create_session(*interpreter_, schedule);
  if (session_ == nullptr) throw Error(ErrorCode::kEngine, origin_ + ": MNN cannot create a session for this model");
  if (this->backend() != backend_name(schedule.type))
    throw Error(ErrorCode::kUnsupported, "backend '" + config.backend + "' is not in this build of MNN, or finds no " +
                                             "device here: it would run on '" + this->backend() + "'");
  inputs_ = listed(interpreter_->getSessionInputAll(session_));
  if (!inputs.empty()) resize(inputs);
  require_ready("prepare");
  // Only now: outputs of a model with open shapes exist after the resize.
  outputs_ = listed(interpreter_->getSessionOutputAll(session_));
}

void Model::resize(const std::vector<InputSpec>& specs) {
  bool changed = false;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const InputSpec* spec = find_spec(specs, i, inputs_[i].name);
    if (spec == nullptr || spec->shape.empty()) continue;
    const std::vector<int> now = inputs_[i].tensor->shape();
    if (spec->shape == now) continue;
    const std::string what = origin_ + ": input '" + inputs_[i].name + "' of shape " + shape_text(now) +
                             " cannot become " + shape_text(spec->shape);
    if (!now.empty() && spec->shape.size() != now.size())
      throw Error(ErrorCode::kInvalidArgument, what + ": the number of dimensions differs");
    if (std::any_of(spec->shape.begin(), spec->shape.end(), [](int extent) { return extent < 1; }))
      throw Error(ErrorCode::kInvalidArgument, what + ": every extent must be at least 1");
    interpreter_->resizeTensor(inputs_[i].tensor, spec->shape);
    changed = true;
  }
  for (std::size_t s = 0; s < specs.size(); ++s) {
    const bool known = specs[s].name.empty()
                           ? s < inputs_.size()
                           : std::any_of(inputs_.begin(), inputs_.end(),
                                         [&](const NamedTensor& input) { return input.name == specs[s].name; });
    if (!known)
      throw Error(
          ErrorCode::kInvalidArgument,
          origin_ + ": has " + std::to_string(inputs_.size()) + " inputs, and none " +
              (specs[s].name.empty() ? "at position " + std::to_string(s) : "is called '" + specs[s].name + "'"));
  }
  if (changed) interpreter_->resizeSession(session_);
}

void Model::require_ready(const std::string& doing) const {
  int status = 0;
  if (!interpreter_->getSessionInfo(session_, MNN::Interpreter::RESIZE_STATUS, &status) || status != 0) {
    std::string shapes;
    bool open = false;
    for (const NamedTensor& input : inputs_) {
      const std::vector<int> shape = input.tensor->shape();
      shapes += (shapes.empty() ? "" : ", ") + input.name + " " + shape_text(shape);
      open = open || std::any_of(shape.begin(), shape.end(), [](int extent) { return extent < 1; });
    }
    throw Error(ErrorCode::kEngine, origin_ + ": MNN cannot " + doing + " this model for inputs " + shapes +
                                        (open ? "; the file leaves sizes open: give the shapes of its inputs"
                                              : "; an operator refuses these shapes"));
  }
}

int Model::threads() const {
  int threads = 1;
  interpreter_->getSessionInfo(session_, MNN::Interpreter::THREAD_NUMBER, &threads);
  return threads;
}

std::string Model::backend() const {
  int types[4] = {-1, -1, -1, -1};
  interpreter_->getSessionInfo(session_, MNN::Interpreter::BACKENDS, types);
  return backend_name(types[0]);
}

double Model::memory_mib() const {
  float value = 0;
  interpreter_->getSessionInfo(session_, MNN::Interpreter::MEMORY, &value);
  return value;
}

double Model::mflops() const {
  float value = 0;
  interpreter_->getSessionInfo(session_, MNN::Interpreter::FLOPS, &value);
  return value;
}

}  // namespace mmt::mnn
