// One run of the meter: batches of open models, rounds of visits, stretches that are judged when they end.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "meter/cache_chains.h"
#include "meter/drift.h"
#include "meter/hooks.h"
#include "meter/item.h"
#include "meter/rounds.h"
#include "meter/sessions.h"

namespace mmt::metering {

class Run {
 public:
  Run(const Hooks& hooks, Engine& engine, const std::vector<MeterItem>& items, const MeterOptions& options,
      Clock& clock, const ProfileSink& sink, const ProgressHook& progress, const StopHook& stop);

  MeterResult go();

 private:
  // Batches.
  std::vector<int> open_batch();
  void prepare(ItemState& state);  ///< After it was opened first: kernels into the pool, rows of the fit.
  void warm_up(const std::vector<int>& batch);
  void measure(const std::vector<int>& batch);
  void close_batch(const std::vector<int>& batch);

  // Visits.
  void make_visits(std::vector<Visit> visits, const std::vector<int>& batch);
  bool ensure_open(int index);
  void visit(int index, Part part, bool hot);  ///< `hot`: not the cold run alone.
  void visit_reference();
  void ensure_cold(int index);
  void ask(const Visiting& visiting);  ///< Waits for earlier runs where enough are started already.
  void take_answer();
  void take_all_answers();
  void record(ItemState& state, Part part, const RunSamples& samples);
  void run_chain(const std::vector<int>& batch);
  void record_chain(const std::vector<int>& chain, const ChainSamples& samples);
  CacheCurve judge_chains() const;

  // Stretches.
  void begin_column();
  bool column_is_due(bool round_ended) const;
  void end_column(const std::vector<int>& batch, bool keep = false, bool must_evaluate = false);
  void evaluate(const std::vector<int>& batch);
  void keep_results(bool all);  ///< What an evaluation settled is written down; `all`: see below.
  void cool_down();

  // Ends.
  // These two take a while, a little for each model. Without `all` they stop where the engine may run out of work, at
  // one model at the earliest; true: all is done.
  bool keep_unfinished(const std::vector<int>& batch, bool all);
  bool finish_settled(const std::vector<int>& batch, bool all);
  void finish_what_there_is(const std::vector<int>& batch);
  void finish(ItemState& state);
  void fail(ItemState& state, const std::string& reason);
  void leave(ItemState& state);
  bool handle(ItemState& state, const Outcome& outcome);  ///< True where the outcome is ok.
  bool halted();                                          ///< Interrupted, or out of time.

  void choose_reference(const std::vector<int>& batch);
  void report(const std::vector<int>& batch, const std::string& label);
  double elapsed_us() const;
  double affordable_us() const;

  const Hooks& hooks_;
  Engine& engine_;
  MeterOptions options_;
  Precision precision_;
  Clock& clock_;
  const ProfileSink& sink_;
  const ProgressHook& progress_;
  const StopHook& stop_;

  std::vector<ItemState> items_;  ///< The caller's, then the reference where it is a model of its own.
  MeterItem reference_item_;
  KernelPool pool_;
  DriftScale scale_;
  CacheChains chains_;
  std::chrono::nanoseconds chain_time_{0};
  bool can_chain_ = true;
  Sessions sessions_;
  std::mt19937_64 random_;
  bool per_kernel_;

  std::size_t next_waiting_ = 0;
  int reference_ = -1, own_reference_ = -1;
  std::vector<Sample> reference_hot_;
  std::vector<int> fillers_;
  std::size_t next_filler_ = 0;
  int last_run_ = -1;
  std::int64_t batch_bytes_ = 0;
  bool said_warm_ = false;
  const std::vector<int>* unjudged_ = nullptr;  ///< The batch that is to be evaluated while the engine is at work.
  const std::vector<int>* unkept_ = nullptr;    ///< The same, its results to be written down.

  int round_ = 0, column_rounds_ = 0, column_visits_ = 0;
  std::chrono::nanoseconds start_, column_start_{0}, last_report_{0}, last_evaluation_{0}, evaluation_cost_{0},
      last_kept_, keeping_cost_{0}, keeping_so_far_{0};
  std::optional<std::chrono::nanoseconds> deadline_, batch_deadline_;
  MeterResult result_;
};

}  // namespace mmt::metering
