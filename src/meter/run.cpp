#include "meter/run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "mmt/error.h"
#include "mmt/log.h"

namespace mmt::metering {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr std::size_t kLargestBatch = 2048;  ///< Models; bounds the length of a round.
constexpr int kVisitsPerReference = 16;
constexpr int kFewestColumnVisits = 24;
constexpr int kFewestSlowVisits = 8;
constexpr nanoseconds kColumnTime = 250ms;   ///< Long enough to count stolen ticks of 10 ms.
constexpr nanoseconds kSlowColumnTime = 2s;  ///< For models so slow that few visits fit.
constexpr int kFirstChains = 5;              ///< Later ones follow while the batch is measured.
constexpr int kWarmUpShare = 8;              ///< An eighth of a budget, then warming up gets shorter.
constexpr int kEvaluationShare = 100;        ///< Statistics may take a hundredth of the time.

MeterOptions checked(const MeterOptions& options) {
  const auto demand = [](bool fine, const char* what) {
    if (!fine) throw Error(ErrorCode::kInvalidArgument, std::string("meter options: ") + what);
  };
  demand(options.times >= 1, "times must be at least 1");
  demand(options.min_times >= 1, "min_times must be at least 1");
  demand(options.hot_runs >= 0, "hot_runs must not be negative");
  demand(options.settling_runs >= 0, "settling_runs must not be negative");
  demand(std::isfinite(options.target_ci) && options.target_ci >= 0, "target_ci must be a share such as 0.01");
  demand(options.budget.count() >= 0, "the budget must not be negative");
  demand(options.max_steal >= 0, "max_steal must not be negative");
  demand(options.max_retries >= 0, "max_retries must not be negative");
  demand(options.batch_memory_mib > 0, "batch_memory_mib must be above 0");
  return options;
}

}  // namespace

Run::Run(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& items, const MeterOptions& options,
         Clock& clock, const ProfileSink& sink, const ProgressHook& progress, const StopHook& stop)
    : hooks_(hooks),
      engine_(engine),
      options_(checked(options)),
      precision_{options.times, std::min(options.min_times, options.times), options.target_ci},
      clock_(clock),
      sink_(sink),
      progress_(progress),
      stop_(stop),
      scale_({options.max_steal, options.max_retries, options.cooldown.count() > 0}),
      chains_(options.cache_bytes, options.seed, engine.facts().threads),
      sessions_(engine, hooks, options, clock, items_),
      random_(options.seed),
      per_kernel_(engine.facts().per_kernel),
      start_(clock.now()),
      last_kept_(start_) {
  reference_item_ = hooks.reference;
  if (reference_item_.path.empty()) reference_item_.path = options.reference;
  const bool has_own_reference = !reference_item_.path.empty();
  items_.resize(items.size() + (has_own_reference ? 1 : 0));  // Never again: states are referred to.
  for (std::size_t i = 0; i < items.size(); ++i) items_[i].item = &items[i];
  if (has_own_reference) {
    reference_item_.label = "reference " + reference_item_.path;
    own_reference_ = static_cast<int>(items.size());
    items_.back().item = &reference_item_;
    items_.back().reported = false;
  }
  for (const std::string& key : hooks.known_kernels) {
    SharedKernel& kernel = pool_[pool_.add(key)];
    kernel.cold.settle();
    kernel.hot.settle();
  }
  if (options.budget.count() > 0) deadline_ = start_ + options.budget;
}

double Run::elapsed_us() const { return std::chrono::duration<double, std::micro>(clock_.now() - start_).count(); }

double Run::affordable_us() const {
  if (!batch_deadline_) return std::numeric_limits<double>::infinity();
  return std::chrono::duration<double, std::micro>(*batch_deadline_ - clock_.now()).count();
}

bool Run::halted() {
  if (!result_.interrupted && stop_ && stop_()) result_.interrupted = true;
  return result_.interrupted || (batch_deadline_ && clock_.now() >= *batch_deadline_);
}

MeterResult Run::go() {
  while (next_waiting_ < items_.size() - (own_reference_ >= 0 ? 1 : 0)) {
    batch_deadline_ = deadline_;
    if (halted()) break;
    const std::size_t left_before = items_.size() - next_waiting_;
    const std::vector<int> batch = open_batch();
    if (deadline_) {
      // Every batch gets its models' share of the time that is left.
      const double share = static_cast<double>(batch.size()) / static_cast<double>(left_before);
      const auto left = std::chrono::duration<double, std::nano>(*deadline_ - clock_.now());
      batch_deadline_ = clock_.now() + nanoseconds(static_cast<std::int64_t>(std::max(0.0, left.count() * share)));
      if (next_waiting_ >= items_.size() - (own_reference_ >= 0 ? 1 : 0)) batch_deadline_ = deadline_;
    }
    choose_reference(batch);
    warm_up(batch);
    measure(batch);
    close_batch(batch);
  }
  result_.cache = judge_chains();
  result_.budget_ended = deadline_ && clock_.now() >= *deadline_;
  const double wall_us = elapsed_us();
  result_.wall_s = wall_us / 1e6;
  result_.engine_share = wall_us > 0 ? sessions_.engine_us() / wall_us : 0;
  result_.rounds = round_;
  report({}, "");
  return result_;
}

std::vector<int> Run::open_batch() {
  std::vector<int> batch;
  double memory_mib = 0;
  const std::size_t end = items_.size() - (own_reference_ >= 0 ? 1 : 0);
  const nanoseconds start = clock_.now();
  while (next_waiting_ < end && batch.size() < kLargestBatch && !halted()) {
    // Where opening is slow (a backend that compiles and tunes) the models that are open get the other half.
    if (!batch.empty() && batch_deadline_ && 2 * (clock_.now() - start) > *batch_deadline_ - start) break;
    if (!batch.empty() && memory_mib >= static_cast<double>(options_.batch_memory_mib)) break;
    const auto index = static_cast<int>(next_waiting_++);
    report(batch, items_[static_cast<std::size_t>(index)].item->label);
    if (!ensure_open(index)) continue;
    ItemState& state = items_[static_cast<std::size_t>(index)];
    batch.push_back(index);
    // The file's bytes are kept beside what the engine makes of them.
    const double estimate = state.memory_mib + static_cast<double>(state.item->file_bytes) / (1024.0 * 1024.0);
    memory_mib += std::max(estimate, state.resident_mib);
  }
  return batch;
}

void Run::prepare(ItemState& state) {
  state.phase = Phase::kOpen;
  for (const PlannedKernel& kernel : state.plan.kernels) {
    const bool wanted = per_kernel_ && state.reported && kernel.role != KernelRole::kStub;
    std::string key = kernel.signature.key;
    if (!options_.share_kernels) key += "#" + std::to_string(&state - items_.data());
    const int known = pool_.size();
    state.keys.push_back(wanted ? pool_.add(key) : -1);
    if (!wanted) continue;
    if (state.keys.back() < known) ++result_.kernels_shared;
    SharedKernel& shared = pool_[state.keys.back()];
    ++shared.open_models;
    if (options_.hot_runs == 0) shared.hot.settle();
    ++result_.kernels_total;
  }
  if (options_.hot_runs == 0) state.total_hot.settle();
  for (int& row : state.rows) row = scale_.add_row();
}

void Run::warm_up(const std::vector<int>& batch) {
  std::vector<Visit> visits;
  for (const int index : batch) {
    const ItemState& state = items_[static_cast<std::size_t>(index)];
    if (wants_plain(state, precision_)) visits.push_back({index, kPlain});
    if (wants_profile(state, pool_, precision_)) visits.push_back({index, kProfiled});
  }
  shuffle(visits, random_);
  const nanoseconds start = clock_.now();
  std::vector<bool> warmed(items_.size(), false);
  for (const Visit& visit : visits) {
    if (halted()) break;
    if (!ensure_open(visit.item)) continue;
    // On a device so slow that this would take much of the budget one run of each model must do.
    const bool late = batch_deadline_ && kWarmUpShare * (clock_.now() - start) > *batch_deadline_ - start;
    const auto item = static_cast<std::size_t>(visit.item);
    if (late && warmed[item]) continue;
    warmed[item] = true;
    ask({visit.item, visit.part, late ? 1 : options_.runs_per_visit(), Purpose::kWarming});
    report(batch, items_[static_cast<std::size_t>(visit.item)].item->label);
  }
  take_all_answers();
  batch_bytes_ = 0;
  fillers_ = batch;
  if (own_reference_ >= 0) fillers_.push_back(own_reference_);
  for (const int index : fillers_) batch_bytes_ += items_[static_cast<std::size_t>(index)].bytes_touched;
  // Those that push most out of the cache in a given time, first.
  const auto rate = [&](int index) {
    const ItemState& state = items_[static_cast<std::size_t>(index)];
    return static_cast<double>(state.bytes_touched) / std::max(state.cost_us[kPlain], 1.0);
  };
  std::stable_sort(fillers_.begin(), fillers_.end(), [&](int a, int b) { return rate(a) > rate(b); });
}

void Run::measure(const std::vector<int>& batch) {
  finish_settled(batch, true);  // Those that others measured already.
  begin_column();
  for (int i = 0; i < kFirstChains && !halted(); ++i) run_chain(batch);
  while (!halted()) {
    std::vector<Visit> visits = choose_round(items_, batch, pool_, precision_, round_, random_);
    if (visits.empty()) {
      take_all_answers();
      if (column_visits_ == 0) break;
      end_column(batch, false, true);
      continue;
    }
    ++round_;
    ++column_rounds_;
    // Three full rounds first: before that nobody can tell what is worth a visit.
    if (batch_deadline_ && round_ > 3 && time_left_us(items_, batch, pool_, precision_, options_) > affordable_us()) {
      double cost = 0;
      for (const Visit& visit : visits) cost += items_[static_cast<std::size_t>(visit.item)].cost_us[visit.part];
      keep_most_useful(visits, items_, pool_, precision_, cost / 2);
    }
    make_visits(std::move(visits), batch);
    // Where none is due, the next round is chosen while the engine is at work on the last of this one.
    if (column_is_due(true)) end_column(batch);
  }
  take_all_answers();
  if (column_visits_ > 0) {
    end_column(batch, !result_.interrupted, true);
  } else if (unjudged_ != nullptr) {
    evaluate(*std::exchange(unjudged_, nullptr));
  }
  keep_results(true);
  if (!result_.interrupted) finish_what_there_is(batch);
}

void Run::make_visits(std::vector<Visit> visits, const std::vector<int>& batch) {
  int since_reference = kVisitsPerReference;
  for (const Visit& next : visits) {
    if (halted()) break;
    ItemState& state = items_[static_cast<std::size_t>(next.item)];
    if (state.phase != Phase::kOpen) continue;
    if (next.part == kPlain ? !wants_plain(state, precision_) : !wants_profile(state, pool_, precision_)) continue;
    if (since_reference++ >= kVisitsPerReference) {
      visit_reference();
      since_reference = 1;
      if (state.phase != Phase::kOpen) continue;
    }
    visit(next.item, next.part, wants_hot(state, next.part, pool_, precision_));
    if (state.last_round != round_) ++state.rounds;
    state.last_round = round_;
    if (column_is_due(false)) {
      end_column(batch);
      since_reference = kVisitsPerReference;  // Each stretch begins with the reference.
    }
    report(batch, state.item->label);
  }
}

bool Run::column_is_due(bool round_ended) const {
  const nanoseconds age = clock_.now() - column_start_;
  if (age >= kColumnTime && column_visits_ >= kFewestColumnVisits) return true;
  if (age >= kSlowColumnTime && column_visits_ >= kFewestSlowVisits) return true;
  return round_ended && column_rounds_ >= precision_.min_times && column_visits_ >= kFewestColumnVisits;
}

void Run::begin_column() {
  scale_.begin_column();
  column_rounds_ = column_visits_ = 0;
  column_start_ = clock_.now();
}

void Run::end_column(const std::vector<int>& batch, bool keep, bool must_evaluate) {
  take_all_answers();
  const bool throttled = hooks_.throttled && hooks_.throttled();
  if (throttled) scale_.set_throttled();
  const int column = scale_.column();
  if (!scale_.close_column(keep)) {
    for (ItemState& state : items_) state.drop_column(column);
    for (SharedKernel& kernel : pool_.all()) {
      kernel.cold.drop_column(column);
      kernel.hot.drop_column(column);
    }
    chains_.drop_column(column);
    std::erase_if(reference_hot_, [column](const Sample& sample) { return sample.column == column; });
  }
  unjudged_ = nullptr;
  if (must_evaluate) {
    evaluate(batch);
    keep_results(true);
  } else if (clock_.now() - last_evaluation_ >= kEvaluationShare * evaluation_cost_) {
    unjudged_ = &batch;  // No more often than the statistics' own cost allows.
  }
  begin_column();
  if (throttled) cool_down();
  if (!must_evaluate && !halted()) run_chain(batch);
}

void Run::cool_down() {
  const nanoseconds start = clock_.now();
  if (options_.cooldown.count() == 0) return;
  log(LogLevel::kWarning, "the CPU throttles; waiting for it to recover");
  while (clock_.now() - start < options_.cooldown && !halted() && hooks_.throttled()) clock_.sleep_for(1s);
  column_start_ = clock_.now();
}

void Run::evaluate(const std::vector<int>& batch) {
  const nanoseconds start = clock_.now();
  scale_.fit();
  for (const int index : batch) {
    ItemState& state = items_[static_cast<std::size_t>(index)];
    if (state.phase != Phase::kOpen) continue;
    for (Quantity* quantity : {&state.total_cold, &state.total_hot}) {
      if (!quantity->settled()) quantity->evaluate(scale_.factors(), precision_);
    }
  }
  for (SharedKernel& kernel : pool_.all()) {
    if (kernel.open_models == 0) continue;
    for (Quantity* quantity : {&kernel.cold, &kernel.hot}) {
      if (!quantity->settled()) quantity->evaluate(scale_.factors(), precision_);
    }
  }
  last_evaluation_ = clock_.now();
  evaluation_cost_ = last_evaluation_ - start;
  unkept_ = &batch;
}

void Run::keep_results(bool all) {
  if (unkept_ != nullptr && finish_settled(*unkept_, all) && keep_unfinished(*unkept_, all)) unkept_ = nullptr;
}

}  // namespace mmt::metering
