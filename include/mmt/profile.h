// What the meter learns of one operator or model, and the journal that keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mmt/engine.h"
#include "mmt/kernel.h"
#include "mmt/summary.h"

namespace mmt {

/// Noise flags; a set of these words, joined by ",", in a row.
///   noisy      the confidence interval stayed wide
///   bimodal    two separate modes (alignment, huge pages, frequency)
///   steal      the hypervisor took CPU time in many rounds
///   migrated   the thread changed the CPU in many runs
///   throttled  the frequency fell or the temperature rose
///   cpu_kernels  on another backend than the CPU: some kernels were computed by the CPU (SessionDesc::cpu_kernels)
///   few        fewer samples than asked for (budget ended)
///   unfinished a state from the middle of a run, which was killed or interrupted before the model was finished

struct KernelProfile {
  PlannedKernel kernel;
  /// Count 0: other models measured this kernel well enough; their rows hold its time.
  Summary cold;  ///< First run after other operators' runs.
  Summary hot;   ///< Runs after others of the same operator, once it has settled (MeterOptions::settling_runs).
};

/// One `.mnn` file, measured. In the journal: one line.
struct ModelProfile {
  std::string fingerprint;
  std::string context;                 ///< "plain", "packed"
  std::string status = "ok";           ///< "ok" or "failed"
  std::string reason;                  ///< For "failed": code and text.
  Summary cold, hot;                   ///< Whole run, without per-kernel callbacks.
  std::vector<KernelProfile> kernels;  ///< Empty where the engine gives no per-kernel times.
  std::vector<PortDesc> inputs, outputs;
  double memory_mib = 0;    ///< Session memory, the engine's figure.
  double resident_mib = 0;  ///< Growth of the worker's resident memory from opening and first run.
  double peak_mib = 0;      ///< The same of its peak, which loading may reach.
  double mflops = 0;
  std::int64_t file_bytes = 0;
  std::string file_sha256;  ///< Of the `.mnn`: a changed file is measured again.
  std::int64_t weight_bytes = 0;
  std::string flags;  ///< See above; empty: none.
  int rounds = 0;
  double reference_us = 0;  ///< Median of the reference operator in the rounds of this profile.
  std::string measured_at;  ///< UTC, ISO 8601.
};

/// True where `word` is one of the flags "a,b,c".
bool has_flag(const std::string& flags, const std::string& word);
/// The words of "a,b,c".
std::vector<std::string> flag_words(std::string_view flags);
/// Makes "a,b" of "a" and "b", "b" of "" and "b".
void add_flag(std::string& flags, std::string_view word);

/// False for failed and unfinished rows: of several rows of one file a later one takes an earlier one's place, except
/// that these never take the place of a final one.
bool is_final(const ModelProfile& profile);

/// How this version measures operators (Provenance::protocol).
inline constexpr int kProtocol = 3;

/// Where and with what a journal was measured.
struct Provenance {
  std::string device;  ///< Host or device name.
  std::string cpu;     ///< CPU model.
  std::string os;
  EngineConfig config;
  EngineFacts facts;
  std::string mmt_version;
  std::int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;
  int cpus_online = 0;
  std::string governor;    ///< "" where unreadable.
  std::string started_at;  ///< UTC, ISO 8601.
  std::uint64_t seed = 0;
  /// Before each run, other memory was read so far that only the largest cache held the operator's data still
  /// (RunRequest::displace_bytes); 0: runs followed one another.
  std::int64_t displace_bytes = 0;
  /// Of operators: grows whenever the same operators would give other rows. 1: as inside a model; 2: with their
  /// activations near, and with the engine's own copies as kernels; 3: on values of which fewer have a sign in common,
  /// and with each thread's share of the activations near its processor.
  int protocol = 0;
  /// Identity of device + engine + config: rows of different ids never mix.
  std::string config_id() const;
  /// Measured by this version, or in a way that did not change.
  bool is_current() const { return !facts.per_kernel || (displace_bytes > 0 && protocol == kProtocol); }
};

}  // namespace mmt
