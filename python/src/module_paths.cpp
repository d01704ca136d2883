// Where a model's modules are, and which of them are trained or were compiled.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>
#include <unordered_map>

#include "module_items.h"
#include "python_text.h"

namespace nb = nanobind;
using namespace nb::literals;
using mmt_python::dictionary_of;
using mmt_python::each_item;

namespace {

/// Where a model's modules are (the first place of a shared one); and those of which an attribute is true or is set.
class ModulePaths {
 public:
  explicit ModulePaths(nb::handle model) { visit(model, nullptr, nullptr); }

  /// Path of the module with this id; None where it is no part of the model.
  nb::object path(std::size_t id) const {
    const auto found = places_.find(id);
    return found == places_.end() ? nb::none() : nb::object(nb::str(path_of(found->second).c_str()));
  }

  nb::list training, compiled;

 private:
  struct Place {
    const Place* parent;  ///< Null: the model itself.
    nb::object name;
  };

  static std::string path_of(const Place& place) {
    if (place.parent == nullptr) return "";
    const std::string above = path_of(*place.parent);
    const std::string name = mmt_python::utf8(place.name.ptr());
    return above.empty() ? name : above + "." + name;
  }

  void visit(nb::handle module, const Place* parent, PyObject* name) {
    const auto [place, is_new] =
        places_.try_emplace(reinterpret_cast<std::size_t>(module.ptr()), Place{parent, nb::borrow(name)});
    if (!is_new) return;
    const nb::object dictionary = dictionary_of(module);
    PyObject* flag = PyDict_GetItemWithError(dictionary.ptr(), training_name_.ptr());
    const nb::object held = flag != nullptr ? nb::borrow(flag) : nb::object(module.attr("training"));
    if (PyObject_IsTrue(held.ptr()) == 1) training.append(module);
    PyObject* call = PyDict_GetItemWithError(dictionary.ptr(), compiled_name_.ptr());
    if (call != nullptr && call != Py_None) compiled.append(module);
    PyObject* own = PyDict_GetItemWithError(dictionary.ptr(), modules_name_.ptr());
    const nb::object children = own != nullptr ? nb::borrow(own) : nb::object(module.attr("_modules"));
    each_item(children.ptr(), [&, parent_place = &place->second](PyObject* child_name, PyObject* child) {
      if (child != Py_None) visit(child, parent_place, child_name);
    });
  }

  nb::str training_name_{"training"}, compiled_name_{"_compiled_call_impl"}, modules_name_{"_modules"};
  std::unordered_map<std::size_t, Place> places_;  // by id; nodes stay where they are
};

}  // namespace

void bind_module_paths(nb::module_& m) {
  nb::class_<ModulePaths>(m, "ModulePaths", "Paths of a model's modules, put together when they are asked for.")
      .def(nb::init<nb::handle>(), "model"_a)
      .def("get", &ModulePaths::path, "id"_a, "Path of the module with this id() (the first of a shared one), or None.")
      .def_ro("training", &ModulePaths::training, "The modules that are in training mode.")
      .def_ro("compiled", &ModulePaths::compiled, "The modules that were compiled in place.");
}
