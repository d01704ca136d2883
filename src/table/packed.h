// An operator's row and the rows of its kernels as one piece of bytes, so that one look-up gives all that a prediction
// needs of it. Values lie one after another as the field lists name them; a layout's identity tells whether this
// program's lists are those of whoever packed.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mmt/table.h"

namespace mmt::table {

/// Name in the meta table under which a table tells its packed_layout().
inline constexpr const char* kPackedLayout = "packed_layout";

using KernelRows = std::vector<std::shared_ptr<const KernelRow>>;

/// Of the names and types of all fields, in order.
const std::string& packed_layout();

/// `kernels`: rows of the operator's kernels, those with a cost, each once.
std::string pack(const OperatorRow& row, const KernelRows& kernels);

/// Appends the kernels' rows to `kernels`, where given. Throws Error(kCorrupt) for bytes that `pack` did not make.
OperatorRow unpack(std::span<const unsigned char> bytes, KernelRows* kernels);

}  // namespace mmt::table
