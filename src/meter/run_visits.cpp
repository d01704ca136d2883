// Single visits: running a model after enough others, and recording what it says.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "meter/run.h"
#include "mmt/log.h"
#include "mmt/stats.h"

namespace mmt::metering {

bool Run::handle(ItemState& state, const Outcome& outcome) {
  if (outcome.ok()) return true;
  last_run_ = -1;
  if (outcome.failure) {
    state.failed = true;  // Nothing of what it still answers counts.
    take_all_answers();
    fail(state, *outcome.failure);
  }
  return false;
}

void Run::ask(const Visiting& visiting) {
  if (sessions_.is_busy(unjudged_ != nullptr ? evaluation_cost_ : std::chrono::nanoseconds{0})) {
    if (unjudged_ != nullptr) evaluate(*std::exchange(unjudged_, nullptr));
    keep_results(false);
    sessions_.rest();
    while (sessions_.is_half_busy()) take_answer();
  }
  // An answer may have cost the session that is to be run.
  if (!items_[static_cast<std::size_t>(visiting.item)].session) return;
  sessions_.start(visiting);
  last_run_ = visiting.item;
}

void Run::take_answer() {
  RunSamples samples;
  Outcome outcome;
  const Visiting visiting = sessions_.finish(samples, outcome);
  ItemState& state = items_[static_cast<std::size_t>(visiting.item)];
  if (state.failed && !outcome.lost) return;
  if (!handle(state, outcome) || visiting.purpose != Purpose::kMeasuring) return;
  record(state, visiting.part, samples);
}

void Run::take_all_answers() {
  sessions_.rest(true);
  while (sessions_.any_started()) take_answer();
}

bool Run::ensure_open(int index) {
  ItemState& state = items_[static_cast<std::size_t>(index)];
  if (state.session) return true;
  if (state.failed) return false;
  take_all_answers();
  Outcome outcome = sessions_.open(state);
  if (outcome.lost) outcome = sessions_.open(state);  // Once more on the new worker.
  if (!handle(state, outcome)) return false;
  last_run_ = index;
  if (state.phase == Phase::kWaiting) prepare(state);
  return true;
}

void Run::choose_reference(const std::vector<int>& batch) {
  const auto runs = [&](int index) { return index >= 0 && items_[static_cast<std::size_t>(index)].session != nullptr; };
  if (runs(reference_)) return;
  const bool is_first = reference_ < 0;
  reference_ = -1;
  if (own_reference_ >= 0 && ensure_open(own_reference_)) reference_ = own_reference_;
  for (std::size_t i = 0; i < batch.size() && reference_ < 0; ++i) {
    if (ensure_open(batch[i])) reference_ = batch[i];
  }
  reference_hot_.clear();
  if (reference_ >= 0 && is_first && hooks_.reference_us > 0) {
    scale_.set_anchor(items_[static_cast<std::size_t>(reference_)].rows[1], hooks_.reference_us);
  }
}

void Run::visit_reference() {
  if (reference_ < 0 || !ensure_open(reference_)) {
    std::vector<int> others;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].phase == Phase::kOpen) others.push_back(static_cast<int>(i));
    }
    choose_reference(others);
    if (reference_ < 0) return;
  }
  visit(reference_, kPlain, true);
}

void Run::ensure_cold(int index) {
  const ItemState& state = items_[static_cast<std::size_t>(index)];
  // Half of what a batch touches is the most that random orders could promise anyway.
  const std::int64_t want = std::min(options_.evict_bytes, batch_bytes_ / 2);
  if (options_.evict_bytes > batch_bytes_ && !said_warm_) {
    said_warm_ = true;
    log(LogLevel::kInfo,
        "the models touch " + std::to_string(batch_bytes_ / 1024) +
            " KiB in all, less than the cache holds: their cold runs are warmer than in a large network");
  }
  constexpr int kMostFillers = 16;
  for (int i = 0; i < kMostFillers; ++i) {
    const bool others_ran = last_run_ != index;
    if (others_ran && sessions_.bytes_touched() - state.touched_before >= want) return;
    int filler = -1;
    for (std::size_t k = 0; k < fillers_.size() && filler < 0; ++k) {
      const int candidate = fillers_[next_filler_++ % fillers_.size()];
      if (candidate != index && items_[static_cast<std::size_t>(candidate)].session) filler = candidate;
    }
    if (filler < 0) return;
    ask({filler, kPlain, 1, Purpose::kFilling});
    if (next_filler_ >= 4) next_filler_ = 0;  // The best few suffice.
  }
}

void Run::visit(int index, Part part, bool hot) {
  if (!ensure_open(index)) return;
  ensure_cold(index);
  ask({index, part, hot ? options_.runs_per_visit() : 1});
}

void Run::record(ItemState& state, Part part, const RunSamples& samples) {
  const int column = scale_.column();
  ++column_visits_;
  ++state.visits;
  if (samples.migrations > 0) ++state.migrated_visits;
  if (state.columns.empty() || state.columns.back() != column) state.columns.push_back(column);
  scale_.add_steal(samples.steal_share, samples.timed_us + samples.overhead_us);

  std::vector<double> runs_us = samples.run_us;
  const auto settling = static_cast<std::size_t>(options_.settling_runs);
  const auto counts = [&](std::size_t run) { return run == 0 || run > settling; };
  if (part == kProfiled) {
    // Sums of the kernels' own times: the callbacks between them are no part of them.
    const std::size_t kernels = state.plan.kernels.size();
    for (std::size_t run = 0; run < runs_us.size(); ++run) {
      if (!counts(run)) continue;
      const float* row = samples.kernel_us.data() + run * kernels;
      runs_us[run] = std::accumulate(row, row + kernels, 0.0);
      for (std::size_t k = 0; k < kernels; ++k) {
        (run == 0 ? state.cold : state.hot)[k].push_back({row[k], column, round_});
        if (state.keys[k] < 0) continue;
        SharedKernel& shared = pool_[state.keys[k]];
        Quantity& quantity = run == 0 ? shared.cold : shared.hot;
        if (quantity.wanted(precision_)) quantity.add({row[k], column, round_});
      }
    }
  } else {
    const bool is_reference = reference_ >= 0 && &state == &items_[static_cast<std::size_t>(reference_)];
    for (std::size_t run = 0; run < runs_us.size(); ++run) {
      if (!counts(run)) continue;
      if (is_reference && run > 0) reference_hot_.push_back({static_cast<float>(runs_us[run]), column, round_});
      Quantity& quantity = run == 0 ? state.total_cold : state.total_hot;
      const bool wanted = state.phase == Phase::kOpen && state.item->need_total && quantity.wanted(precision_);
      if (wanted) quantity.add({static_cast<float>(runs_us[run]), column, round_});
    }
  }
  scale_.add_cell(state.rows[2 * part], runs_us.front());
  if (runs_us.size() > 1 + settling) {
    scale_.add_cell(state.rows[2 * part + 1], median(std::span<const double>(runs_us).subspan(1 + settling)));
  }
}

void Run::run_chain(const std::vector<int>& batch) {
  if (!can_chain_ || options_.cache_bytes <= 0 || !per_kernel_) return;
  std::vector<ChainCandidate> candidates;
  for (const int index : batch) {
    const ItemState& state = items_[static_cast<std::size_t>(index)];
    const bool runs = state.session != nullptr && !state.failed;
    candidates.push_back({runs ? state.bytes_touched : 0, std::max(state.cost_us[kPlain], state.cost_us[kProfiled])});
  }
  std::vector<int> chain;
  for (const int place : chains_.next(candidates)) chain.push_back(batch[static_cast<std::size_t>(place)]);
  // Chains may take an eighth of the time, of what has passed and of what is left; the first one in any case.
  constexpr double kShare = 1.0 / 8;
  const double passed_us = elapsed_us();
  const double spent_us = std::chrono::duration<double, std::micro>(chain_time_).count();
  const double expected_us = chains_.expected_us();
  if (chain.empty() || (spent_us > 0 && spent_us + expected_us > kShare * passed_us) ||
      expected_us > kShare * affordable_us())
    return;
  take_all_answers();
  const auto is_open = [this](int index) { return items_[static_cast<std::size_t>(index)].session != nullptr; };
  if (!std::all_of(chain.begin(), chain.end(), is_open)) return;  // An answer may have cost a session.
  const std::chrono::nanoseconds start = clock_.now();
  const std::optional<ChainSamples> samples = sessions_.run_chain(chain, chains_.times());
  can_chain_ = samples.has_value();
  if (samples) record_chain(chain, *samples);
  last_run_ = can_chain_ ? chain.back() : -1;
  chain_time_ += clock_.now() - start;
}

void Run::record_chain(const std::vector<int>& chain, const ChainSamples& samples) {
  std::vector<const KernelPlan*> links;
  for (const int index : chain) links.push_back(&items_[static_cast<std::size_t>(index)].plan);
  chains_.add_chain(samples, links, scale_.column(), round_, [&](std::size_t link, std::size_t kernel) {
    return items_[static_cast<std::size_t>(chain[link])].keys[kernel];
  });
}

CacheCurve Run::judge_chains() const {
  const auto time_of = [this](const Quantity& quantity) {
    return expected_us(summarize(on_scale(quantity.samples(), scale_.factors())));
  };
  return chains_.curve(scale_.factors(), [&](int key) {
    return std::pair{time_of(pool_[key].hot), time_of(pool_[key].cold)};
  });
}

}  // namespace mmt::metering
