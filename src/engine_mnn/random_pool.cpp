#include "engine_mnn/random_pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/input_values.h"
#include "mmt/error.h"

namespace mmt::mnn {
namespace {

template <class T>
void store(void* data, std::size_t index, double value) {
  static_cast<T*>(data)[index] = static_cast<T>(value);
}

template <class T>
double load(const void* data, std::size_t index) {
  return static_cast<double>(static_cast<const T*>(data)[index]);
}

struct TypeRow {
  halide_type_code_t code;
  int bits;
  const char* name;
  void (*store)(void*, std::size_t, double);
  double (*load)(const void*, std::size_t);
};

constexpr TypeRow kTypes[] = {
    {halide_type_float, 32, "float32", store<float>, load<float>},
    {halide_type_float, 64, "float64", store<double>, load<double>},
    {halide_type_int, 8, "int8", store<std::int8_t>, load<std::int8_t>},
    {halide_type_int, 16, "int16", store<std::int16_t>, load<std::int16_t>},
    {halide_type_int, 32, "int32", store<std::int32_t>, load<std::int32_t>},
    {halide_type_int, 64, "int64", store<std::int64_t>, load<std::int64_t>},
    {halide_type_uint, 8, "uint8", store<std::uint8_t>, load<std::uint8_t>},
    {halide_type_uint, 32, "uint32", store<std::uint32_t>, load<std::uint32_t>},
};

const TypeRow* find_row(halide_type_t type) {
  for (const TypeRow& row : kTypes)
    if (row.code == type.code && row.bits == type.bits) return &row;
  return nullptr;
}

const TypeRow& row_of(halide_type_t type) {
  const TypeRow* row = find_row(type);
  if (row == nullptr) throw Error(ErrorCode::kUnsupported, std::string("tensors of type ") + type_name(type));
  return *row;
}

}  // namespace

bool is_known_type(halide_type_t type) { return find_row(type) != nullptr; }

const char* type_name(halide_type_t type) {
  if (const TypeRow* row = find_row(type)) return row->name;
  if (type.code == halide_type_float && type.bits == 16) return "float16";
  if (type.code == halide_type_uint && type.bits == 1) return "bool";
  return "unknown";
}

void store_element(void* data, std::size_t index, ElementType type, double value) {
  row_of(type.type).store(data, index, value);
}

double load_element(const void* data, std::size_t index, ElementType type) {
  return row_of(type.type).load(data, index);
}

std::shared_ptr<RandomPool::Block> RandomPool::values(ElementType type, double low, double high, double shared,
                                                      std::size_t count) {
  const TypeRow& row = row_of(type.type);
  const bool is_integer = type.type.code != halide_type_float;
  if (!std::isfinite(low) || !std::isfinite(high) || low > high || (is_integer && std::floor(high) < low))
    throw Error(ErrorCode::kInvalidArgument, "input range [" + std::to_string(low) + ", " + std::to_string(high) +
                                                 ") holds no value: low must be below high");
  if (!(shared >= 0 && shared <= 1))
    throw Error(ErrorCode::kInvalidArgument,
                "an input's shared part is a share of its range, 0 to 1, not " + std::to_string(shared));
  std::shared_ptr<Block>& block = blocks_[{row.code, row.bits, low, high, shared}];
  const std::size_t elements = count + kSpread;
  if (block == nullptr || block->size() < elements * type.bytes()) {
    auto larger = std::make_shared<Block>(elements * type.bytes());
    // The same start for every size, so that a place holds the same values however large the block became.
    std::uint64_t state = 0x6d6d74u;
    InputValues reals(low, high, state, shared);
    for (std::size_t i = 0; i < elements; ++i) {
      // Integers are indices, each its own.
      const double value = is_integer ? std::floor(low + (high - low) * next_share(state)) : reals.next();
      row.store(larger->data(), i, value);
    }
    block = std::move(larger);
  }
  return block;
}

}  // namespace mmt::mnn
