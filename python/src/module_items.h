// What modules of torch hold, without asking Python for it.
#pragma once

#include <nanobind/nanobind.h>

namespace mmt_python {

/// Calls `use(key, value)` for the items of a dictionary or of something like one.
template <class Use>
void each_item(PyObject* mapping, Use use) {
  if (PyDict_CheckExact(mapping)) {
    Py_ssize_t position = 0;
    PyObject *key = nullptr, *value = nullptr;
    while (PyDict_Next(mapping, &position, &key, &value)) use(key, value);
    return;
  }
  for (nanobind::handle item : nanobind::handle(mapping).attr("items")()) {
    const nanobind::object key = item[0], value = item[1];
    use(key.ptr(), value.ptr());
  }
}

/// The dictionary of a module's attributes.
inline nanobind::object dictionary_of(nanobind::handle module) {
  PyObject* dictionary = PyObject_GenericGetDict(module.ptr(), nullptr);
  if (dictionary == nullptr) nanobind::raise_python_error();
  return nanobind::steal(dictionary);
}

}  // namespace mmt_python
