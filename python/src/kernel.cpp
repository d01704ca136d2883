// Kernel plans for Python: the schedule of a session with signatures, roles and ports.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string_view>

#include "kernel/mnn_file.h"
#include "mmt/kernel.h"
#include "mmt/packed_model.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_kernel(nb::module_& m) {
  m.attr("STUB_PREFIX") = std::string(mmt::kStubPrefix);
  m.def(
      "read_graph",
      [](const std::string& path) {
        nb::list ops;
        for (const mmt::mnn::OpNode& op : mmt::mnn::read_graph(path).ops) {
          nb::dict item;
          item["name"] = op.name;
          item["type"] = op.type;
          item["attributes"] = op.attributes;
          item["inputs"] = op.inputs;
          item["outputs"] = op.outputs;
          item["constant_bytes"] = op.constant_bytes;
          ops.append(item);
        }
        return ops;
      },
      "path"_a, "Operators of a .mnn file, in order, as dictionaries. Raises MmtError('corrupt') for a damaged file.");
  m.def(
      "packed_model",
      [](const nb::bytes& plain) -> std::optional<nb::bytes> {
        const auto made = mmt::packed_model(std::string_view(plain.c_str(), plain.size()));
        if (!made.has_value()) return std::nullopt;
        return nb::bytes(made->data(), made->size());
      },
      "plain"_a,
      "The packed context's .mnn bytes, made from the plain one's; None where the converter must be asked. Raises "
      "MmtError('corrupt') where the bytes are no model.");
}
