#include "mmt/truth.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <span>

#include "meter/cache_chains.h"
#include "meter/hooks.h"
#include "meter/settling.h"
#include "mmt/error.h"
#include "mmt/meter.h"
#include "mmt/stats.h"

namespace mmt {
namespace metering {
namespace {

struct Subject {
  std::unique_ptr<Session> session;
  KernelPlan plan;
  std::vector<std::vector<Sample>> hot;   ///< By kernel.
  std::vector<std::vector<Sample>> cold;  ///< By kernel: its first run of each visit.
  double memory_mib = 0, resident_mib = 0;
  std::int64_t bytes_touched = 0;  ///< By a run, roughly.
  double run_us = 0;               ///< Of a run, roughly.
};

/// Models are fed as by a user, companions as the table's operators were.
std::vector<MeterItem> joined(const std::vector<MeterItem>& models, const std::vector<MeterItem>& companions) {
  std::vector<MeterItem> items = models;
  for (MeterItem& model : items) model.open.independent = true;
  items.insert(items.end(), companions.begin(), companions.end());
  return items;
}

// Hot runs of a companion's visit; few, because its kernels are small and visits are what makes the median sure. Before
// them, it runs as often as the meter lets it run, its cold run included.
constexpr int kCompanionRuns = 3, kCompanionWarmRuns = 1 + kSettlingRuns;

// Sessions of each companion, one after another.
constexpr int kSessions = 3;

// Models and companions take turns: neighbours on the machine come and go within a second, and what they cost both
// should be the same.
constexpr std::chrono::milliseconds kTurn{150};
// A factor is that of a turn where it holds as many models, else of several: a factor of its own would take all that
// is uncertain in a single model's visit for drift.
constexpr std::size_t kFewestOfColumn = 8;

double chrono_s(std::chrono::nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

class TruthRun {
 public:
  TruthRun(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& models,
           const std::vector<MeterItem>& companions, const TruthOptions& options, Clock& clock,
           const ProgressHook& progress, const StopHook& stop)
      : hooks_(complete(hooks)),
        engine_(engine),
        items_(joined(models, companions)),
        models_(models.size()),
        options_(options),
        clock_(clock),
        progress_(progress),
        stop_(stop),
        subjects_(items_.size()),
        truths_(items_.size()),
        random_(options.seed),
        chains_(options.cache_bytes, options.seed, engine.facts().threads) {}

  TruthReport run() {
    start_ = clock_.now();
    for (std::size_t i = 0; i < items_.size(); ++i) open(i);
    chain_like_models();
    for (int round = 0; round < options_.rounds && !stopped(); ++round) visit_all(round);
    TruthReport report;
    summarize_all(report);
    truths_.resize(models_);
    report.models = std::move(truths_);
    return report;
  }

 private:
  bool stopped() const { return stop_ && stop_(); }

  void open(std::size_t index) {
    const MeterItem& item = items_[index];
    Truth& truth = truths_[index];
    truth.fingerprint = item.fingerprint;
    truth.label = item.label;
    const double before = engine_.memory().resident_mib;
    guarded(index, [&] {
      Subject& subject = subjects_[index];
      subject.session = opened(index);
      subject.memory_mib = subject.session->desc().memory_mib;
      subject.bytes_touched = static_cast<std::int64_t>(subject.memory_mib * 1024 * 1024);
      if (options_.profile || index >= models_) {
        subject.plan = hooks_.plan(item.path, subject.session->desc());
        subject.hot.resize(subject.plan.kernels.size());
        subject.cold.resize(subject.plan.kernels.size());
        subject.bytes_touched = bytes_of_a_run(subject.plan, subject.memory_mib, engine_.facts().threads);
      }
    });
    truth.memory_mib = subjects_[index].memory_mib;
    truth.resident_mib = std::max(0.0, engine_.memory().resident_mib - before);
  }

  /// A new session that has run.
  std::unique_ptr<Session> opened(std::size_t index) {
    std::unique_ptr<Session> session = engine_.open(items_[index].path, items_[index].open);
    const double us = session->run({2, false, displace_bytes(index)}).run_us.back();
    double& run_us = subjects_[index].run_us;
    if (run_us == 0) run_us = us;  // Visits tell it better.
    return session;
  }

  /// Models run as a user runs them, companions as the table's operators did.
  std::int64_t displace_bytes(std::size_t index) const { return index < models_ ? 0 : options_.displace_bytes; }

  /// A subject that fails is out; where the worker was lost with it, the others' sessions are opened again.
  template <typename Work>
  void guarded(std::size_t index, const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      truths_[index].reason = std::string(error_code_name(error.code())) + ": " + error.what();
      subjects_[index].session.reset();
      if (error.code() == ErrorCode::kCrashed || error.code() == ErrorCode::kTimeout) reopen_others();
    }
  }

  void reopen_others() {
    std::vector<std::size_t> lost;
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      if (subjects_[i].session != nullptr) lost.push_back(i);
      subjects_[i].session.reset();
    }
    engine_.restart();
    for (const std::size_t i : lost) {
      guarded(i, [&] { subjects_[i].session = opened(i); });
    }
  }

  /// Opens companions again, elsewhere in memory: where a session's data happens to lie, some kernels run a fifth
  /// slower in one session of four for as long as it lives.
  void renew_companions() {
    for (std::size_t i = models_; i < items_.size() && !stopped(); ++i) {
      if (subjects_[i].session == nullptr) continue;
      guarded(i, [&] {
        subjects_[i].session = opened(i);  // Until then the old one's memory is in use.
      });
    }
  }

  void visit_all(int round) {
    if (round > 0 && round * kSessions / options_.rounds != (round - 1) * kSessions / options_.rounds)
      renew_companions();
    chains_of_round_ = 0;
    chain_time_of_round_ = {};
    std::vector<std::size_t> order(items_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto companions = order.begin() + static_cast<std::ptrdiff_t>(models_);
    std::shuffle(order.begin(), companions, random_);
    std::shuffle(companions, order.end(), random_);
    const std::size_t all_companions = items_.size() - models_;
    for (std::size_t model = 0, companion = 0, first_of_column = 0; model < models_ && !stopped();) {
      if (model == 0 || (model - first_of_column >= kFewestOfColumn && models_ - model >= kFewestOfColumn)) {
        round_of_column_.push_back(round);
        first_of_column = model;
      }
      const std::chrono::nanoseconds start = clock_.now();
      do {
        visit(order[model], round);
        run_chains(round, model++);
      } while (model < models_ && !stopped() && clock_.now() - start < kTurn);
      const std::size_t end = all_companions * model / models_;
      visit_companions(std::span(order).subspan(models_), companion, end, round);
      companion = end;
    }
    report(round + 1);
  }

  int column() const { return static_cast<int>(round_of_column_.size()) - 1; }

  /// Visits those at `first` to `end` of `companions`, after reminders.
  void visit_companions(std::span<const std::size_t> companions, std::size_t first, std::size_t end, int round) {
    if (first == end || stopped()) return;
    if (engine_.facts().per_kernel) remind(companions, first, end);
    for (std::size_t i = first; i < end && !stopped(); ++i) visit(companions[i], round);
  }

  /// Runs the companions once, uncounted, before their visits in the same order, so that each was run last when the
  /// others were, as in the meter. With gigabytes of whole models in between page tables would be cold as well, which
  /// no model finds that reads its weights once a run. A few do not push each other out by themselves: those that
  /// follow are run too, until nothing can be left in the cache.
  void remind(std::span<const std::size_t> companions, std::size_t first, std::size_t end) {
    constexpr std::int64_t kCaches = 8;
    std::int64_t bytes = 0;
    const auto run = [&](std::size_t index) {
      if (subjects_[index].session == nullptr) return;
      guarded(index, [&] { subjects_[index].session->run({1, false, displace_bytes(index)}); });
      bytes += subjects_[index].bytes_touched;
    };
    const auto is_enough = [&] { return bytes >= kCaches * options_.cache_bytes; };
    for (std::size_t i = first; i < end; ++i) run(companions[i]);
    for (std::size_t i = end; i < first + companions.size() && !is_enough(); ++i)
      run(companions[i % companions.size()]);
    for (std::size_t model = 0; model < models_ && !is_enough(); ++model) run(model);
  }

  void visit(std::size_t index, int round) {
    if (subjects_[index].session == nullptr) return;
    guarded(index, [&] {
      if (index < models_) visit_whole(index);
      if ((index >= models_ || options_.profile) && engine_.facts().per_kernel) visit_kernels(index, round);
    });
  }

  /// Chains are to tell how cold these models are.
  void chain_like_models() {
    if (!has_chains()) return;
    std::vector<ChainCandidate> models;
    for (const std::size_t index : CacheChains::representatives(candidates(0, models_))) {
      guarded(index, [&] {
        subjects_[index].run_us = settled_us(index);
        models.push_back(candidates(index, index + 1).front());
      });
    }
    chains_.look_like(std::move(models), candidates(models_, items_.size()));
  }

  bool has_chains() const { return options_.cache_bytes > 0 && models_ < items_.size() && engine_.facts().per_kernel; }

  std::vector<ChainCandidate> candidates(std::size_t first, std::size_t end) const {
    std::vector<ChainCandidate> found;
    for (std::size_t i = first; i < end; ++i) {
      const Subject& subject = subjects_[i];
      found.push_back({subject.session != nullptr ? subject.bytes_touched : 0, subject.run_us});
    }
    return found;
  }

  /// This model's part of a round's chains: they run among the models, so that both see the same traffic of others.
  void run_chains(int round, std::size_t model) {
    if (!has_chains()) return;
    // Each point as often as each model, for how cold data is may change with every visit; but those of slow models,
    // which find nothing again in any case, would take most of a round.
    constexpr std::size_t kFewestPerRound = 3;
    constexpr std::chrono::seconds kTimePerRound{3};
    const std::size_t chains = (model + 1) * chains_.points() / models_ - model * chains_.points() / models_;
    for (std::size_t i = 0; i < chains && can_chain_ && !stopped(); ++i) {
      if (chains_of_round_ >= kFewestPerRound && chain_time_of_round_ >= kTimePerRound) return;
      const std::chrono::nanoseconds begin = clock_.now();
      std::vector<const KernelPlan*> plans;
      std::vector<Session*> links;
      for (const int place : chains_.next(candidates(models_, items_.size()))) {
        const Subject& subject = subjects_[models_ + static_cast<std::size_t>(place)];
        plans.push_back(&subject.plan);
        links.push_back(subject.session.get());
      }
      if (links.empty()) continue;
      const auto samples = try_chain(engine_, links, chains_.times(), [this] { reopen_others(); });
      can_chain_ = samples.has_value();
      ++chains_of_round_;
      chain_time_of_round_ += clock_.now() - begin;
      if (!samples) continue;
      engine_us_ += samples->timed_us;
      chains_.add_chain(*samples, plans, column(), round, [&](std::size_t link, std::size_t kernel) {
        const auto next = static_cast<int>(numbers_.size());
        return numbers_.try_emplace(plans[link]->kernels[kernel].signature.key, next).first->second;
      });
    }
  }

  /// Runs until the hypervisor left the machine alone, or the retries are used up.
  RunSamples undisturbed(Session& session, const RunRequest& request) {
    for (int attempt = 0;; ++attempt) {
      RunSamples samples = session.run(request);
      engine_us_ += samples.timed_us;
      if (samples.steal_share <= options_.max_steal || attempt >= options_.max_retries) return samples;
    }
  }

  /// Of runs back to back on fresh input, once they have settled.
  double settled_us(std::size_t index) {
    const int settling = std::max(options_.warm_runs, settling_runs(subjects_[index].run_us));
    const RunSamples samples = undisturbed(*subjects_[index].session, {settling + options_.runs, false});
    const std::span<const double> warm(samples.run_us.data() + settling, static_cast<std::size_t>(options_.runs));
    return median(warm);
  }

  void visit_whole(std::size_t index) { cells_.push_back({static_cast<int>(index), column(), settled_us(index)}); }

  void visit_kernels(std::size_t index, int round) {
    Subject& subject = subjects_[index];
    const int runs = index < models_ ? options_.runs : kCompanionRuns;
    const int warm_runs = index < models_ ? std::max(options_.warm_runs, 1) : kCompanionWarmRuns;
    const RunSamples samples =
        undisturbed(*subject.session, {warm_runs + runs, true, displace_bytes(index), warm_runs - 1});
    const std::size_t kernels = subject.plan.kernels.size();
    for (std::size_t k = 0; k < kernels; ++k) {
      for (int run = 0; run < runs; ++run) {
        const auto row = static_cast<std::size_t>(run + warm_runs);
        subject.hot[k].push_back({samples.kernel_us[row * kernels + k], column(), round});
      }
      subject.cold[k].push_back({samples.kernel_us[k], column(), round});
    }
    if (index >= models_) {
      const std::span<const double> warm(samples.run_us.data() + warm_runs, static_cast<std::size_t>(runs));
      cells_.push_back({static_cast<int>(index), column(), median(warm)});
      subject.run_us = cells_.back().value;
    }
  }

  void summarize_all(TruthReport& report) {
    if (cells_.empty()) return;
    const TwoWayFit fit =
        two_way_fit(cells_, static_cast<int>(items_.size()), static_cast<int>(round_of_column_.size()));
    for (std::size_t i = 0; i < models_; ++i) summarize_one(static_cast<int>(i), fit);
    report.drift = fit.column_factor;
    std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> kernels;  // key -> cold, hot
    for (std::size_t i = models_; i < items_.size(); ++i) {
      const Subject& subject = subjects_[i];
      for (std::size_t k = 0; k < subject.hot.size(); ++k) {
        auto& [cold, hot] = kernels[subject.plan.kernels[k].signature.key];
        const std::vector<double> mine_cold = on_scale(subject.cold[k], fit.column_factor);
        const std::vector<double> mine_hot = on_scale(subject.hot[k], fit.column_factor);
        cold.insert(cold.end(), mine_cold.begin(), mine_cold.end());
        hot.insert(hot.end(), mine_hot.begin(), mine_hot.end());
      }
    }
    for (const auto& [key, samples] : kernels) {
      if (!samples.first.empty()) report.kernels.push_back({key, summarize(samples.first), summarize(samples.second)});
    }
    std::vector<std::pair<double, double>> times(numbers_.size());  // Hot, cold.
    for (const FreshKernel& kernel : report.kernels) {
      const auto place = numbers_.find(kernel.key);
      if (place == numbers_.end()) continue;
      times[static_cast<std::size_t>(place->second)] = {expected_us(kernel.hot), expected_us(kernel.cold)};
    }
    report.cache =
        chains_.curve(fit.column_factor, [&](int number) { return times[static_cast<std::size_t>(number)]; });
  }

  void summarize_one(int index, const TwoWayFit& fit) {
    std::vector<double> all, even, odd;
    for (const Cell& cell : cells_) {
      if (cell.row != index) continue;
      const double us = cell.value / fit.column_factor[static_cast<std::size_t>(cell.column)];
      all.push_back(us);
      (round_of_column_[static_cast<std::size_t>(cell.column)] % 2 == 0 ? even : odd).push_back(us);
    }
    Truth& truth = truths_[static_cast<std::size_t>(index)];
    if (all.empty()) {
      if (truth.reason.empty()) truth.reason = "interrupted: not measured yet";
      return;
    }
    truth.total = summarize(all);
    truth.half_a_us = even.empty() ? truth.total.median_us : median(even);
    truth.half_b_us = odd.empty() ? truth.total.median_us : median(odd);
    Subject& subject = subjects_[static_cast<std::size_t>(index)];
    for (std::size_t k = 0; k < subject.hot.size(); ++k) {
      KernelProfile profile;
      profile.kernel = subject.plan.kernels[k];
      profile.hot = summarize(on_scale(subject.hot[k], fit.column_factor));
      truth.kernels.push_back(std::move(profile));
    }
  }

  void report(int rounds_done) const {
    if (!progress_) return;
    MeterProgress state;
    state.done = rounds_done;
    state.total = options_.rounds;
    for (const Truth& truth : truths_) state.failed += truth.reason.empty() ? 0 : 1;
    state.elapsed_s = chrono_s(clock_.now() - start_);
    state.left_s = state.elapsed_s / rounds_done * (options_.rounds - rounds_done);
    state.engine_share = state.elapsed_s > 0 ? engine_us_ * 1e-6 / state.elapsed_s : 0;
    state.current = "whole models";
    progress_(state);
  }

  const Hooks hooks_;
  Engine& engine_;
  const std::vector<MeterItem> items_;  ///< The models, then the companions.
  const std::size_t models_;
  const TruthOptions options_;
  Clock& clock_;
  const ProgressHook& progress_;
  const StopHook& stop_;
  std::vector<Subject> subjects_;
  std::vector<Truth> truths_;
  std::vector<Cell> cells_;           ///< Of items and columns.
  std::vector<int> round_of_column_;  ///< A column of the drift fit is one turn or several of a round.
  std::mt19937_64 random_;
  CacheChains chains_;
  std::map<std::string, int> numbers_;  ///< Of kernels in chains.
  bool can_chain_ = true;
  std::size_t chains_of_round_ = 0;
  std::chrono::nanoseconds chain_time_of_round_{0};
  std::chrono::nanoseconds start_{0};
  double engine_us_ = 0;
};

}  // namespace

TruthReport measure_truth_with(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& models,
                               const std::vector<MeterItem>& companions, const TruthOptions& options, Clock& clock,
                               const ProgressHook& progress, const StopHook& stop) {
  if (options.rounds < 2 || options.runs < 1 || options.warm_runs < 0) {
    throw Error(ErrorCode::kInvalidArgument, "truth: at least 2 rounds of 1 run are needed to tell a noise floor");
  }
  return TruthRun(hooks, engine, models, companions, options, clock, progress, stop).run();
}

}  // namespace metering

TruthReport measure_truth(Engine& engine, const std::vector<MeterItem>& models,
                          const std::vector<MeterItem>& companions, const TruthOptions& options, Clock& clock,
                          const ProgressHook& progress, const StopHook& stop) {
  return metering::measure_truth_with({}, engine, models, companions, options, clock, progress, stop);
}

}  // namespace mmt
