// Looking at torch modules: the texts behind fingerprints. What is plain (numbers, texts, lists of them) is
// read here; for anything else Python is asked, which knows what the texts mean (fingerprint.py).
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mmt/hash.h"
#include "module_items.h"
#include "python_text.h"

namespace nb = nanobind;
using namespace nb::literals;
using mmt_python::dictionary_of;
using mmt_python::each_item;

namespace {

constexpr std::size_t kMostTexts = 50'000;
constexpr std::size_t kMostClasses = 10'000;
constexpr std::size_t kMostLayouts = 64;

/// What an attribute of a module is.
enum class Part { kConfiguration, kIgnored, kParameters, kBuffers, kModules, kHooks };

/// The attributes of modules of one class, in the order in which they were set.
struct Layout {
  std::size_t number = 0;         ///< Its own among all that there ever were.
  std::vector<nb::object> names;  ///< As in the module's dictionary, so that the same objects are met again.
  std::vector<Part> parts;
  std::vector<std::size_t> places;    ///< Of configuration: which of `prefixes`.
  std::vector<std::string> prefixes;  ///< "\nname=", sorted by name.
};

struct Class {
  nb::object type;  ///< Keeps the address its own.
  std::string identity;
  std::vector<std::shared_ptr<const Layout>> layouts;
};

/// What Python knows about the texts.
struct Rules {
  nb::object identity, value_text, tensor_text, bookkeeping, tensor_types;
};

/// Everything that is remembered between walks; guarded by Python's lock.
struct Memory {
  std::unordered_map<std::string, std::string> digests;  // text of a configuration -> its hash
  std::unordered_map<std::string, std::string> keys;     // the same by what texts are made of (Walk::append_key)
  std::unordered_map<PyObject*, std::shared_ptr<Class>> classes;
  std::unordered_map<PyObject*, std::pair<nb::object, std::string>> dtypes;
};

Memory& memory() {
  static Memory* const kMemory = new Memory;  // never destroyed: it holds Python's objects
  return *kMemory;
}

bool is_empty(PyObject* mapping) { return PyObject_IsTrue(mapping) == 0; }

class Walk {
 public:
  explicit Walk(nb::object rules)
      : rules_{rules.attr("identity"), rules.attr("value_text"), rules.attr("tensor_text"), rules.attr("bookkeeping"),
               rules.attr("tensor_types")},
        tensor_(nb::object(rules_.tensor_types[0])),
        parameter_(nb::object(rules_.tensor_types[1])) {}

  bool hooked() const { return hooked_; }

  std::string structure(nb::handle module) {
    std::string text = configuration(module);
    for (const auto& [met, first] : shared_) text += ";" + std::to_string(met) + "=" + std::to_string(first);
    return text;
  }

  std::string configuration(nb::handle module) {
    const auto [found, fresh] = seen_.try_emplace(module.ptr());
    if (!fresh) return again(module.ptr(), found->second);
    kept_.push_back(nb::borrow(module));
    found->second.number = kept_.size() - 1;
    open_.push_back(module.ptr());
    try {
      std::string digest = look_at(module);
      open_.pop_back();
      seen_[module.ptr()].digest = digest;
      return digest;
    } catch (...) {
      open_.pop_back();
      seen_.erase(module.ptr());
      throw;
    }
  }

  std::string fingerprint(const std::string& scheme, nb::handle module, nb::handle inputs) {
    std::string text = scheme + "\n" + configuration(module) + "\n";
    bool first = true;
    for (nb::handle input : inputs) {
      if (!first) text += ";";
      first = false;
      const nb::object shape = input[0], dtype = input[1];
      text += nb::str(dtype).c_str();
      mmt_python::append_shape(shape.ptr(), text);
    }
    return mmt::identity_hex(text);
  }

 private:
  struct Seen {
    std::size_t number = 0;
    std::string digest;  // empty while the module is being looked at
  };

  /// A module that was met before: asked for once more, in two places, or inside of itself.
  std::string again(PyObject* module, const Seen& seen) {
    if (seen.digest.empty()) {
      const auto place = std::find(open_.begin(), open_.end(), module);
      return "cycle:" + std::to_string(open_.end() - place);
    }
    if (!open_.empty()) shared_.emplace_back(kept_.size(), seen.number);
    return seen.digest;
  }

  /// What a module holds, by the kind of it; borrowed.
  struct Held {
    std::vector<PyObject*> values;  ///< Of configuration, in the layout's order.
    PyObject *parameters = nullptr, *buffers = nullptr, *modules = nullptr;
  };

  std::string look_at(nb::handle module) {
    const nb::object dictionary = dictionary_of(module);
    Class& kind = class_of(nb::handle(reinterpret_cast<PyObject*>(Py_TYPE(module.ptr()))));
    const std::shared_ptr<const Layout> layout = layout_of(kind, dictionary);
    const Held held = held_by(dictionary, *layout);
    std::vector<std::string> children;
    std::string key;
    key.reserve(1024);
    const bool is_plain = append_key(*layout, held, key);
    if (is_plain) {
      children = look_at_children(held);
      for (const std::string& child : children) key += child;
      const auto known = memory().keys.find(key);
      if (known != memory().keys.end()) return known->second;
    }
    std::string text = kind.identity;
    text.reserve(1024);
    for (std::size_t place = 0; place < held.values.size(); ++place) {
      text += layout->prefixes[place];
      append_value(held.values[place], text);
    }
    if (held.parameters != nullptr) append_tensors("\n_parameters ", held.parameters, text);
    if (held.buffers != nullptr) append_tensors("\n_buffers ", held.buffers, text);
    if (!is_plain) children = look_at_children(held);  // Values may hold modules, which are met before.
    for (const std::string& child : children) text += child;
    std::string digest = digest_of(text);
    if (is_plain) remember(memory().keys, std::move(key), digest);
    return digest;
  }

  Held held_by(nb::handle dictionary, const Layout& layout) {
    Held held;
    held.values.resize(layout.prefixes.size());
    std::vector<PyObject*> hooks;
    std::size_t i = 0;
    each_item(dictionary.ptr(), [&](PyObject*, PyObject* value) {
      __builtin_prefetch(value);  // a model's objects lie anywhere: most of the time goes into waiting for them
      switch (layout.parts[i]) {
        case Part::kConfiguration:
          held.values[layout.places[i]] = value;
          break;
        case Part::kIgnored:
          break;
        case Part::kParameters:
          held.parameters = value;
          break;
        case Part::kBuffers:
          held.buffers = value;
          break;
        case Part::kModules:
          held.modules = value;
          break;
        case Part::kHooks:
          hooks.push_back(value);
          break;
      }
      ++i;
    });
    for (PyObject* hook : hooks) hooked_ = hooked_ || !is_empty(hook);
    return held;
  }

  /// Appends what the module's text says of itself, without making the text: modules with the same key and the same
  /// children have the same text. False where something takes more than a look.
  bool append_key(const Layout& layout, const Held& held, std::string& key) {
    mmt_python::append_bytes(layout.number, key);
    for (PyObject* value : held.values) {
      if (!mmt_python::append_plain_key(value, key)) return false;
    }
    for (PyObject* tensors : {held.parameters, held.buffers}) {
      key += tensors == nullptr ? '-' : '+';
      if (tensors != nullptr && !append_tensors_key(tensors, key)) return false;
    }
    return true;
  }

  bool append_tensors_key(PyObject* tensors, std::string& key) {
    bool is_plain = true;
    each_item(tensors, [&](PyObject* name, PyObject* tensor) {
      PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(tensor));
      is_plain = is_plain && mmt_python::append_plain_key(name, key) &&
                 (tensor == Py_None || type == tensor_.ptr() || type == parameter_.ptr());
      if (!is_plain) return;
      key += tensor == Py_None ? '0' : '1';
      if (tensor == Py_None) return;
      mmt_python::append_bytes(&dtype_of(tensor), key);
      const nb::object shape = nb::handle(tensor).attr("shape");
      is_plain = mmt_python::append_shape_key(shape.ptr(), key);
    });
    return is_plain;
  }

  /// "\nchild 'name' digest" of each.
  std::vector<std::string> look_at_children(const Held& held) {
    std::vector<std::string> children;
    if (held.modules == nullptr || is_empty(held.modules)) return children;
    fetch(held.modules);
    each_item(held.modules, [&](PyObject* name, PyObject* child) {
      std::string& text = children.emplace_back("\nchild ");
      mmt_python::append_repr(name, text);
      text += " " + (child == Py_None ? std::string("None") : configuration(child));
    });
    return children;
  }

  /// Brings the dictionaries of modules near, all at once.
  static void fetch(PyObject* modules) {
    std::vector<nb::object> dictionaries;
    each_item(modules, [](PyObject*, PyObject* child) { __builtin_prefetch(child); });
    each_item(modules, [&](PyObject*, PyObject* child) {
      if (child == Py_None) return;
      dictionaries.push_back(dictionary_of(child));
      __builtin_prefetch(dictionaries.back().ptr());
    });
    for (const nb::object& one : dictionaries) {
      if (!PyDict_CheckExact(one.ptr())) continue;
      const auto* dictionary = reinterpret_cast<const PyDictObject*>(one.ptr());
      __builtin_prefetch(dictionary->ma_keys);
      if (dictionary->ma_values != nullptr) __builtin_prefetch(dictionary->ma_values);
    }
    for (const nb::object& one : dictionaries) {
      Py_ssize_t position = 0;
      PyObject* value = nullptr;
      while (PyDict_Next(one.ptr(), &position, nullptr, &value)) __builtin_prefetch(value);
    }
  }

  static std::string digest_of(const std::string& text) {
    auto& digests = memory().digests;
    const auto known = digests.find(text);
    if (known != digests.end()) return known->second;
    return remember(digests, text, mmt::sha256_hex(text));
  }

  static const std::string& remember(std::unordered_map<std::string, std::string>& digests, std::string what,
                                     std::string digest) {
    if (digests.size() >= kMostTexts) digests.clear();
    return digests.emplace(std::move(what), std::move(digest)).first->second;
  }

  void append_value(PyObject* value, std::string& text) {
    const std::size_t start = text.size();
    if (mmt_python::append_plain(value, text)) return;
    text.resize(start);
    const nb::object held = nb::borrow(value);
    text += nb::str(rules_.value_text(nb::cast(this, nb::rv_policy::reference), held)).c_str();
  }

  /// A module's own tensors, sorted by name.
  void append_tensors(const char* prefix, PyObject* tensors, std::string& text) {
    if (is_empty(tensors)) return;
    std::vector<std::pair<std::string, PyObject*>> sorted;
    std::vector<nb::object> held;
    each_item(tensors, [&](PyObject* name, PyObject* tensor) {
      held.push_back(nb::borrow(tensor));
      sorted.emplace_back(mmt_python::utf8(name), tensor);
    });
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [name, tensor] : sorted) {
      text += prefix;
      text += name + " ";
      if (tensor == Py_None) {
        text += "none";
      } else {
        append_tensor(tensor, text);
      }
    }
  }

  void append_tensor(PyObject* tensor, std::string& text) {
    PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(tensor));
    if (type != tensor_.ptr() && type != parameter_.ptr()) {  // lazy ones have no shape; others may hide anything
      text += nb::str(rules_.tensor_text(nb::borrow(tensor))).c_str();
      return;
    }
    text += dtype_of(tensor).second;
    const nb::object shape = nb::handle(tensor).attr("shape");
    mmt_python::append_shape(shape.ptr(), text);
  }

  /// A tensor's type and the name of it, which stay where they are until everything is forgotten.
  static const std::pair<nb::object, std::string>& dtype_of(PyObject* tensor) {
    const nb::object dtype = nb::handle(tensor).attr("dtype");
    auto& dtypes = memory().dtypes;
    auto known = dtypes.find(dtype.ptr());
    if (known == dtypes.end()) {
      const std::string name = std::string(nb::str(dtype).c_str()).substr(6);  // without "torch."
      known = dtypes.emplace(dtype.ptr(), std::make_pair(dtype, name)).first;
    }
    return known->second;
  }

  /// What is known of a class, with its code as it is now: Python is asked once in a walk.
  Class& class_of(nb::handle type) {
    std::shared_ptr<Class>& checked = checked_[type.ptr()];
    if (checked != nullptr) return *checked;
    const std::string identity = nb::str(rules_.identity(type)).c_str();
    auto& classes = memory().classes;
    if (classes.size() >= kMostClasses) classes.clear();
    std::shared_ptr<Class>& known = classes[type.ptr()];
    if (known == nullptr || known->identity != identity) {
      known = std::make_shared<Class>(Class{nb::borrow(type), identity, {}});
    }
    checked = known;
    return *checked;
  }

  /// The layout that fits a module's attributes.
  std::shared_ptr<const Layout> layout_of(Class& kind, nb::handle dictionary) const {
    for (const auto& layout : kind.layouts) {
      if (fits(*layout, dictionary)) return layout;
    }
    if (kind.layouts.size() >= kMostLayouts) kind.layouts.clear();
    return kind.layouts.emplace_back(std::make_shared<const Layout>(new_layout(dictionary)));
  }

  static bool fits(const Layout& layout, nb::handle dictionary) {
    if (PyDict_Size(dictionary.ptr()) != static_cast<Py_ssize_t>(layout.names.size())) return false;
    std::size_t i = 0;
    Py_ssize_t position = 0;
    PyObject* name = nullptr;
    while (PyDict_Next(dictionary.ptr(), &position, &name, nullptr)) {
      PyObject* mine = layout.names[i++].ptr();
      if (mine != name && PyUnicode_Compare(mine, name) != 0) return false;
    }
    return true;
  }

  Layout new_layout(nb::handle dictionary) const {
    static std::size_t layouts = 0;
    Layout layout;
    layout.number = ++layouts;
    std::vector<std::string> sorted;
    each_item(dictionary.ptr(), [&](PyObject* name, PyObject*) {
      const std::string text = mmt_python::utf8(name);
      Part part = Part::kConfiguration;
      if (text == "_parameters") {
        part = Part::kParameters;
      } else if (text == "_buffers") {
        part = Part::kBuffers;
      } else if (text == "_modules") {
        part = Part::kModules;
      } else if (text == "_forward_hooks" || text == "_forward_pre_hooks") {
        part = Part::kHooks;
      } else if (PySet_Contains(rules_.bookkeeping.ptr(), name) == 1) {
        part = Part::kIgnored;
      }
      layout.names.push_back(nb::borrow(name));
      layout.parts.push_back(part);
      if (part == Part::kConfiguration) sorted.push_back(text);
    });
    std::sort(sorted.begin(), sorted.end());
    for (const std::string& name : sorted) layout.prefixes.push_back("\n" + name + "=");
    for (std::size_t i = 0; i < layout.names.size(); ++i) {
      const auto place = std::find(sorted.begin(), sorted.end(), mmt_python::utf8(layout.names[i].ptr()));
      layout.places.push_back(static_cast<std::size_t>(place - sorted.begin()));
    }
    return layout;
  }

  Rules rules_;
  nb::object tensor_, parameter_;
  bool hooked_ = false;
  std::unordered_map<PyObject*, Seen> seen_;
  std::vector<nb::object> kept_;  // keeps the addresses of the modules their own
  std::vector<PyObject*> open_;
  std::vector<std::pair<std::size_t, std::size_t>> shared_;
  std::unordered_map<PyObject*, std::shared_ptr<Class>> checked_;
};

}  // namespace

void bind_fingerprints(nb::module_& m) {
  nb::class_<Walk>(m, "Walk", "One look at a model (mmt.torch_side.fingerprint).")
      .def(nb::init<nb::object>(), "rules"_a)
      .def("structure", &Walk::structure, "module"_a)
      .def("configuration", &Walk::configuration, "module"_a)
      .def("fingerprint", &Walk::fingerprint, "scheme"_a, "module"_a, "inputs"_a)
      .def_prop_ro("hooked", &Walk::hooked, "Whether a module that was looked at has hooks.");
  m.def(
      "forget",
      [] {
        memory().digests.clear();
        memory().keys.clear();
        memory().classes.clear();
        memory().dtypes.clear();
      },
      "Drops what is remembered between walks (of which none may be going on).");
}
