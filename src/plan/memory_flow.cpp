#include "plan/memory_flow.h"

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "plan/flow_numbers.h"
#include "plan/memory_pool.h"

namespace mmt::memory {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
// Pack, tile and rows of the engine's CPU code: SSE and plain C++, AVX2, AVX-512, and 64-bit and 32-bit NEON.
constexpr std::array<std::array<int, 3>, 5> kKnownTraits = {
    {{8, 24, 4}, {4, 16, 4}, {16, 48, 8}, {4, 12, 8}, {4, 12, 4}}};

}  // namespace

int Flow::add_tensor(Shape shape, Origin origin) {
  tensors.push_back({std::move(shape), origin, false});
  return static_cast<int>(tensors.size()) - 1;
}

int Flow::add_copy(int source, bool packed) {
  Shape shape = tensors[static_cast<std::size_t>(source)].shape;
  shape.packed = packed;
  const int copy = add_tensor(std::move(shape));
  steps.push_back({KernelText{}, {source}, {copy}});
  return copy;
}

Account account_for(const Flow& flow, const Traits& traits) {
  ActivationPool pool;
  WeightHeap heap;
  std::vector<int> uses(flow.tensors.size(), 0);
  for (const Step& step : flow.steps) {
    for (const int read : step.reads) {
      if (read >= 0) ++uses[static_cast<std::size_t>(read)];
    }
  }
  std::vector<std::optional<ActivationPool::Handle>> held(flow.tensors.size());
  const auto hold = [&](int number) {
    if (number < 0 || held[static_cast<std::size_t>(number)]) return;
    const Tensor& tensor = flow.tensors[static_cast<std::size_t>(number)];
    held[static_cast<std::size_t>(number)] =
        pool.take(tensor.shape.bytes(traits.pack), tensor.origin == Origin::kInput);
  };
  struct Copy {
    ActivationPool::Handle block;
    int uses;
  };
  std::vector<std::optional<Copy>> copies(flow.tensors.size());  // Unpacked ones.
  std::int64_t loading = 0;
  ProcessHeap process;
  const auto keep = [&](std::int64_t bytes) {
    const std::int64_t before = heap.held();
    const WeightHeap::Handle piece = heap.take(bytes);
    if (heap.held() > before) process.take(bytes);
    return piece;
  };
  for (const Step& step : flow.steps) {
    const Needs needs = needs_of(step.kernel, traits);
    const bool among_others = process.take(needs.outside);
    for (const std::int64_t bytes : needs.kept) keep(bytes);
    std::vector<WeightHeap::Handle> preparing;
    for (const std::int64_t bytes : needs.preparing) preparing.push_back(keep(bytes));
    loading = std::max(loading, heap.held() + needs.outside + process.holes());
    process.give_back(needs.outside, among_others);
    for (const WeightHeap::Handle piece : preparing) heap.give_back(piece);
    for (const int read : step.reads) hold(read);
    for (const int written : step.writes) hold(written);
    std::vector<ActivationPool::Handle> scratch;
    for (const std::int64_t bytes : needs.scratch) scratch.push_back(pool.take(bytes));
    for (const std::size_t position : needs.unpacked) {
      if (position >= step.reads.size() || step.reads[position] < 0) continue;
      const auto number = static_cast<std::size_t>(step.reads[position]);
      if (!copies[number]) {
        Shape flat = step.kernel.inputs[position];
        flat.packed = false;
        copies[number] = Copy{pool.take(flat.bytes(traits.pack)), uses[number]};
      }
      if (--copies[number]->uses == 0) scratch.push_back(copies[number]->block);
    }
    for (const ActivationPool::Handle block : scratch) pool.give_back(block);
    for (const int read : step.reads) {
      if (read < 0) continue;
      const auto number = static_cast<std::size_t>(read);
      if (--uses[number] > 0 || flow.tensors[number].output || !held[number]) continue;
      pool.give_back(*held[number]);
      held[number].reset();
    }
  }
  process.take(pool.bytes());
  return {heap.bytes(), pool.bytes(), loading, process.holes()};
}

std::vector<std::vector<std::int64_t>> weight_steps(const Flow& flow, const Traits& traits) {
  std::vector<std::vector<std::int64_t>> steps;
  for (const Step& step : flow.steps) {
    Needs needs = needs_of(step.kernel, traits);
    std::vector<std::int64_t>& sizes = needs.kept;
    for (const std::int64_t bytes : needs.preparing) sizes.push_back(-bytes);
    std::erase(sizes, 0);
    if (!sizes.empty()) steps.push_back(std::move(sizes));
  }
  return steps;
}

bool session_flow(const ContextRow& context, LatencyTable& table, Flow& flow) {
  if (context.tensors.size() != context.kernel_keys.size() || context.kernel_keys.empty()) return false;
  std::map<int, int> known;
  const int inputs = static_cast<int>(context.inputs.size()), outputs = static_cast<int>(context.outputs.size());
  const auto number_of = [&](int number, const Shape& shape) {
    if (number < 0) return -1;
    const auto [it, fresh] = known.try_emplace(number, 0);
    if (fresh) {
      it->second = flow.add_tensor(shape, number < inputs ? Origin::kInput : Origin::kKernel);
      flow.tensors.back().output = number >= inputs && number < inputs + outputs;
    }
    return it->second;
  };
  for (std::size_t k = 0; k < context.kernel_keys.size(); ++k) {
    const auto row = table.find_kernel(context.kernel_keys[k]);
    const FlowNumbers numbers = FlowNumbers::parse(context.tensors[k]);
    if (row == nullptr || context.tensors[k].empty()) return false;
    Step step{KernelText::parse(row->type, row->attributes, row->text, row->weight_bytes), {}, {}};
    if (step.kernel.inputs.size() != numbers.reads.size() || step.kernel.outputs.size() != numbers.writes.size())
      return false;
    for (std::size_t i = 0; i < numbers.reads.size(); ++i) {
      if (numbers.copied_from[i] >= 0 && !known.contains(numbers.reads[i])) {
        const int source = number_of(numbers.copied_from[i], step.kernel.inputs[i]);
        known[numbers.reads[i]] = flow.add_copy(source, step.kernel.inputs[i].packed);
      }
      step.reads.push_back(number_of(numbers.reads[i], step.kernel.inputs[i]));
    }
    for (std::size_t i = 0; i < numbers.writes.size(); ++i)
      step.writes.push_back(number_of(numbers.writes[i], step.kernel.outputs[i]));
    flow.steps.push_back(std::move(step));
  }
  return true;
}

Traits find_traits(const std::vector<const ContextRow*>& contexts, LatencyTable& table) {
  Traits best;
  best.threads = std::max(1, table.config().run.facts.threads);
  std::vector<std::pair<Flow, double>> measured;
  for (const ContextRow* context : contexts) {
    Flow flow;
    if (context->memory_mib > 0 && session_flow(*context, table, flow))
      measured.emplace_back(std::move(flow), context->memory_mib);
  }
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [pack, tile, rows] : kKnownTraits) {
    const Traits traits{pack, tile, rows, best.threads};
    double apart = 0;
    for (const auto& [flow, mib] : measured)
      apart += std::abs(static_cast<double>(account_for(flow, traits).bytes()) / kMib / mib - 1.0);
    if (apart < least - 1e-9) {
      least = apart;
      best = traits;
    }
  }
  return best;
}

}  // namespace mmt::memory
