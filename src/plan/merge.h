// What the converter and the engine make of neighbours: two copies become one, and activations move before reshapes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mmt/kernel_memory.h"
#include "mmt/table.h"

namespace mmt {

/// The tensors in a kernel's text: "[1,8,4,4]c4 [1,8,4,4]c4" and "[1,8,4,4]c4".
struct KernelTensors {
  std::string_view inputs, outputs;
};
KernelTensors tensors_of(const KernelRow& row);

/// A copy of all of one tensor in its order: a reshape, or a change of layout.
bool copies_whole(const KernelRow& row);

/// A whole copy that takes trailing extents of 1 away and leaves three or more. The engine keeps the layout there, so
/// that what it writes inside a network may be packed, whatever it writes at a model's end.
bool drops_trailing_ones(const KernelRow& row);

/// A concatenation of packed images along the channels. The engine takes its result for packed, whatever it writes at a
/// model's end (not so that of a slice).
bool joins_packed_channels(const memory::KernelText& kernel);

/// What one copy may be called that stands for `first` and `second` after it; empty where neither copies a whole
/// tensor.
std::vector<std::string> merged_copies(const KernelRow& first, const KernelRow& second);

/// An activation of one kernel that the converter moves before a reshape.
bool moves_before_copies(const KernelRow& row);

/// The text of such a kernel on the one tensor that `copy` reads.
std::string before_copy(const KernelRow& activation, const KernelRow& copy);

}  // namespace mmt
