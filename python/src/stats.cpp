// mmt._core.stats: summaries, error metrics and fits over lists or NumPy arrays.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "array_input.h"
#include "mmt/stats.h"

namespace nb = nanobind;
using mmt::python::to_array;
using mmt::python::to_vector;

namespace {

nb::dict summary_dict(const mmt::Summary& s) {
  nb::dict d;
  d["count"] = s.count;
  d["mean_us"] = s.mean_us;
  d["min_us"] = s.min_us;
  d["max_us"] = s.max_us;
  d["median_us"] = s.median_us;
  d["ci_low_us"] = s.ci_low_us;
  d["ci_high_us"] = s.ci_high_us;
  d["p05_us"] = s.p05_us;
  d["p25_us"] = s.p25_us;
  d["p75_us"] = s.p75_us;
  d["p95_us"] = s.p95_us;
  d["noisy"] = s.noisy;
  return d;
}

nb::dict metrics_dict(const mmt::ErrorMetrics& e) {
  nb::dict d;
  d["count"] = e.count;
  d["mape_pct"] = e.mape_pct;
  d["bias_pct"] = e.bias_pct;
  d["max_pct"] = e.max_pct;
  d["rmspe_pct"] = e.rmspe_pct;
  d["within_5pct"] = e.within_5pct;
  d["within_10pct"] = e.within_10pct;
  d["spearman"] = e.spearman;
  d["kendall"] = e.kendall;
  return d;
}

std::vector<int> to_indices(nb::handle values, const char* name) {
  const std::vector<double> numbers = to_vector(values, name);
  return {numbers.begin(), numbers.end()};
}

nb::dict two_way(nb::handle rows, nb::handle columns, nb::handle values, int row_count, int column_count) {
  const std::vector<int> row = to_indices(rows, "rows"), column = to_indices(columns, "columns");
  const std::vector<double> value = to_vector(values, "values");
  if (row.size() != value.size() || column.size() != value.size()) {
    throw mmt::Error(mmt::ErrorCode::kInvalidArgument, "rows, columns and values differ in length");
  }
  std::vector<mmt::Cell> cells(value.size());
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = {row[i], column[i], value[i]};
  mmt::TwoWayFit fit;
  {
    const nb::gil_scoped_release release;
    fit = mmt::two_way_fit(cells, row_count, column_count);
  }
  nb::dict d;
  d["row_value"] = to_array(std::move(fit.row_value));
  d["column_factor"] = to_array(std::move(fit.column_factor));
  d["row_spread"] = to_array(std::move(fit.row_spread));
  d["component"] = to_array(std::move(fit.component));
  d["components"] = fit.components;
  d["converged"] = fit.converged;
  return d;
}

nb::dict line_dict(const mmt::LineFit& fit) {
  nb::dict d;
  d["a"] = fit.a;
  d["b"] = fit.b;
  d["scale"] = fit.scale;
  return d;
}

}  // namespace

void bind_stats(nb::module_& m) {
  m.def(
      "summarize",
      [](nb::handle values, double target_ci) {
        return summary_dict(mmt::summarize(to_vector(values, "values"), target_ci));
      },
      nb::arg("values"), nb::arg("target_ci") = 0.0,
      "Robust summary of samples in microseconds, with the median's distribution-free 95 % interval.");
  m.def(
      "quantile", [](nb::handle values, double q) { return mmt::quantile(to_vector(values, "values"), q); },
      nb::arg("values"), nb::arg("q"), "Quantile q (0…1) by linear interpolation.");
  m.def(
      "mad", [](nb::handle values) { return mmt::mad(to_vector(values, "values")); }, nb::arg("values"),
      "Median absolute deviation from the median, unscaled.");
  m.def(
      "find_modes",
      [](nb::handle values, double min_separation) {
        const mmt::Modes modes = mmt::find_modes(to_vector(values, "values"), min_separation);
        nb::dict d;
        d["bimodal"] = modes.bimodal;
        d["dip"] = modes.dip;
        d["low"] = modes.low;
        d["high"] = modes.high;
        d["high_share"] = modes.high_share;
        return d;
      },
      nb::arg("values"), nb::arg("min_separation") = 0.02,
      "Whether samples have two separate modes (dip test), and where these are.");
  m.def(
      "error_metrics",
      [](nb::handle truth, nb::handle predicted) {
        return metrics_dict(mmt::error_metrics(to_vector(truth, "truth"), to_vector(predicted, "predicted")));
      },
      nb::arg("truth"), nb::arg("predicted"),
      "Relative errors of predictions: mape_pct, bias_pct, max_pct, rmspe_pct (0…100), within_5pct, within_10pct\n"
      "(shares 0…1), spearman, kendall. True values must be above 0.");
  m.def(
      "share_within",
      [](nb::handle truth, nb::handle predicted, double percent) {
        return mmt::share_within(to_vector(truth, "truth"), to_vector(predicted, "predicted"), percent);
      },
      nb::arg("truth"), nb::arg("predicted"), nb::arg("percent"), "Share of predictions off by at most `percent`.");
  m.def(
      "spearman", [](nb::handle x, nb::handle y) { return mmt::spearman(to_vector(x, "x"), to_vector(y, "y")); },
      nb::arg("x"), nb::arg("y"), "Spearman's rank correlation; NaN where undefined.");
  m.def(
      "kendall", [](nb::handle x, nb::handle y) { return mmt::kendall(to_vector(x, "x"), to_vector(y, "y")); },
      nb::arg("x"), nb::arg("y"), "Kendall's tau-b; NaN where undefined.");
  m.def("two_way_fit", &two_way, nb::arg("rows"), nb::arg("columns"), nb::arg("values"), nb::arg("row_count"),
        nb::arg("column_count"),
        "Robust fit value ~ row_value[row] * column_factor[column] over cells given as three equally long sequences.");
  m.def(
      "pool_estimates",
      [](nb::handle values, nb::handle errors) {
        const mmt::Pooled pooled =
            mmt::pool_estimates(to_vector(values, "values"), to_vector(errors, "standard_errors"));
        nb::dict d;
        d["value"] = pooled.value;
        d["standard_error"] = pooled.standard_error;
        d["between"] = pooled.between;
        d["sources"] = pooled.sources;
        return d;
      },
      nb::arg("values"), nb::arg("standard_errors"), "Pools estimates of one quantity by their standard errors.");
  m.def(
      "theil_sen",
      [](nb::handle x, nb::handle y) { return line_dict(mmt::theil_sen(to_vector(x, "x"), to_vector(y, "y"))); },
      nb::arg("x"), nb::arg("y"), "y ~ a + b*x by the median of pairwise slopes.");
  m.def(
      "robust_line",
      [](nb::handle x, nb::handle y, nb::object weights, bool nonnegative) {
        mmt::LinearFitOptions options;
        if (!weights.is_none()) options.weights = to_vector(weights, "weights");
        options.nonnegative = nonnegative;
        return line_dict(mmt::robust_line(to_vector(x, "x"), to_vector(y, "y"), options));
      },
      nb::arg("x"), nb::arg("y"), nb::arg("weights") = nb::none(), nb::arg("nonnegative") = false,
      "y ~ a + b*x with bounded influence of outliers; weights: one per point, for example 1/standard error.");
}
