// mmt._core.calibration: what measured models tell about a table's errors.
#include "mmt/calibration.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "result.h"

namespace nb = nanobind;
using namespace nb::literals;
using mmt::Calibration;
using mmt_python::Result;

namespace {

mmt::PredictionParts parts_of(const Result& result) { return mmt::parts_of(result.plan, result.prediction); }

std::pair<double, double> to_pair(const Calibration::Factor& factor) { return {factor.factor, factor.deviation}; }

}  // namespace

void bind_calibration(nb::module_& m) {
  nb::class_<Calibration>(m, "Calibration", "Errors of a table's rows, as far as measured models tell them.")
      .def_static(
          "fit",
          [](const std::vector<const Result*>& results, const std::vector<double>& ratios) {
            std::vector<mmt::PredictionParts> models;
            for (const Result* result : results) models.push_back(parts_of(*result));
            const nb::gil_scoped_release release;
            return Calibration::fit(models, ratios);
          },
          "results"_a, "ratios"_a, "Predictions of models, and their measured over predicted latency.")
      .def(
          "factor",
          [](const Calibration& calibration, const Result& result) {
            return to_pair(calibration.factor(parts_of(result)));
          },
          "result"_a, "(factor, standard deviation of the logarithm of a new measurement around it) for a prediction.")
      .def(
          "leave_one_out",
          [](const Calibration& calibration) {
            std::vector<std::pair<double, double>> factors;
            for (const Calibration::Factor& factor : calibration.leave_one_out()) factors.push_back(to_pair(factor));
            return factors;
          },
          "The same for each model that it was made of, as the others alone tell it.")
      .def_prop_ro("count", &Calibration::count)
      .def_prop_ro("noise", &Calibration::noise, "Standard deviation of a measured model, as a share.")
      .def_prop_ro("row_error", &Calibration::row_error, "The same of a row.")
      .def("to_json", &Calibration::to_json)
      .def_static("from_json", &Calibration::from_json, "text"_a, "MmtError 'parse' names the key that is wrong.");
}
