// An engine without MNN and without time: models are cost programs, and runs advance a FakeClock.
//
//   mmt::FakeClock clock;
//   mmt::testing::FakeEngine engine(clock);
//   engine.program("a.mnn", mmt::testing::fake_model({{"conv", "Convolution", 100, 150}, {"relu", "ReLU", 5, 6}}));
//   auto session = engine.open("a.mnn", {});
//
// Cold and hot: a session's run is cold when another session ran (or it was opened) since its last run.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mmt/clock.h"
#include "mmt/engine.h"
#include "mmt/error.h"

namespace mmt::testing {

struct FakeKernel {
  std::string name;
  std::string type;
  double hot_us = 1;
  double cold_us = 1;
  KernelDesc desc;  ///< Filled from name and type where its own type is empty.

  FakeKernel(std::string kernel_name, std::string kernel_type, double hot, double cold)
      : name(std::move(kernel_name)), type(std::move(kernel_type)), hot_us(hot), cold_us(cold) {}
  FakeKernel(KernelDesc full, double hot, double cold)
      : name(full.name), type(full.type), hot_us(hot), cold_us(cold), desc(std::move(full)) {}
};

struct FakeModel {
  std::vector<FakeKernel> kernels;
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  double memory_mib = 1;
  double mflops = 0;
  double run_overhead_us = 2;             ///< Part of every run beside its kernels.
  double kernel_overhead_us = 0.1;        ///< Per kernel, only in profiled runs, outside of the kernels' own times.
  double settling = 1;                    ///< Times the hot time: what the three runs after a cold one take.
  double fill_us = 1;                     ///< Untimed work before each run.
  double open_us = 100;                   ///< What opening takes.
  double noise = 0;                       ///< Standard deviation of the logarithm of each kernel's time.
  std::optional<ErrorCode> open_failure;  ///< open() throws this.
  std::optional<ErrorCode> run_failure;   ///< The run number `fail_at_run` of a session throws this.
  int fail_at_run = 0;                    ///< Counted from 0 over all runs of a session.
  int failures = -1;                      ///< How often to fail in all (opens and runs); -1: always.
  double hang_us = 60e6;                  ///< What a kTimeout failure costs before it is noticed.
  std::function<std::vector<std::vector<float>>(const std::vector<std::vector<float>>&)> compute;
};

inline TensorDesc fake_tensor(std::int64_t id, std::vector<int> shape, Layout layout = Layout::kNchw,
                              std::string dtype = "float32", std::string name = "") {
  TensorDesc tensor;
  tensor.id = id;
  tensor.shape = std::move(shape);
  tensor.layout = layout;
  tensor.dtype = std::move(dtype);
  tensor.name = std::move(name);
  return tensor;
}

/// A chain: every kernel reads the tensor before it; all of shape [1,8,8,8].
inline FakeModel fake_model(std::vector<FakeKernel> kernels) {
  FakeModel model;
  model.kernels = std::move(kernels);
  std::int64_t id = 0;
  model.inputs.push_back(fake_tensor(id, {1, 8, 8, 8}, Layout::kNchw, "float32", "input"));
  for (FakeKernel& kernel : model.kernels) {
    if (kernel.desc.type.empty()) {
      kernel.desc.name = kernel.name;
      kernel.desc.type = kernel.type;
      kernel.desc.inputs = {fake_tensor(id, {1, 8, 8, 8})};
      kernel.desc.outputs = {fake_tensor(id + 1, {1, 8, 8, 8})};
    }
    ++id;
  }
  model.outputs.push_back(fake_tensor(id, {1, 8, 8, 8}, Layout::kNchw, "float32", "output"));
  return model;
}

class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(FakeClock& clock, EngineFacts facts = default_facts(), std::uint64_t seed = 1)
      : clock_(clock), facts_(std::move(facts)), random_(seed) {}

  static EngineFacts default_facts() {
    EngineFacts facts;
    facts.name = "fake";
    facts.version = "1.0";
    facts.build = "fake";
    facts.backend = "cpu";
    return facts;
  }

  void program(const std::string& path, FakeModel model) { models_[path] = std::move(model); }
  FakeModel& model(const std::string& path) { return models_.at(path); }
  /// Factor on all times at a moment (seconds of the fake clock).
  void set_drift(std::function<double(double)> drift) { drift_ = std::move(drift); }
  /// RunSamples::steal_share at a moment (seconds of the fake clock).
  void set_steal(std::function<double(double)> steal) { steal_ = std::move(steal); }
  /// RunSamples::migrations at a moment (seconds of the fake clock).
  void set_migrations(std::function<int(double)> migrations) { migrations_ = std::move(migrations); }

  const EngineFacts& facts() const override { return facts_; }
  std::unique_ptr<Session> open(const std::string& path, const OpenOptions& options) override;
  void restart() override {
    ++restarts;
    lost_.reset();
    ++generation_;
    memory_mib_ = 0;
  }
  ProcessMemory memory() override { return {100 + memory_mib_, 100 + peak_mib_}; }

  int opens = 0;  ///< open() calls that succeeded.
  int restarts = 0;
  int live_sessions = 0;
  int chains = 0;                   ///< run_chain() calls.
  long runs = 0;                    ///< Runs of all sessions.
  std::vector<std::string> visits;  ///< Path of every Session::run call, in order.
  std::map<std::string, OpenOptions> last_options;
  std::map<std::string, std::vector<RunRequest>> requests;  ///< Of Session::run calls, by path.

 private:
  class FakeSession;

  ChainSamples do_run_chain(std::span<Session* const> sessions, int times) override {
    ++chains;
    return Engine::do_run_chain(sessions, times);
  }
  double seconds() const { return std::chrono::duration<double>(clock_.now()).count(); }
  void spend(double us) { clock_.advance(std::chrono::nanoseconds(static_cast<std::int64_t>(us * 1e3))); }
  double noisy(double us, double noise) {
    const double factor = noise > 0 ? std::exp(noise * normal_(random_)) : 1.0;
    return us * factor * (drift_ ? drift_(seconds()) : 1.0);
  }
  void throw_if_lost() const {
    if (lost_) throw Error(*lost_, "fake worker is lost: call restart()");
  }
  /// Throws the failure, and loses the worker where the failure is one of a lost worker.
  [[noreturn]] void fail(FakeModel& model, ErrorCode code, const std::string& path) {
    if (model.failures > 0) --model.failures;
    if (code == ErrorCode::kTimeout) spend(model.hang_us);
    if (code == ErrorCode::kTimeout || code == ErrorCode::kCrashed) lost_ = code;
    throw Error(code, path + ": fake failure (" + error_code_name(code) + ")");
  }

  FakeClock& clock_;
  EngineFacts facts_;
  std::map<std::string, FakeModel> models_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::function<double(double)> drift_, steal_;
  std::function<int(double)> migrations_;
  std::optional<ErrorCode> lost_;
  const Session* last_session_ = nullptr;
  long generation_ = 0;
  double memory_mib_ = 0, peak_mib_ = 0;
};

class FakeEngine::FakeSession final : public Session {
 public:
  FakeSession(FakeEngine& engine, std::string path)
      : engine_(engine), path_(std::move(path)), generation_(engine.generation_) {
    const FakeModel& model = engine_.models_.at(path_);
    for (const FakeKernel& kernel : model.kernels) {
      desc_.kernels.push_back(kernel.desc);
      if (desc_.kernels.back().type.empty()) {
        desc_.kernels.back().name = kernel.name;
        desc_.kernels.back().type = kernel.type;
      }
    }
    desc_.inputs = model.inputs;
    desc_.outputs = model.outputs;
    desc_.memory_mib = model.memory_mib;
    desc_.mflops = model.mflops;
    ++engine_.live_sessions;
    engine_.memory_mib_ += model.memory_mib;
    engine_.peak_mib_ = std::max(engine_.peak_mib_, engine_.memory_mib_);
  }
  ~FakeSession() override {
    --engine_.live_sessions;
    if (engine_.last_session_ == this) engine_.last_session_ = nullptr;
    if (generation_ == engine_.generation_) engine_.memory_mib_ -= desc_.memory_mib;
  }

  const SessionDesc& desc() const override { return desc_; }

  RunSamples run(const RunRequest& request) override {
    check_alive();
    if (request.runs < 1) throw Error(ErrorCode::kInvalidArgument, "runs must be at least 1");
    FakeModel& model = engine_.models_.at(path_);
    engine_.visits.push_back(path_);
    engine_.requests[path_].push_back(request);
    RunSamples samples;
    samples.steal_share = engine_.steal_ ? engine_.steal_(engine_.seconds()) : 0;
    samples.migrations = engine_.migrations_ ? engine_.migrations_(engine_.seconds()) : 0;
    for (int i = 0; i < request.runs; ++i) {
      if (model.run_failure && runs_ >= model.fail_at_run && model.failures != 0) {
        ++runs_;
        engine_.fail(model, *model.run_failure, path_);
      }
      const bool cold = engine_.last_session_ != this;
      since_cold_ = cold ? 0 : since_cold_ + 1;
      const double warm = since_cold_ <= 3 ? model.settling : 1;
      engine_.last_session_ = this;
      ++runs_;
      ++engine_.runs;
      engine_.spend(model.fill_us);
      samples.overhead_us += model.fill_us;
      double total = engine_.noisy(model.run_overhead_us, model.noise);
      for (const FakeKernel& kernel : model.kernels) {
        const double us = engine_.noisy(cold ? kernel.cold_us : warm * kernel.hot_us, model.noise);
        total += us;
        if (request.profile) {
          samples.kernel_us.push_back(static_cast<float>(us));
          total += model.kernel_overhead_us;
        }
      }
      engine_.spend(total);
      samples.run_us.push_back(total);
      samples.timed_us += total;
    }
    return samples;
  }

  std::vector<std::vector<float>> compute(const std::vector<std::vector<float>>& inputs) override {
    check_alive();
    const FakeModel& model = engine_.models_.at(path_);
    return model.compute ? model.compute(inputs) : inputs;
  }

 private:
  void check_alive() const {
    engine_.throw_if_lost();
    if (generation_ != engine_.generation_)
      throw Error(ErrorCode::kCrashed, path_ + ": the session was lost when the worker was started again");
  }

  FakeEngine& engine_;
  std::string path_;
  SessionDesc desc_;
  long generation_;
  long runs_ = 0, since_cold_ = 0;
};

inline std::unique_ptr<Session> FakeEngine::open(const std::string& path, const OpenOptions& options) {
  throw_if_lost();
  const auto found = models_.find(path);
  if (found == models_.end()) throw Error(ErrorCode::kNotFound, path + ": no such fake model");
  spend(found->second.open_us);
  if (found->second.open_failure && found->second.failures != 0) fail(found->second, *found->second.open_failure, path);
  ++opens;
  last_options[path] = options;
  last_session_ = nullptr;
  return std::make_unique<FakeSession>(*this, path);
}

}  // namespace mmt::testing
