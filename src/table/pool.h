// Pooling: several operators contain the same kernel, each measured it; one robust figure comes out.
#pragma once

#include <vector>

#include "mmt/profile.h"

namespace mmt::table {

/// One quantity (cold or hot) of one kernel, from all the operators that measured it.
class QuantityPool {
 public:
  /// A summary without usable samples is left out: false.
  bool add(const Summary& summary);
  bool empty() const { return values_.empty(); }

  struct Result {
    double value_us = 0;
    double se_us = 0;      ///< Of `value_us`; holds the disagreement of the sources.
    double spread_us = 0;  ///< Standard deviation between sources that their own errors do not explain.
    bool noisy = false;    ///< At least half of the sources are noisy, or the error is above 5 % of the value.
  };
  /// Mean of the medians weighted by precision, sources far from the others bounded in their pull. A noisy source's
  /// error counts twice; no source counts as better known than a thousandth of its value. Empty: zeros.
  Result result() const;

 private:
  std::vector<double> values_, errors_;
  int noisy_ = 0;
};

}  // namespace mmt::table
