// mmt._core.gaussian_process: regression for calibration, NumPy in and out.
#include "mmt/gaussian_process.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "array_input.h"

namespace nb = nanobind;
using namespace nb::literals;
using mmt::GaussianProcess;
using mmt::python::to_array;
using mmt::python::to_vector;

namespace {

using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

/// Lists of lists and arrays of any real type.
nb::object as_matrix(nb::handle values) {
  return nb::module_::import_("numpy").attr("ascontiguousarray")(values, "dtype"_a = "float64");
}

Matrix to_matrix(const nb::object& array) {
  Matrix matrix;
  if (nb::try_cast<Matrix>(array, matrix)) return matrix;
  throw mmt::Error(mmt::ErrorCode::kInvalidArgument, "features: expected an array of shape (n, features)");
}

nb::tuple to_pair(const std::vector<mmt::GaussianProcessPrediction>& predictions) {
  std::vector<double> means, deviations;
  for (const auto& prediction : predictions) {
    means.push_back(prediction.mean);
    deviations.push_back(prediction.standard_deviation);
  }
  return nb::make_tuple(to_array(std::move(means)), to_array(std::move(deviations)));
}

}  // namespace

void bind_gaussian_process(nb::module_& m) {
  nb::class_<GaussianProcess>(m, "GaussianProcess", "Gaussian process regression on a few rows of features.")
      .def_static(
          "fit",
          [](nb::handle features, nb::handle values, bool linear, bool separate_lengths, int starts, std::uint64_t seed,
             double usual_noise, double usual_signal) {
            const nb::object array = as_matrix(features);
            const Matrix x = to_matrix(array);
            const std::vector<double> y = to_vector(values, "values");
            mmt::GaussianProcessOptions options;
            options.linear = linear;
            options.separate_lengths = separate_lengths;
            options.starts = starts;
            options.seed = seed;
            options.usual_noise = usual_noise;
            options.usual_signal = usual_signal;
            const nb::gil_scoped_release release;
            return GaussianProcess::fit({x.data(), x.size()}, static_cast<int>(x.shape(1)), y, options);
          },
          "features"_a, "values"_a, "linear"_a = true, "separate_lengths"_a = true, "starts"_a = 6, "seed"_a = 1,
          "usual_noise"_a = 0.3, "usual_signal"_a = 0.6,
          "features: (n, d); values: (n,). Hyperparameters at the maximum of the marginal likelihood.")
      .def(
          "predict",
          [](const GaussianProcess& process, nb::handle features) {
            const nb::object array = as_matrix(features);
            const Matrix x = to_matrix(array);
            if (x.shape(1) != static_cast<std::size_t>(process.dims())) {
              throw mmt::Error(mmt::ErrorCode::kInvalidArgument,
                               "features: expected " + std::to_string(process.dims()) + " columns");
            }
            return to_pair(process.predict_rows({x.data(), x.size()}));
          },
          "features"_a, "(means, standard deviations of a new measurement) for rows of features, shape (n, d).")
      .def(
          "leave_one_out", [](const GaussianProcess& process) { return to_pair(process.leave_one_out()); },
          "(means, standard deviations) for each fitted row by a process that has not seen it.")
      .def_prop_ro("dims", &GaussianProcess::dims)
      .def_prop_ro("count", &GaussianProcess::count)
      .def_prop_ro("lengths", [](const GaussianProcess& process) { return process.lengths(); })
      .def_prop_ro("noise", &GaussianProcess::noise)
      .def_prop_ro("log_marginal_likelihood", &GaussianProcess::log_marginal_likelihood)
      .def("to_json", &GaussianProcess::to_json)
      .def_static("from_json", &GaussianProcess::from_json, "text"_a, "MmtError 'parse' names the key that is wrong.");
}
