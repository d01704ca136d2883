// An MNN interpreter with one session: created, resized, checked and freed together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine_mnn/mnn_api.h"
#include "mmt/engine.h"

namespace mmt::mnn {

/// The forward type of a backend's name ("cpu", "opencl", …). Throws Error(kInvalidArgument) listing the names.
MNNForwardType forward_type(const std::string& backend);
/// The name for a forward type that MNN reports: "cpu" also for the CPU with instruction set extensions.
std::string backend_name(int forward_type);
/// Text for MNN's error codes: "not supported (2)".
std::string error_text(int code);

struct NamedTensor {
  std::string name;
  MNN::Tensor* tensor = nullptr;
};

/// What the sessions of one engine share on another backend than the CPU: the device, compiled programs, tuned work
/// sizes. A session with a runtime of its own would compile and tune again what the one before it did. On the CPU,
/// which tunes nothing, each session keeps its own. Outlives the sessions.
class SharedRuntime {
 public:
  /// nullptr where MNN cannot create a session.
  MNN::Session* create_session(MNN::Interpreter& interpreter, const MNN::ScheduleConfig& schedule);

 private:
#if defined(MMT_MNN_SDK)
  std::optional<MNN::RuntimeInfo> info_;
  MNN::BackendConfig backend_;  // MNN keeps a pointer to it.
#endif
};

class Model {
 public:
  /// `origin` is what error messages call the model. All throw Error(kEngine), kUnsupported where the backend is
  /// missing.
  static Model from_file(const std::string& path, const EngineConfig& config, const std::vector<InputSpec>& inputs,
                         SharedRuntime& runtime);
  static Model from_bytes(const void* data, std::size_t size, const std::string& origin, const EngineConfig& config,
                          SharedRuntime& runtime);

  MNN::Interpreter& interpreter() const { return *interpreter_; }
  MNN::Session* session() const { return session_; }
  const std::vector<NamedTensor>& inputs() const { return inputs_; }    ///< Ordered by name.
  const std::vector<NamedTensor>& outputs() const { return outputs_; }  ///< Ordered by name.
  int threads() const;                                                  ///< Effective.
  std::string backend() const;                                          ///< Effective.
  double memory_mib() const;
  double mflops() const;

 private:
  struct Destroy {
    void operator()(MNN::Interpreter* interpreter) const { MNN::Interpreter::destroy(interpreter); }
  };
  Model(MNN::Interpreter* interpreter, std::string origin) : interpreter_(interpreter), origin_(std::move(origin)) {}
  void start(const EngineConfig& config, const std::vector<InputSpec>& inputs, SharedRuntime& runtime);
  void resize(const std::vector<InputSpec>& inputs);
  void require_ready(const std::string& doing) const;

  std::unique_ptr<MNN::Interpreter, Destroy> interpreter_;
  std::string origin_;
  MNN::Session* session_ = nullptr;  // owned by the interpreter
  std::vector<NamedTensor> inputs_, outputs_;
};

/// The spec for the input `index` called `name`: by name, else by position; nullptr where there is none.
const InputSpec* find_spec(const std::vector<InputSpec>& specs, std::size_t index, const std::string& name);

std::string shape_text(const std::vector<int>& shape);  ///< "[1,3,224,224]"
std::size_t element_count(const std::vector<int>& shape);

}  // namespace mmt::mnn
