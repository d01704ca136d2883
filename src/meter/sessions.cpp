#include "meter/sessions.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "meter/cache_chains.h"
#include "mmt/log.h"

namespace mmt::metering {
namespace {

using std::chrono::nanoseconds;

constexpr int kCrashesAllowed = 2;
/// Enough for answers to be read in bunches, little enough to stop soon after somebody asks for it.
constexpr double kAheadUs = 20'000;
constexpr std::size_t kMostAhead = 32;
constexpr std::size_t kLastAnswers = 3;      ///< Waited for at the end of a stretch.
constexpr double kMostMeanwhileUs = 60'000;  ///< More is not asked for ahead, whatever the program does meanwhile.
constexpr double kNewShare = 0.25;           ///< Of the last visit in what the next one is expected to take, at least.
constexpr double kWayUs = 20;                ///< What a request costs beside its runs: two messages between processes.

}  // namespace

Outcome Sessions::failed(ItemState& state, const Error& error) {
  Outcome outcome;
  std::string reason = std::string(error_code_name(error.code())) + ": " + error.what();
  if (error.code() != ErrorCode::kCrashed && error.code() != ErrorCode::kTimeout) {
    outcome.failure = std::move(reason);
    // Its session goes when nothing is started any more: closing it would throw away the answers to the others.
    return outcome;
  }
  lose_all();
  if (++state.crashes >= kCrashesAllowed) {
    outcome.failure = std::move(reason);
  } else {
    outcome.lost = true;
    log(LogLevel::kWarning, state.item->label + ": " + reason + "; the worker was started again");
  }
  return outcome;
}

void Sessions::lose_all() {
  // Every session is gone with the worker; they come back when they are needed next.
  started_.clear();
  started_us_ = 0;
  resident_mib_.reset();
  for (ItemState& state : items_) state.session.reset();
  engine_.restart();
}

void Sessions::make_plan(ItemState& state) {
  const SessionDesc& desc = state.session->desc();
  if (state.planned) {
    if (state.plan.kernels.size() == desc.kernels.size()) return;
    throw Error(ErrorCode::kEngine, state.item->path + ": opened again with another number of commands");
  }
  state.plan = hooks_.plan(state.item->path, desc);
  if (state.plan.kernels.size() != desc.kernels.size()) {
    throw Error(ErrorCode::kEngine, state.item->path + ": " + std::to_string(desc.kernels.size()) +
                                        " commands in the schedule but " + std::to_string(state.plan.kernels.size()) +
                                        " planned kernels");
  }
  state.cold.resize(desc.kernels.size());
  state.hot.resize(desc.kernels.size());
  state.memory_mib = desc.memory_mib;
  state.on_cpu = desc.cpu_kernels > 0;
  state.mflops = desc.mflops;
  state.bytes_touched = bytes_of_a_run(state.plan, desc.memory_mib, engine_.facts().threads);
}

Outcome Sessions::open(ItemState& state) {
  if (state.session) return {};
  try {
    const std::optional<double> known = std::exchange(resident_mib_, std::nullopt);
    const double resident_before = known ? *known : engine_.memory().resident_mib;
    state.session = engine_.open(state.item->path, state.item->open);
    // The first run allocates and touches everything for the first time: it counts for nothing but the memory. Where a
    // worker does it, the plan is made meanwhile.
    start({static_cast<int>(&state - items_.data()), kPlain, 1, Purpose::kOpening});
    std::optional<Error> refusal;
    try {
      make_plan(state);
    } catch (const Error& error) {
      refusal = error;
    }
    RunSamples samples;
    Outcome outcome;
    finish(samples, outcome);
    if (!outcome.ok()) return outcome;
    if (refusal) throw *refusal;
    if (!state.planned) {
      const ProcessMemory memory = engine_.memory();
      resident_mib_ = memory.resident_mib;
      state.peak_mib = std::max(0.0, memory.peak_mib - resident_before);
      state.resident_mib = std::max(0.0, memory.resident_mib - resident_before);
    }
    state.planned = true;
    return {};
  } catch (const Error& error) {
    return failed(state, error);
  }
}

void Sessions::check(const ItemState& state, const RunRequest& request, const RunSamples& samples) const {
  const auto runs = static_cast<std::size_t>(request.runs);
  const std::size_t kernels = request.profile ? runs * state.plan.kernels.size() : 0;
  if (samples.run_us.size() == runs && (!request.profile || samples.kernel_us.size() == kernels)) return;
  throw Error(ErrorCode::kEngine, state.item->path + ": asked for " + std::to_string(runs) + " runs and " +
                                      std::to_string(kernels) + " kernel times, the engine gave " +
                                      std::to_string(samples.run_us.size()) + " and " +
                                      std::to_string(samples.kernel_us.size()));
}

bool Sessions::is_busy(nanoseconds meanwhile) const {
  const double meanwhile_us = std::min(static_cast<double>(meanwhile.count()) * 1e-3, kMostMeanwhileUs);
  const double times = 1 + meanwhile_us / kAheadUs;
  const auto most = static_cast<std::size_t>(static_cast<double>(kMostAhead) * times);
  return started_.size() >= most || (started_.size() > 1 && started_us_ >= kAheadUs * times);
}

bool Sessions::is_half_busy() const {
  return started_.size() > kMostAhead / 2 || (started_.size() > 1 && started_us_ > kAheadUs / 2);
}

bool Sessions::has_time() const {
  if (!engine_.runs_apart()) return true;
  return !started_.empty() && started_.back().end - clock_.now() > nanoseconds(std::llround(kAheadUs / 2 * 1000));
}

void Sessions::rest(bool all) {
  if (!engine_.runs_apart() || started_.empty() || (all && started_.size() <= kLastAnswers)) return;
  std::size_t last = started_.size() - 1 - (all ? kLastAnswers : 0);
  if (!all) {
    double left_us = started_us_;
    for (last = 0; last + 2 < started_.size() && last + 1 < kMostAhead / 2; ++last) {
      left_us -= started_[last].expected_us;
      if (left_us <= kAheadUs / 2) break;
    }
  }
  const nanoseconds left = started_[last].end - clock_.now();
  if (left.count() > 0) clock_.sleep_for(left);
}

void Sessions::start(const Visiting& visiting) {
  ItemState& state = items_[static_cast<std::size_t>(visiting.item)];
  Started started;
  started.visiting = visiting;
  started.expected_us = state.cost_us[visiting.part] * visiting.runs;
  const nanoseconds now = clock_.now();
  started.end = (started_.empty() ? now : std::max(now, started_.back().end)) +
                nanoseconds(std::llround(started.expected_us * 1000));
  try {
    state.session->start(request_of(visiting));
  } catch (const Error& error) {
    started.error = error;
  }
  started_.push_back(std::move(started));
  started_us_ += started_.back().expected_us;
  resident_mib_.reset();
  bytes_touched_ += state.bytes_touched;
  state.touched_before = bytes_touched_;
}

Visiting Sessions::finish(RunSamples& samples, Outcome& outcome) {
  const Started started = std::move(started_.front());
  started_.pop_front();
  const Visiting& visiting = started.visiting;
  ItemState& state = items_[static_cast<std::size_t>(visiting.item)];
  double& cost = state.cost_us[visiting.part];
  started_us_ = started_.empty() ? 0 : started_us_ - started.expected_us;
  outcome = {};
  try {
    if (started.error) throw *started.error;
    samples = state.session->finish();
    check(state, request_of(visiting), samples);
  } catch (const Error& error) {
    outcome = failed(state, error);
    return visiting;
  }
  engine_us_ += samples.timed_us;
  const double took_us = samples.timed_us + samples.overhead_us + kWayUs;
  const auto shift = nanoseconds(std::llround((took_us - started.expected_us) * 1000));
  for (Started& next : started_) next.end += shift;
  // The first run of all takes several times as long as those that follow, and what lies around it many times: waiting
  // for as much would leave the engine with nothing to do.
  const double run_us = (visiting.purpose == Purpose::kOpening ? samples.timed_us : took_us) / visiting.runs;
  int& answers = state.cost_answers[visiting.part];
  if (visiting.purpose != Purpose::kOpening) ++answers;
  const double share = std::max(kNewShare, 1.0 / std::max(answers, 1));
  cost += share * (run_us - cost);
  return visiting;
}

std::optional<ChainSamples> Sessions::run_chain(std::span<const int> items, int times) {
  std::vector<Session*> links;
  for (const int item : items) links.push_back(items_[static_cast<std::size_t>(item)].session.get());
  std::optional<ChainSamples> samples = try_chain(engine_, links, times, [this] { lose_all(); });
  if (!samples) return samples;
  engine_us_ += samples->timed_us;
  resident_mib_.reset();
  for (const int item : items) {
    ItemState& state = items_[static_cast<std::size_t>(item)];
    bytes_touched_ += state.bytes_touched;
    state.touched_before = bytes_touched_;
  }
  return samples;
}

void Sessions::close(ItemState& state) {
  resident_mib_.reset();
  state.session.reset();
}

}  // namespace mmt::metering
