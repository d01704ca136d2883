// What one kernel needs of the engine's memory, from its signature.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mmt/kernel.h"

namespace mmt::memory {

/// How the engine's CPU code packs data; differs between instruction sets.
struct Traits {
  int pack = 4;   ///< Channels that lie side by side in the packed layout.
  int tile = 16;  ///< Columns that a matrix multiplication takes at once.
  int rows = 4;   ///< Output channels that it takes at once.
  int threads = 1;
};

struct Shape {
  std::vector<std::int64_t> extents;
  bool packed = false;
  int element_bytes = 4;

  /// Bytes in memory with `pack` channels side by side.
  std::int64_t bytes(int pack) const;
  std::int64_t extent(std::size_t axis) const { return axis < extents.size() ? extents[axis] : 1; }
};

/// Multiplies a count of elements by an extent (by one where that is 0). False, and nothing changed, where no memory
/// holds that many: a damaged table's text may say anything.
bool grows_within_memory(std::int64_t& elements, std::int64_t extent);

/// A kernel as its signature tells it.
struct KernelText {
  std::string type, attributes;
  std::vector<Shape> inputs, outputs;
  std::int64_t weight_bytes = 0;

  /// `text`: KernelSignature::text of a kernel of this type with these attributes.
  static KernelText parse(std::string_view type, std::string_view attributes, std::string_view text,
                          std::int64_t weight_bytes);
  /// An integer attribute by name.
  int attribute(std::string_view name, int fallback) const;
};

struct Needs {
  std::vector<std::int64_t> kept;       ///< Stay for the session's life: weights as the kernel wants them.
  std::vector<std::int64_t> preparing;  ///< Taken after those from the same heap, and given back at once.
  std::int64_t outside = 0;  ///< Taken beside that heap while the kernel is prepared: a second copy of its weights.
  std::vector<std::int64_t> scratch;  ///< Taken together from the activations' pool while the kernel runs.
  /// Positions of inputs that it reads from an unpacked copy. The copy serves all such kernels, and is given back only
  /// by one that is the last to read the input.
  std::vector<std::size_t> unpacked = {};
};

Needs needs_of(const KernelText& kernel, const Traits& traits);

}  // namespace mmt::memory

namespace mmt {

/// Bytes of a kernel's weights in the form that stays in memory: Winograd's is several times the file's.
std::int64_t kept_weight_bytes(const KernelSignature& kernel, int threads);

/// True for convolutions that go several times over their weights, once for every tile of pixels. Caches see that these
/// are needed again and keep them longer than what a run reads once.
bool rereads_weights(const KernelSignature& kernel);

/// True for kernels whose data is mostly weights that a run reads once, and which work on nothing else: what a cold run
/// of theirs takes beyond a hot one is the price of reading weights.
bool is_mostly_weights(const KernelSignature& kernel);
/// Most of its data is weights as the kernel keeps them, which it reads several times.
bool is_mostly_reread_weights(const KernelSignature& kernel, int threads);

}  // namespace mmt
