// How cold data gets while other data is touched: measured with chains of operators, no whole model needed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmt {

/// Size of the largest cache where the system does not tell.
inline constexpr std::int64_t kUsualCacheBytes = 8 << 20;

/// No processor has more of the last cache than this for itself. A virtual machine with a few processors of a large
/// server is told of all of the server's cache, which it shares with the others: of 260 MB two processors found their
/// data again in 64 to 96 at a quiet moment, and in less than 20 beside neighbours.
inline constexpr std::int64_t kMostCacheOfProcessor = 16 << 20;
/// `known_bytes`: what the system tells of the last cache, 0 or less for nothing; `processors`: that share it as far as
/// the system tells, 0 or less where it does not.
constexpr std::int64_t largest_cache_bytes(std::int64_t known_bytes, int processors) {
  if (known_bytes <= 0) return kUsualCacheBytes;
  return processors > 0 ? std::min(known_bytes, processors * kMostCacheOfProcessor) : known_bytes;
}

/// Sums over chained runs, one entry per point. At a point, operators are run one after another in a loop that touches
/// `bytes` in all and takes `loop_us` (on average), as a model of that size and latency does. For kernels whose data is
/// mostly weights, `extra_us` sums what they took beyond their hot time, `cold_extra_us` what their cold time lies
/// above their hot time: extra over cold extra is the share of a cold run that a run after so many bytes and so long a
/// time pays. `reread_…`: the same of kernels that read their weights several times, which stay in the caches longer.
/// Sums of several runs add up.
struct CacheCurve {
  std::vector<double> bytes, loop_us, extra_us, cold_extra_us;
  /// Empty in what earlier versions wrote.
  std::vector<double> reread_extra_us = {}, reread_cold_extra_us = {};

  /// Nothing is told, or by an earlier version, without the time.
  bool empty() const { return loop_us.empty(); }
  /// The lists are of one length. Not checked by whoever goes through them side by side, but where they are read.
  bool is_even() const {
    const std::size_t points = bytes.size();
    const auto fits = [points](const std::vector<double>& list) { return list.empty() || list.size() == points; };
    return loop_us.size() == points && extra_us.size() == points && cold_extra_us.size() == points &&
           fits(reread_extra_us) && reread_cold_extra_us.size() == reread_extra_us.size();
  }
  bool tells_of_rereading() const { return !reread_extra_us.empty(); }
  /// Cold time that makes a point sure enough to need no earlier runs.
  static constexpr double kEnoughUs = 300;

  /// Takes in a later run's sums. The machine's state is that of the later run, so earlier sums only fill up what a
  /// point lacks to kEnoughUs. Of curves with other points the later one stays.
  void add_later(const CacheCurve& later) {
    if (later.empty()) return;
    if (bytes != later.bytes) {
      *this = later;
      return;
    }
    const bool rereads = tells_of_rereading() && later.tells_of_rereading();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      double before_us = 0, now_us = 0;
      const auto add = [&, i](std::vector<double>& extra, std::vector<double>& cold,
                              const std::vector<double>& later_extra, const std::vector<double>& later_cold) {
        const double now = later_cold[i], kept = cold[i] > 0 ? std::clamp(kEnoughUs - now, 0.0, cold[i]) / cold[i] : 0;
        before_us += kept * cold[i];
        now_us += now;
        extra[i] = kept * extra[i] + later_extra[i];
        cold[i] = kept * cold[i] + now;
      };
      add(extra_us, cold_extra_us, later.extra_us, later.cold_extra_us);
      if (rereads) add(reread_extra_us, reread_cold_extra_us, later.reread_extra_us, later.reread_cold_extra_us);
      if (before_us + now_us > 0) {
        loop_us[i] = (before_us * loop_us[i] + now_us * later.loop_us[i]) / (before_us + now_us);
      }
    }
    if (!rereads) {
      reread_extra_us = later.reread_extra_us;
      reread_cold_extra_us = later.reread_cold_extra_us;
    }
  }
  bool operator==(const CacheCurve&) const = default;
};

}  // namespace mmt
