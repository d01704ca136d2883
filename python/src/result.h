// A plan with its prediction; Python reads what it needs of the two.
#pragma once

#include "mmt/plan.h"
#include "mmt/predict.h"
#include "mmt/trace.h"

namespace mmt_python {

struct Result {
  mmt::ModelPlan plan;
  mmt::Prediction prediction;
  mmt::Trace trace;  ///< Of a composed plan; without nodes for other plans.
  bool composed() const { return !trace.nodes.empty(); }
};

}  // namespace mmt_python
