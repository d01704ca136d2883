// Seeded values to fill inputs with. Sessions share the values and read them at different places, so that filling an
// input is one copy, and a hundred open sessions do not hold a hundred copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "engine_mnn/mnn_api.h"

namespace mmt::mnn {

/// Element type of an input, as far as filling it is concerned.
struct ElementType {
  halide_type_t type;
  int bytes() const { return (type.bits + 7) / 8; }
};

/// Writes `value` at `index` of an array of that type (rounded towards zero for integers).
void store_element(void* data, std::size_t index, ElementType type, double value);
double load_element(const void* data, std::size_t index, ElementType type);
/// Whether both functions above can handle the type; the name is "float32", "int32", …
bool is_known_type(halide_type_t type);
const char* type_name(halide_type_t type);

class RandomPool {
 public:
  using Block = std::vector<std::uint8_t>;

  /// How far apart two places may start, in elements.
  static constexpr std::size_t kSpread = 1 << 14;

  /// At least `count` + kSpread values in [low, high): integers uniform, others as InputValues has them, `shared`: its
  /// offset share. Whoever keeps the pointer keeps the values.
  std::shared_ptr<Block> values(ElementType type, double low, double high, double shared, std::size_t count);

 private:
  using Key = std::tuple<int, int, double, double, double>;
  std::map<Key, std::shared_ptr<Block>> blocks_;
};

}  // namespace mmt::mnn
