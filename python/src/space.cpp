// mmt._core.space: parsing and enumeration of operator spaces.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "mmt/space.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Range = std::pair<double, double>;

std::vector<Range> ranges_of(const std::vector<mmt::InputRange>& ranges) {
  std::vector<Range> result;
  for (const mmt::InputRange& range : ranges) result.emplace_back(range.low, range.high);
  return result;
}

/// Python's iterator over a space; it keeps the space alive.
struct SpaceIterator {
  explicit SpaceIterator(const mmt::Space& space) : enumerator(space) {}
  mmt::Enumerator enumerator;
};

}  // namespace

void bind_space(nb::module_& m) {
  nb::class_<mmt::SourcePlace>(m, "SourcePlace", "Line and column in the file, from 1; line 0: not from a file.")
      .def(nb::init<>())
      .def(
          "__init__",
          [](mmt::SourcePlace* self, int line, int column) {
            new (self) mmt::SourcePlace{line, column};
          },
          "line"_a, "column"_a)
      .def_ro("line", &mmt::SourcePlace::line)
      .def_ro("column", &mmt::SourcePlace::column);

  nb::class_<mmt::SpaceParameter>(m, "SpaceParameter", "A constructor parameter and its values, each as JSON text.")
      .def_ro("name", &mmt::SpaceParameter::name)
      .def_ro("place", &mmt::SpaceParameter::place)
      .def_ro("values_json", &mmt::SpaceParameter::values_json);

  nb::class_<mmt::SpaceEntry>(m, "SpaceEntry", "One group of operators of one class.")
      .def_ro("module", &mmt::SpaceEntry::module)
      .def_ro("class_name", &mmt::SpaceEntry::class_name)
      .def_ro("module_place", &mmt::SpaceEntry::module_place)
      .def_ro("class_place", &mmt::SpaceEntry::class_place)
      .def_ro("shapes_place", &mmt::SpaceEntry::shapes_place)
      .def_ro("no_params", &mmt::SpaceEntry::no_params)
      .def_ro("parameters", &mmt::SpaceEntry::parameters)
      .def_ro("input_shapes", &mmt::SpaceEntry::input_shapes)
      .def_ro("input_dtypes", &mmt::SpaceEntry::input_dtypes)
      .def_prop_ro("input_ranges", [](const mmt::SpaceEntry& entry) { return ranges_of(entry.input_ranges); })
      .def_ro("occurs", &mmt::SpaceEntry::occurs)
      .def_ro("captured", &mmt::SpaceEntry::captured)
      .def("count", &mmt::SpaceEntry::count);

  nb::class_<mmt::OperatorSpec>(m, "OperatorSpec", "One operator of a space, not yet checked against Python.")
      .def_ro("entry", &mmt::OperatorSpec::entry)
      .def_ro("index", &mmt::OperatorSpec::index)
      .def_ro("module", &mmt::OperatorSpec::module)
      .def_ro("class_name", &mmt::OperatorSpec::class_name)
      .def_ro("parameters_json", &mmt::OperatorSpec::parameters_json)
      .def_ro("input_shapes", &mmt::OperatorSpec::input_shapes)
      .def_ro("input_dtypes", &mmt::OperatorSpec::input_dtypes)
      .def_prop_ro("input_ranges", [](const mmt::OperatorSpec& spec) { return ranges_of(spec.input_ranges); })
      .def_ro("occurs", &mmt::OperatorSpec::occurs)
      .def_ro("captured_id", &mmt::OperatorSpec::captured_id)
      .def_ro("place", &mmt::OperatorSpec::place);

  nb::class_<SpaceIterator>(m, "SpaceIterator")
      .def("__iter__", [](nb::handle self) { return self; })
      .def("__next__", [](SpaceIterator& self) {
        mmt::OperatorSpec spec;
        if (!self.enumerator.next(spec)) throw nb::stop_iteration();
        return spec;
      });

  nb::class_<mmt::Space>(m, "Space", "A parsed operator space; iterating yields OperatorSpec one by one.")
      .def_ro("source", &mmt::Space::source)
      .def_ro("entries", &mmt::Space::entries)
      .def("count", &mmt::Space::count, "Number of operators, at most 2**64 - 1.")
      .def(
          "__iter__", [](const mmt::Space& space) { return new SpaceIterator(space); }, nb::keep_alive<0, 1>(),
          nb::rv_policy::take_ownership);

  m.def("parse_space", &mmt::parse_space, "text"_a, "source"_a, nb::call_guard<nb::gil_scoped_release>(),
        "Parses a YAML text; `source` stands for the file in messages. Raises MmtError ('parse').");
  m.def("read_space", &mmt::read_space, "path"_a, nb::call_guard<nb::gil_scoped_release>(),
        "Reads and parses a file. Raises MmtError ('parse', 'not_found', 'io').");
  m.def("parse_keywords", &mmt::parse_keywords, "json"_a, "module"_a, "class_name"_a, "source"_a,
        "One group from a JSON object of keywords. Raises MmtError ('parse').");
  m.def("space_message", &mmt::space_message, "source"_a, "place"_a, "key"_a, "owner"_a, "what"_a,
        "The one wording of errors about a space.");
  m.def(
      "did_you_mean",
      [](const std::string& word, const std::vector<std::string>& candidates) {
        return mmt::did_you_mean(word, candidates);
      },
      "word"_a, "candidates"_a, "The candidate nearest to `word`, or ''.");
  m.def("reserved_keys", &mmt::space_reserved_keys, "Keys below a class that are no constructor parameters.");
  m.def("json_schema", &mmt::space_json_schema, "JSON Schema of the YAML format, as text.");
  m.attr("CAPTURED_MODULE") = std::string(mmt::kCapturedModule);
  m.attr("CAPTURED_CLASS") = std::string(mmt::kCapturedClass);
}
