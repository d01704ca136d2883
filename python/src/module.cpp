// The extension module: turns mmt::Error into Python's exceptions and hands one submodule to each area.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "mmt/error.h"

namespace nb = nanobind;

#define MMT_AREA(area) void bind_##area(nb::module_&);
#include "areas.inc"
#undef MMT_AREA

NB_MODULE(_core, m) {
  m.attr("__version__") = MMT_VERSION;

  // MmtError carries the stable name of the code, so that Python can decide without reading messages.
  static PyObject* error_class = PyErr_NewExceptionWithDoc(
      "mmt._core.MmtError", "Any failure that MMT reports. `code`: its stable name, such as 'parse' or 'not_found'.",
      PyExc_RuntimeError, nullptr);
  m.attr("MmtError") = nb::borrow(error_class);
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const mmt::Error& error) {
      nb::object value = nb::borrow(error_class)(error.what());
      value.attr("code") = mmt::error_code_name(error.code());
      PyErr_SetObject(error_class, value.ptr());
    }
  });

#define MMT_AREA(area)                              \
  {                                                 \
    nb::module_ submodule = m.def_submodule(#area); \
    bind_##area(submodule);                         \
  }
#include "areas.inc"
#undef MMT_AREA
}
