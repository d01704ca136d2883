// Numbers from Python: NumPy arrays of any real type and plain sequences come in as one vector.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "mmt/error.h"

namespace mmt::python {

/// A 1-D array or a sequence of numbers. `name` is the argument's, for the error.
inline std::vector<double> to_vector(nanobind::handle values, const char* name) {
  using Array = nanobind::ndarray<const double, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
  Array array;
  if (nanobind::try_cast<Array>(values, array)) return {array.data(), array.data() + array.shape(0)};
  std::vector<double> list;
  if (nanobind::try_cast<std::vector<double>>(values, list)) return list;
  throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": expected a sequence or 1-D array of numbers");
}

/// Hands a vector to NumPy without another copy.
template <typename T>
nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>> to_array(std::vector<T> values) {
  auto* owned = new std::vector<T>(std::move(values));
  const nanobind::capsule owner(owned, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
  return {owned->data(), {owned->size()}, owner};
}

}  // namespace mmt::python
