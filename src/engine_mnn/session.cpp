#include "engine_mnn/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/input_values.h"
#include "engine_mnn/describe.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

/// The layout in which a user gives values to this tensor: as in its shape.
MNN::Tensor::DimensionType host_layout(const MNN::Tensor* device) {
  return static_cast<int>(MNN::TensorUtils::getDescribe(device)->dimensionFormat) == 1 ? MNN::Tensor::TENSORFLOW
                                                                                       : MNN::Tensor::CAFFE;
}

HostTensor host_tensor(const MNN::Tensor* device, void* data) {
  return HostTensor(MNN::Tensor::create(device->shape(), device->getType(), data, host_layout(device)));
}

bool is_copy(const KernelDesc& kernel) { return kernel.type == kCopyType; }

/// Several times what a thread of the pool needs to wake up.
constexpr double kWakingUs = 60;

/// Computes that long without touching memory, and returns how long it was.
double wait_us(double us) {
  const std::int64_t start = now_ns(), end = start + static_cast<std::int64_t>(us * 1e3);
  std::int64_t now = start;
  while (now < end) now = now_ns();
  return static_cast<double>(now - start) * 1e-3;
}

}  // namespace

MnnSession::MnnSession(Model model, const std::string& origin, const OpenOptions& options, Shared& shared,
                       bool synchronise)
    : origin_(origin),
      model_(std::move(model)),
      synchronise_(synchronise),
      desc_(describe(model_, origin_)),
      shared_(shared) {
  const auto copies = std::count_if(desc_.kernels.begin(), desc_.kernels.end(), is_copy);
  listed_ = desc_.kernels.size() - static_cast<std::size_t>(copies);
  stamps_.resize(listed_ * 2 + 1);
  if (model_.threads() > 1 && !synchronise_) waking_us_ = kWakingUs;
  // Does nothing but read the clock, because what it takes is charged to the kernels; before the first one, the pool's
  // threads get the time to wake up, which the first kernel of every operator would be charged with otherwise.
  stamp_ = [this](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo*) {
    if (waking_us_ > 0 && cursor_ == stamps_.data()) waited_us_ = wait_us(waking_us_);
    *cursor_ = now_ns();
    if (cursor_ != &stamps_.back()) ++cursor_;
    return true;
  };
  prepare_inputs(options);
}

void MnnSession::prepare_inputs(const OpenOptions& options) {
  std::uint64_t state = options.seed;
  for (std::size_t i = 0; i < model_.inputs().size(); ++i) {
    const NamedTensor& named = model_.inputs()[i];
    const InputSpec* given = find_spec(options.inputs, i, named.name);
    const InputSpec spec = given != nullptr ? *given : InputSpec{};
    const ElementType type{named.tensor->getType()};
    if (!is_known_type(type.type))
      throw Error(ErrorCode::kUnsupported, origin_ + ": input '" + named.name + "' has type " + type_name(type.type) +
                                               ", which cannot be filled");
    const std::size_t count = element_count(named.tensor->shape());
    Input input;
    input.device = named.tensor;
    // Integers are indices more often than not: the default range must be legal for any table.
    const InputSpec defaults;
    const bool is_zero = type.type.code != halide_type_float && spec.low == defaults.low && spec.high == defaults.high;
    input.values = shared_.pool.values(type, is_zero ? 0 : spec.low, is_zero ? 1 : spec.high,
                                       options.independent ? 0 : spec.shared, count);
    for (int f = 0; f < kFillings; ++f) {
      const std::size_t place = next_random(state) % RandomPool::kSpread / 16 * 16;  // keeps cache lines aligned
      input.fillings.push_back(host_tensor(input.device, input.values->data() + place * type.bytes()));
      if (input.fillings.back() == nullptr)
        throw Error(ErrorCode::kEngine, origin_ + ": cannot create an input tensor");
    }
    inputs_.push_back(std::move(input));
  }
}

void MnnSession::fail(const std::string& doing, int code) const {
  throw Error(ErrorCode::kEngine, origin_ + ": " + doing + " failed: " + error_text(code));
}

void MnnSession::fill_inputs() {
  for (Input& input : inputs_) {
    if (!input.device->copyFromHostTensor(input.fillings[next_filling_].get()))
      throw Error(ErrorCode::kEngine, origin_ + ": the inputs cannot be filled");
    // An upload that is still under way would be charged to the run.
    if (synchronise_) input.device->wait(MNN::Tensor::MAP_TENSOR_WRITE, true);
  }
  next_filling_ = (next_filling_ + 1) % kFillings;
}

void MnnSession::wait_for_outputs() const {
  for (const NamedTensor& output : model_.outputs()) output.tensor->wait(MNN::Tensor::MAP_TENSOR_READ, true);
}

double MnnSession::execute() {
  const std::int64_t begin = now_ns();
  const int code = static_cast<int>(model_.interpreter().runSession(model_.session()));
  if (code == 0 && synchronise_) wait_for_outputs();
  const std::int64_t end = now_ns();
  if (code != 0) fail("a run", code);
  return static_cast<double>(end - begin) * 1e-3;
}

double MnnSession::execute_profiled(float* kernel_us) {
  cursor_ = stamps_.data();
  waited_us_ = 0;
  const std::int64_t begin = now_ns();
  // One callback for before and after, which MNN calls in turn.
  const int code =
      static_cast<int>(model_.interpreter().runSessionWithCallBackInfo(model_.session(), stamp_, stamp_, true));
  if (code == 0 && synchronise_) wait_for_outputs();
  const std::int64_t end = now_ns();
  if (code != 0) fail("a profiled run", code);
  const auto stamped = static_cast<std::size_t>(cursor_ - stamps_.data());
  if (stamped != 2 * listed_)
    throw Error(ErrorCode::kEngine,
                origin_ + ": a run executed other kernels than the " + std::to_string(listed_) + " of the schedule");
  // The engine calls back around its commands only: a copy lies between two of them.
  const std::int64_t* before = stamps_.data();
  std::int64_t free_since = begin + static_cast<std::int64_t>(waited_us_ * 1e3);
  for (const KernelDesc& kernel : desc_.kernels) {
    const bool copy = is_copy(kernel);
    *kernel_us++ =
        static_cast<float>(static_cast<double>(copy ? before[0] - free_since : before[1] - before[0]) * 1e-3);
    if (copy) continue;
    free_since = before[1];
    before += 2;
  }
  return static_cast<double>(end - begin) * 1e-3 - waited_us_;
}

double MnnSession::find_activations() {
  ActivationMemory found;
  // Inputs of kernels may be constants, which lie with the weights.
  const MNN::TensorCallBackWithInfo pass = [](const auto&, const MNN::OperatorInfo*) { return true; };
  const MNN::TensorCallBackWithInfo look = [&found](const std::vector<MNN::Tensor*>& tensors,
                                                    const MNN::OperatorInfo*) {
    for (const MNN::Tensor* tensor : tensors) found.add(*tensor);
    return true;
  };
  const std::int64_t begin = now_ns();
  const int code =
      static_cast<int>(model_.interpreter().runSessionWithCallBackInfo(model_.session(), pass, look, true));
  const std::int64_t end = now_ns();
  if (code != 0) fail("a run", code);
  // Last, as what a kernel reads was written last.
  for (const Input& input : inputs_) found.add_input(*input.device);
  found.complete();
  found.gather(shared_.placement);
  activations_ = std::move(found);
  return static_cast<double>(end - begin) * 1e-3;
}

bool MnnSession::surround(const RunRequest& request, int run) {
  // What is larger than these caches would push itself out of them.
  const bool fits = activations_->bytes() <= static_cast<std::size_t>(request.displace_bytes);
  if (run == 0) {
    activations_->write();
    // As after displacing: the memory of others fills these caches, but for activations.
    if (fits && shared_.used.displaced(used_, request.displace_bytes)) return true;
    activations_->write();  // Once does not bring all of it into the last cache where much of it was far away.
  }
  if (run != 0 && run <= request.settling_runs) return false;
  shared_.caches.displace(request.displace_bytes);
  // In a network the kernels before used this memory as well: only weights are far.
  if (fits) activations_->write();
  return true;
}

RunSamples MnnSession::run(const RunRequest& request) {
  if (request.runs < 1) throw Error(ErrorCode::kInvalidArgument, "runs must be at least 1");
  // Another device has caches of its own.
  const bool as_inside = request.displace_bytes > 0 && !synchronise_;
  const std::int64_t start = now_ns();
  RunSamples samples;
  samples.run_us.resize(request.runs);
  const std::size_t kernels = desc_.kernels.size();
  if (request.profile) samples.kernel_us.resize(request.runs * kernels);
  shared_.steal.start();
  int cpu = current_cpu();
  if (cpu < 0) samples.migrations = -1;
  bool must_look = !synchronise_ && !activations_;
  if (must_look && request.profile) {
    fill_inputs();
    find_activations();
    must_look = false;
  }
  for (int i = 0; i < request.runs; ++i) {
    const bool is_surrounded = as_inside && !must_look && surround(request, i);
    fill_inputs();
    if (is_surrounded) shared_.caches.share(*activations_);
    samples.run_us[i] = must_look         ? find_activations()
                        : request.profile ? execute_profiled(samples.kernel_us.data() + i * kernels)
                                          : execute();
    must_look = false;
    shared_.used.add(desc_.memory_mib, used_);
    samples.timed_us += samples.run_us[i];
    const int cpu_now = current_cpu();
    if (cpu_now != cpu && samples.migrations >= 0) ++samples.migrations;
    cpu = cpu_now;
  }
  samples.steal_share = shared_.steal.share();
  samples.overhead_us = static_cast<double>(now_ns() - start) * 1e-3 - samples.timed_us;
  return samples;
}

ChainSamples MnnSession::run_chain(std::span<MnnSession* const> sessions, int times) {
  if (times < 1 || sessions.empty()) throw Error(ErrorCode::kInvalidArgument, "a chain holds sessions and is run");
  const std::int64_t start = now_ns();
  ChainSamples samples;
  std::size_t kernels = 0;
  for (MnnSession* session : sessions) {
    if (!session->activations_ && !session->synchronise_) {
      session->fill_inputs();
      session->find_activations();
    }
    kernels += session->desc_.kernels.size();
  }
  samples.kernel_us.resize(static_cast<std::size_t>(times) * kernels);
  float* place = samples.kernel_us.data();
  StealMeter& steal = sessions.front()->shared_.steal;
  steal.start();
  for (int time = 0; time < times; ++time) {
    for (MnnSession* session : sessions) {
      const std::int64_t begin = now_ns();
      // In a model, the kernels before used this memory as well.
      if (session->activations_) session->activations_->write();
      // The engine uses an input's memory again for other tensors: fed with its own results, a network soon computes
      // with denormal numbers, or with values that are no legal indices.
      session->fill_inputs();
      if (session->activations_) session->shared_.caches.share(*session->activations_);
      samples.waited_us += static_cast<double>(now_ns() - begin) * 1e-3;
      samples.timed_us += session->execute_profiled(place);
      samples.waited_us += session->waited_us_;
      session->shared_.used.add(session->desc_.memory_mib, session->used_);
      place += session->desc_.kernels.size();
    }
  }
  samples.steal_share = steal.share();
  samples.overhead_us = static_cast<double>(now_ns() - start) * 1e-3 - samples.timed_us - samples.waited_us;
  return samples;
}

std::vector<std::vector<float>> MnnSession::compute(const std::vector<std::vector<float>>& values) {
  if (values.size() != inputs_.size())
    throw Error(ErrorCode::kInvalidArgument, origin_ + ": has " + std::to_string(inputs_.size()) + " inputs, given " +
                                                 std::to_string(values.size()));
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    MNN::Tensor* device = inputs_[i].device;
    const ElementType type{device->getType()};
    const std::size_t count = element_count(device->shape());
    if (values[i].size() != count)
      throw Error(ErrorCode::kInvalidArgument, origin_ + ": input '" + model_.inputs()[i].name + "' has " +
                                                   std::to_string(count) + " elements, given " +
                                                   std::to_string(values[i].size()));
    std::vector<std::uint8_t> bytes(count * type.bytes());
    for (std::size_t e = 0; e < count; ++e) store_element(bytes.data(), e, type, values[i][e]);
    const HostTensor host = host_tensor(device, bytes.data());
    if (host == nullptr || !device->copyFromHostTensor(host.get()))
      throw Error(ErrorCode::kEngine, origin_ + ": the inputs cannot be filled");
  }
  execute();
  std::vector<std::vector<float>> results;
  for (const NamedTensor& output : model_.outputs()) {
    const ElementType type{output.tensor->getType()};
    if (!is_known_type(type.type))
      throw Error(ErrorCode::kUnsupported, origin_ + ": output '" + output.name + "' has type " + type_name(type.type));
    const std::size_t count = element_count(output.tensor->shape());
    std::vector<std::uint8_t> bytes(count * type.bytes());
    const HostTensor host = host_tensor(output.tensor, bytes.data());
    if (host == nullptr || !output.tensor->copyToHostTensor(host.get()))
      throw Error(ErrorCode::kEngine, origin_ + ": the outputs cannot be read");
    std::vector<float>& result = results.emplace_back(count);
    for (std::size_t e = 0; e < count; ++e) result[e] = static_cast<float>(load_element(bytes.data(), e, type));
  }
  return results;
}

}  // namespace mmt::mnn
