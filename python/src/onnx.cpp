// Bindings of mmt/onnx.h.
#include "mmt/onnx.h"
#include "mmt/weights.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

void bind_onnx(nb::module_& m) {
  m.def(
      "lower_to_onnx",
      [](std::string_view trace_json, const std::vector<std::pair<std::uintptr_t, std::size_t>>& constants,
         bool packed) {
        std::string bytes;
        {
          const nb::gil_scoped_release release;
          const mmt::Trace trace = mmt::read_trace(trace_json);
          std::vector<mmt::ConstantBuffer> buffers;
          buffers.reserve(constants.size());
          for (const auto& [address, size] : constants)
            buffers.push_back({reinterpret_cast<const void*>(address), size});
          mmt::LowerOptions options;
          options.context = packed ? mmt::LowerContext::kPacked : mmt::LowerContext::kPlain;
          bytes = mmt::lower_to_onnx(trace, buffers, options);
        }
        return nb::bytes(bytes.data(), bytes.size());
      },
      "trace"_a, "constants"_a, "packed"_a,
      "ONNX bytes of a trace (JSON text). `constants`: (address, size in bytes) of each constant's contiguous data, "
      "which "
      "the caller keeps alive; (0, 0) for those that are not used.");
  m.def(
      "fill_weights",
      [](std::uintptr_t address, std::size_t count, float low, float high, std::uint64_t seed) {
        mmt::fill_weights({reinterpret_cast<float*>(address), count}, low, high, seed);
      },
      "address"_a, "count"_a, "low"_a, "high"_a, "seed"_a,
      "Fills `count` float32 numbers at `address`, which the caller keeps alive, uniformly over [low, high); none "
      "nearer to "
      "zero than 1e-4. They follow from `seed`, on every machine.");
  m.def("lowered_functions", &mmt::lowered_functions, "Canonical names of all functions that have an ONNX form.");
}
