// What we know of the parameter tables in a `.mnn` file: field numbers, types and defaults of the ones that decide how
// long a kernel takes. Facts of MNN 3.6's file format, in a form that serves reading, verifying and naming alike.
#pragma once

#include <cstdint>
#include <span>

namespace mmt::mnn {

enum class FieldKind : std::uint8_t {
  kInt32,
  kInt8,
  kBool,
  kFloat,
  kIntVector,    ///< Values count as attributes.
  kFloatVector,  ///< Constant data: only its size counts.
  kByteVector,   ///< Constant data: only its size counts.
  kTable,        ///< Nested parameters.
};

struct Table;

struct Field {
  std::uint16_t id;  ///< Position in the table, from 0.
  const char* name;  ///< As in signatures; nullptr: verified and counted, not named.
  FieldKind kind;
  double fallback = 0;  ///< Value of an absent scalar.
  const Table* table = nullptr;
};

struct Table {
  const char* name;
  std::span<const Field> fields;
};

/// The table of an operator's parameters by its union number, or nullptr where none of its fields matters to us.
const Table* parameter_table(int union_type) noexcept;

}  // namespace mmt::mnn
