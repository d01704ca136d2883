// One opened model: its description, runs on fresh input, and computing on given values.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/page_placement.h"
#include "engine/used_memory.h"
#include "engine_mnn/host_probe.h"
#include "engine_mnn/model.h"
#include "engine_mnn/random_pool.h"
#include "engine_mnn/surroundings.h"

namespace mmt::mnn {

/// Memory of the caller that MNN reads or writes as a tensor.
struct DestroyTensor {
  void operator()(MNN::Tensor* tensor) const { MNN::Tensor::destroy(tensor); }
};
using HostTensor = std::unique_ptr<MNN::Tensor, DestroyTensor>;

/// What all sessions of an engine use.
struct Shared {
  RandomPool pool;
  StealMeter steal;
  NearCaches caches;
  PagePlacement placement;
  UsedMemory used;
};

class MnnSession {
 public:
  /// `origin` is what error messages call the model. `synchronise`: the backend works asynchronously, so a run ends
  /// only when its outputs are ready. `shared` outlives the session.
  MnnSession(Model model, const std::string& origin, const OpenOptions& options, Shared& shared, bool synchronise);
  MnnSession(const MnnSession&) = delete;
  MnnSession& operator=(const MnnSession&) = delete;

  const SessionDesc& desc() const { return desc_; }
  /// Takes what other sessions hold out of the memory in desc().
  void subtract_memory(double mib) { desc_.memory_mib = std::max(0.0, desc_.memory_mib - mib); }
  RunSamples run(const RunRequest& request);
  /// Sessions of one engine one after another (mmt::Engine::run_chain).
  static ChainSamples run_chain(std::span<MnnSession* const> sessions, int times);
  std::vector<std::vector<float>> compute(const std::vector<std::vector<float>>& inputs);

 private:
  static constexpr int kFillings = 4;  // Different contents that runs take in turn.

  struct Input {
    MNN::Tensor* device = nullptr;
    std::shared_ptr<RandomPool::Block> values;
    std::vector<HostTensor> fillings;
  };

  void prepare_inputs(const OpenOptions& options);
  void fill_inputs();
  /// Before the run of that number of a request: makes the caches what a kernel finds inside a model, unless the run
  /// does not count.
  bool surround(const RunRequest& request, int run);
  double find_activations();  // By a run; like the next two it returns that run's wall time in microseconds.
  double execute();
  double execute_profiled(float* kernel_us);
  void wait_for_outputs() const;
  [[noreturn]] void fail(const std::string& doing, int code) const;

  std::string origin_;
  Model model_;
  bool synchronise_;
  SessionDesc desc_;
  std::vector<Input> inputs_;
  int next_filling_ = 0;
  std::size_t listed_ = 0;            // Kernels but copies: those that the engine calls back around.
  std::vector<std::int64_t> stamps_;  // Two per such kernel, and one that takes whatever is too much.
  std::int64_t* cursor_ = nullptr;
  double waking_us_ = 0, waited_us_ = 0;  // To wait before the first kernel, and how long that was in the last run.
  MNN::TensorCallBackWithInfo stamp_;
  std::optional<ActivationMemory> activations_;  // Once a run needed them.
  Shared& shared_;
  UsedMemory::Mark used_;
};

}  // namespace mmt::mnn
