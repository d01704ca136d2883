// What copies need of the engine's memory: unpacked copies of what they read and write.
#pragma once

#include "mmt/kernel_memory.h"

namespace mmt::memory {

/// Needs of a Raster kernel.
Needs raster_needs(const KernelText& kernel, const Traits& traits);

}  // namespace mmt::memory
