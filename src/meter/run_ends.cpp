// How models leave a run: settled, with what there is, or failed.
#include <algorithm>
#include <utility>

#include "meter/result.h"
#include "meter/run.h"
#include "mmt/log.h"

namespace mmt::metering {

void Run::leave(ItemState& state) {
  state.phase = Phase::kFinished;
  for (const int key : state.keys) {
    if (key >= 0) --pool_[key].open_models;
  }
  state.total_cold = state.total_hot = Quantity();  // The profile holds what they said.
  state.cold.assign(state.plan.kernels.size(), {});
  state.hot.assign(state.plan.kernels.size(), {});
}

void Run::fail(ItemState& state, const std::string& reason) {
  state.failed = true;
  sessions_.close(state);
  for (ItemState& twin : items_) {  // The reference is often the file of an item: nobody waits twice for it to hang.
    if (!twin.failed && twin.item->path == state.item->path) fail(twin, reason);
  }
  if (state.phase == Phase::kFinished) return;  // Only a reference or filler by now: its profile is out.
  leave(state);
  if (!state.reported) {
    log(LogLevel::kWarning, state.item->label + " does not run, another model takes its place: " + reason);
    return;
  }
  ++result_.failed;
  sink_(make_failed_profile(state, reason, hooks_.utc_now()));
}

void Run::finish(ItemState& state) {
  scale_.fix_anchor();
  const ProfileContext context{pool_, scale_, precision_, reference_hot_, per_kernel_};
  const ModelProfile profile = make_profile(state, context, hooks_.utc_now());
  leave(state);
  ++result_.measured;
  sink_(profile);
}

bool Run::keep_unfinished(const std::vector<int>& batch, bool all) {
  using namespace std::chrono_literals;
  constexpr std::chrono::nanoseconds kInterval = 1s;
  constexpr int kShare = 100;  // A hundredth of the time at most.
  const std::chrono::nanoseconds start = clock_.now();
  const bool is_due = result_.interrupted || start - last_kept_ >= std::max(kInterval, kShare * keeping_cost_);
  if (!hooks_.unfinished || !is_due) return true;
  const ProfileContext context{pool_, scale_, precision_, reference_hot_, per_kernel_};
  for (const int index : batch) {
    ItemState& state = items_[static_cast<std::size_t>(index)];
    const bool has_news = state.kept_visits < 0 || state.visits >= 3 * std::max(state.kept_visits, 1);
    if (state.phase != Phase::kOpen || !state.reported || !has_news || !has_some_of_everything(state, pool_)) continue;
    state.kept_visits = state.visits;
    ModelProfile profile = make_profile(state, context, hooks_.utc_now());
    add_flag(profile.flags, "unfinished");
    hooks_.unfinished(profile);
    if (all || sessions_.has_time()) continue;
    keeping_so_far_ += clock_.now() - start;
    return false;
  }
  last_kept_ = clock_.now();
  keeping_cost_ = std::exchange(keeping_so_far_, std::chrono::nanoseconds{0}) + (last_kept_ - start);
  return true;
}

bool Run::finish_settled(const std::vector<int>& batch, bool all) {
  for (const int index : batch) {
    ItemState& state = items_[static_cast<std::size_t>(index)];
    if (state.phase != Phase::kOpen || !state.reported) continue;
    if (wants_plain(state, precision_) || wants_profile(state, pool_, precision_)) continue;
    finish(state);
    if (!all && !sessions_.has_time()) return false;
  }
  return true;
}

void Run::finish_what_there_is(const std::vector<int>& batch) {
  std::vector<int> with_samples;
  for (const int index : batch) {
    const ItemState& state = items_[static_cast<std::size_t>(index)];
    if (state.phase == Phase::kOpen && has_some_of_everything(state, pool_)) with_samples.push_back(index);
  }
  for (const int index : with_samples) finish(items_[static_cast<std::size_t>(index)]);
}

void Run::close_batch(const std::vector<int>& batch) {
  for (const int index : batch) {
    if (index != reference_) sessions_.close(items_[static_cast<std::size_t>(index)]);
  }
}

void Run::report(const std::vector<int>& batch, const std::string& label) {
  if (!progress_) return;
  const std::chrono::nanoseconds now = clock_.now();
  const bool last = label.empty();
  if (!last && last_report_.count() != 0 && now - last_report_ < std::chrono::milliseconds(100)) return;
  last_report_ = now;
  MeterProgress progress;
  progress.total = static_cast<int>(items_.size()) - (own_reference_ >= 0 ? 1 : 0);
  progress.done = result_.measured + result_.failed;
  progress.failed = result_.failed;
  progress.elapsed_s = elapsed_us() / 1e6;
  progress.engine_share = elapsed_us() > 0 ? sessions_.engine_us() / elapsed_us() : 0;
  progress.current = label;
  if (!last) {
    progress.noise = current_noise(items_, batch, pool_, precision_);
    const double open = static_cast<double>(batch.size());
    const double left_us = time_left_us(items_, batch, pool_, precision_, options_);
    // Models that are not opened yet are taken to be like those of this batch.
    const double rest = static_cast<double>(static_cast<std::size_t>(progress.total) -
                                            std::min(next_waiting_, static_cast<std::size_t>(progress.total)));
    progress.left_s = left_us / 1e6 + (open > 0 && progress.done > 0 ? rest * progress.elapsed_s / progress.done : 0);
    if (deadline_) {
      progress.left_s = std::min(progress.left_s, std::chrono::duration<double>(*deadline_ - now).count());
    }
  }
  progress_(progress);
}

}  // namespace mmt::metering
