// Texts of plain Python values, as mmt.torch_side.canonical writes them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <string>

namespace mmt_python {

/// The characters of a Python string. Raises where they cannot be encoded.
inline std::string utf8(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data == nullptr) nanobind::raise_python_error();
  return std::string(data, static_cast<std::size_t>(size));
}

/// repr() of a Python string.
inline void append_repr(PyObject* text, std::string& out) {
  if (PyUnicode_IS_COMPACT_ASCII(text)) {
    const auto* data = static_cast<const char*>(PyUnicode_DATA(text));
    const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text));
    bool simple = true;
    for (std::size_t i = 0; i < size && simple; ++i)
      simple = data[i] >= ' ' && data[i] != '\'' && data[i] != '\\' && data[i] != 127;
    if (simple) {
      out += '\'';
      out.append(data, size);
      out += '\'';
      return;
    }
  }
  PyObject* whole = PyObject_Repr(text);
  if (whole == nullptr) nanobind::raise_python_error();
  const nanobind::object held = nanobind::steal(whole);
  out += utf8(whole);
}

/// "[1,3,224,224]" of a sequence of integers.
inline void append_shape(PyObject* shape, std::string& out) {
  out += '[';
  bool first = true;
  for (nanobind::handle size : nanobind::handle(shape)) {
    if (!first) out += ',';
    first = false;
    const long long value = PyLong_AsLongLong(size.ptr());
    if (value == -1 && PyErr_Occurred() != nullptr) nanobind::raise_python_error();
    out += std::to_string(value);
  }
  out += ']';
}

/// Appends the text of None, numbers, strings, and of tuples, lists and dictionaries of these. False, and anything
/// appended, for whatever holds more than that.
inline bool append_plain(PyObject* value, std::string& out, int depth = 0) {
  if (value == Py_None) {
    out += "NoneType:None";
  } else if (PyBool_Check(value)) {
    out += value == Py_True ? "bool:True" : "bool:False";
  } else if (PyLong_CheckExact(value)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) return false;
    out += "int:" + std::to_string(number);
  } else if (PyFloat_CheckExact(value)) {
    char* text = PyOS_double_to_string(PyFloat_AS_DOUBLE(value), 'r', 0, Py_DTSF_ADD_DOT_0, nullptr);
    if (text == nullptr) nanobind::raise_python_error();
    out += "float:";
    out += text;
    PyMem_Free(text);
  } else if (PyUnicode_CheckExact(value)) {
    out += "str:";
    append_repr(value, out);
  } else if (depth > 20) {  // perhaps something that holds itself
    return false;
  } else if (PyTuple_CheckExact(value) || PyList_CheckExact(value)) {
    out += "list(";
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
    for (Py_ssize_t i = 0; i < size; ++i) {
      if (i > 0) out += ',';
      if (!append_plain(PySequence_Fast_GET_ITEM(value, i), out, depth + 1)) return false;
    }
    out += ')';
  } else if (PyDict_CheckExact(value)) {
    out += "dict(";
    Py_ssize_t position = 0;
    PyObject *key = nullptr, *item = nullptr;
    bool first = true;
    while (PyDict_Next(value, &position, &key, &item)) {
      if (!first) out += ',';
      first = false;
      if (!append_plain(key, out, depth + 1)) return false;
      out += '=';
      if (!append_plain(item, out, depth + 1)) return false;
    }
    out += ')';
  } else {
    return false;
  }
  return true;
}

/// The bytes of a number, as they lie in memory.
template <class T>
void append_bytes(const T& value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Appends what tells values apart of which append_plain writes different texts: quick to make, of no other use. False,
/// and anything appended, where append_plain says so, and for dictionaries and what is not ASCII.
inline bool append_plain_key(PyObject* value, std::string& out, int depth = 0) {
  if (value == Py_None) {
    out += 'n';
  } else if (PyBool_Check(value)) {
    out += value == Py_True ? 't' : 'f';
  } else if (PyLong_CheckExact(value)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) return false;
    out += 'i';
    append_bytes(number, out);
  } else if (PyFloat_CheckExact(value)) {
    out += 'd';
    append_bytes(PyFloat_AS_DOUBLE(value), out);
  } else if (PyUnicode_CheckExact(value)) {
    if (!PyUnicode_IS_COMPACT_ASCII(value)) return false;
    const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(value));
    out += 's';
    append_bytes(size, out);
    out.append(static_cast<const char*>(PyUnicode_DATA(value)), size);
  } else if (depth <= 20 && (PyTuple_CheckExact(value) || PyList_CheckExact(value))) {
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
    out += 'l';
    append_bytes(size, out);
    for (Py_ssize_t i = 0; i < size; ++i) {
      if (!append_plain_key(PySequence_Fast_GET_ITEM(value, i), out, depth + 1)) return false;
    }
  } else {
    return false;
  }
  return true;
}

/// The same for append_shape. False where it is no tuple of plain integers.
inline bool append_shape_key(PyObject* shape, std::string& out) {
  if (!PyTuple_Check(shape)) return false;
  append_bytes(PyTuple_GET_SIZE(shape), out);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(shape); ++i) {
    PyObject* size = PyTuple_GET_ITEM(shape, i);
    int overflow = 1;
    const long long number = PyLong_CheckExact(size) ? PyLong_AsLongLongAndOverflow(size, &overflow) : 0;
    if (overflow != 0) return false;
    append_bytes(number, out);
  }
  return true;
}

}  // namespace mmt_python
