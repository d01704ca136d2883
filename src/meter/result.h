// From a model's samples to its profile.
#pragma once

#include <span>
#include <string>

#include "meter/drift.h"
#include "meter/item.h"

namespace mmt::metering {

struct ProfileContext {
  const KernelPool& pool;
  const DriftScale& scale;
  const Precision& precision;
  std::span<const Sample> reference;  ///< Hot runs of the reference model, in order of their columns.
  bool per_kernel = true;
};

/// `utc`: the time to write into it.
ModelProfile make_profile(const ItemState& state, const ProfileContext& context, const std::string& utc);

ModelProfile make_failed_profile(const ItemState& state, const std::string& reason, const std::string& utc);

/// True where there is at least one sample of everything that the item needs.
bool has_some_of_everything(const ItemState& state, const KernelPool& pool);

}  // namespace mmt::metering
