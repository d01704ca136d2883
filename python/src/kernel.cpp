// Kernel plans for Python: the schedule of a session with signatures, roles and ports.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "kernel/mnn_file.h"
#include "mmt/kernel.h"

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
}
