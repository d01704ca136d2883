// The paths of a model's modules, and which of them are trained or were compiled.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "module_items.h"
#include "python_text.h"

namespace nb = nanobind;
using namespace nb::literals;
using mmt_python::dictionary_of;
using mmt_python::each_item;

namespace {

/// Paths of all modules by id (the first path of a shared one), and those of which an attribute is true or is set.
struct Paths {
  nb::dict names;
  nb::list training, compiled;

  void visit(nb::handle module, const std::string& path) {
    names[nb::int_(reinterpret_cast<std::size_t>(module.ptr()))] = path;
    const nb::object dictionary = dictionary_of(module);
    PyObject* flag = PyDict_GetItemWithError(dictionary.ptr(), training_name.ptr());
    const nb::object held = flag != nullptr ? nb::borrow(flag) : nb::object(module.attr("training"));
    if (PyObject_IsTrue(held.ptr()) == 1) training.append(module);
    PyObject* call = PyDict_GetItemWithError(dictionary.ptr(), compiled_name.ptr());
    if (call != nullptr && call != Py_None) compiled.append(module);
    PyObject* own = PyDict_GetItemWithError(dictionary.ptr(), modules_name.ptr());
    const nb::object children = own != nullptr ? nb::borrow(own) : nb::object(module.attr("_modules"));
    each_item(children.ptr(), [&](PyObject* name, PyObject* child) {
      if (child == Py_None || names.contains(nb::int_(reinterpret_cast<std::size_t>(child)))) return;
      visit(child, path.empty() ? mmt_python::utf8(name) : path + "." + mmt_python::utf8(name));
    });
  }

  nb::str training_name{"training"}, compiled_name{"_compiled_call_impl"}, modules_name{"_modules"};
};

}  // namespace

void bind_module_paths(nb::module_& m) {
  m.def(
      "paths",
      [](nb::handle model) {
        Paths paths;
        paths.visit(model, "");
        return nb::make_tuple(paths.names, paths.training, paths.compiled);
      },
      "model"_a,
      "Paths of all modules by id (the first path of a shared one), the modules that are in training mode, and those "
      "that were compiled in place.");
}
