// mmt._core.space_table: search spaces as arrays, NumPy in and out.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>

#include "array_input.h"
#include "mmt/predict.h"
#include "mmt/space_table.h"

namespace nb = nanobind;
using namespace nb::literals;
using mmt::SpaceTable;
using mmt::python::to_array;
using mmt::python::to_vector;

namespace {

template <typename Choice>
using Rows = nb::ndarray<const Choice, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using RowsOut = nb::ndarray<nb::numpy, std::int32_t, nb::ndim<2>>;

mmt::Error wrong_rows(const SpaceTable& table) {
  return {mmt::ErrorCode::kInvalidArgument, "configurations: expected an integer array of shape (n, " +
                                                std::to_string(table.slots()) + "), one column per slot"};
}

template <typename T>
nb::ndarray<nb::numpy, T, nb::ndim<2>> to_matrix(std::vector<T> values, std::size_t columns) {
  auto* owned = new std::vector<T>(std::move(values));
  const nb::capsule owner(owned, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
  return {owned->data(), {owned->size() / columns, columns}, owner};
}

template <typename Choice>
bool try_latency(const SpaceTable& table, nb::handle input, std::vector<double>& out) {
  Rows<Choice> rows;
  if (!nb::try_cast<Rows<Choice>>(input, rows, false)) return false;
  if (rows.shape(1) != static_cast<std::size_t>(table.slots())) throw wrong_rows(table);
  out.resize(rows.shape(0));
  const nb::gil_scoped_release release;
  table.latency_us(std::span<const Choice>(rows.data(), rows.size()), out);
  return true;
}

/// uint8, int32 and int64 are read as they are; other integer types are converted first.
nb::ndarray<nb::numpy, double, nb::ndim<1>> latency_us(const SpaceTable& table, nb::handle rows) {
  std::vector<double> out;
  if (!try_latency<std::uint8_t>(table, rows, out) && !try_latency<std::int32_t>(table, rows, out) &&
      !try_latency<std::int64_t>(table, rows, out)) {
    const nb::object converted = nb::module_::import_("numpy").attr("ascontiguousarray")(rows);
    const std::string kind = nb::cast<std::string>(converted.attr("dtype").attr("kind"));
    if (kind != "i" && kind != "u") throw wrong_rows(table);
    if (!try_latency<std::int64_t>(table, converted.attr("astype")("int64"), out)) throw wrong_rows(table);
  }
  return to_array(std::move(out));
}

std::vector<std::int32_t> to_rows(const SpaceTable& table, nb::handle input) {
  const nb::object converted = nb::module_::import_("numpy").attr("ascontiguousarray")(input);
  const std::string kind = nb::cast<std::string>(converted.attr("dtype").attr("kind"));
  Rows<std::int64_t> rows;
  const bool is_integer = kind == "i" || kind == "u";
  if (!is_integer || !nb::try_cast<Rows<std::int64_t>>(converted.attr("astype")("int64"), rows, false) ||
      rows.shape(1) != static_cast<std::size_t>(table.slots())) {
    throw wrong_rows(table);
  }
  std::vector<std::int32_t> narrow(rows.size());
  // What does not fit is no choice of any slot; −1 is refused as such.
  std::transform(rows.data(), rows.data() + rows.size(), narrow.begin(), [](std::int64_t choice) {
    return choice < 0 || choice > std::numeric_limits<std::int32_t>::max() ? -1 : static_cast<std::int32_t>(choice);
  });
  return narrow;
}

mmt::SpaceSearch to_search(const SpaceTable& table, const nb::dict& limits, std::uint64_t most_visits) {
  mmt::SpaceSearch search;
  search.most_visits = most_visits;
  for (const auto [name, most] : limits) {
    search.limits.push_back({table.feature(nb::cast<std::string>(name)), nb::cast<double>(most)});
  }
  return search;
}

nb::tuple to_answer(const SpaceTable& table, mmt::SpaceAnswer answer) {
  return nb::make_tuple(to_matrix(std::move(answer.rows), static_cast<std::size_t>(table.slots())),
                        to_array(std::move(answer.latency_us)), answer.complete);
}

/// Bounds of the bytes: the sum of each slot's least and most, pairs included generously.
std::pair<double, double> bytes_bounds(const SpaceTable& table, int feature) {
  double low = table.base()[feature], high = low;
  for (int slot = 0; slot < table.slots(); ++slot) {
    double least = table.delta(slot, 0)[feature], most = least;
    for (int choice = 1; choice < table.sizes()[slot]; ++choice) {
      least = std::min(least, table.delta(slot, choice)[feature]);
      most = std::max(most, table.delta(slot, choice)[feature]);
    }
    low += least;
    high += most;
  }
  for (const SpaceTable::Pair& pair : table.pairs()) {
    double least = 0, most = 0;
    for (std::size_t at = feature; at < pair.corrections.size(); at += table.features().size()) {
      least = std::min(least, pair.corrections[at]);
      most = std::max(most, pair.corrections[at]);
    }
    low += least;
    high += most;
  }
  return {low, high};
}

void compile_formula(SpaceTable& table, double run_overhead_us, double kernel_overhead_us,
                     const nb::object& cold_share) {
  mmt::CostModel constants;
  constants.run_overhead_us = run_overhead_us;
  constants.kernel_overhead_us = kernel_overhead_us;
  mmt::LatencyFormula formula = mmt::LatencyFormula::from(constants, table.features());
  if (nb::isinstance<nb::callable>(cold_share)) {
    const auto [low, high] = formula.footprint < 0 ? std::pair(0.0, 0.0) : bytes_bounds(table, formula.footprint);
    // Sampled once: evaluation then needs no interpreter.
    const auto function = nb::cast<nb::callable>(cold_share);
    const auto share = [&](double bytes) { return nb::cast<double>(function(bytes)); };
    formula.once.shares = mmt::sampled_shares(share, low, high);
  } else if (!cold_share.is_none()) {
    const double share = nb::cast<double>(cold_share);
    formula.once.shares = [share](std::span<const double>, std::span<double> out) {
      std::fill(out.begin(), out.end(), share);
    };
  }
  formula.again = formula.once;
  table.compile(formula);
}

void bind_cost_model(nb::module_& m) {
  if (nb::type<mmt::CostModel>().is_valid()) return;  // Another area has it already.
  nb::class_<mmt::CostModel>(m, "CostModel", "Constants that turn sums into a latency.")
      .def(nb::init<>())
      .def_rw("run_overhead_us", &mmt::CostModel::run_overhead_us)
      .def_rw("kernel_overhead_us", &mmt::CostModel::kernel_overhead_us)
      .def_prop_ro("others_bytes_per_us", [](const mmt::CostModel& m) { return m.cold.others_bytes_per_us; })
      .def_prop_ro("cold_scale_bytes", [](const mmt::CostModel& m) { return m.cold.scale_bytes; })
      .def_prop_ro("cold_steepness", [](const mmt::CostModel& m) { return m.cold.steepness; });
}

}  // namespace

void bind_space_table(nb::module_& m) {
  bind_cost_model(m);
  nb::class_<SpaceTable>(m, "SpaceTable",
                         "A search space as arrays. sizes: choices per slot; features: names; base: what every\n"
                         "configuration has, one value per feature.")
      .def(
          "__init__",
          [](SpaceTable* self, std::vector<int> sizes, std::vector<std::string> features, nb::handle base) {
            new (self) SpaceTable(std::move(sizes), std::move(features), to_vector(base, "base"));
          },
          "sizes"_a, "features"_a, "base"_a)
      .def(
          "set_choice",
          [](SpaceTable& t, int slot, int choice, nb::handle delta) {
            t.set_choice(slot, choice, to_vector(delta, "delta"));
          },
          "slot"_a, "choice"_a, "delta"_a, "What a choice adds to the features.")
      .def(
          "set_pair",
          [](SpaceTable& t, int slot_a, int choice_a, int slot_b, int choice_b, nb::handle correction) {
            t.set_pair(slot_a, choice_a, slot_b, choice_b, to_vector(correction, "correction"));
          },
          "slot_a"_a, "choice_a"_a, "slot_b"_a, "choice_b"_a, "correction"_a,
          "What two choices of different slots add together, beyond their deltas.")
      .def(
          "compile",
          [](SpaceTable& t, const mmt::CostModel& cost) { t.compile(mmt::LatencyFormula::from(cost, t.features())); },
          "cost"_a,
          "Prepares evaluation with a table's cost model, over the features hot_us, cold_extra_us, reread_extra_us,\n"
          "kernels and footprint_bytes (those that are there).")
      .def("compile", &compile_formula, nb::kw_only(), "run_overhead_us"_a = 0.0, "kernel_overhead_us"_a = 0.0,
           "cold_share"_a = nb::none(),
           "The same with constants; cold_share: a number, or a function of the bytes touched that does not fall.")
      .def_prop_ro("sizes", [](const SpaceTable& t) { return t.sizes(); })
      .def_prop_ro("features", [](const SpaceTable& t) { return t.features(); })
      .def_prop_ro("configurations", &SpaceTable::configurations)
      .def("latency_us", &latency_us, "rows"_a,
           "Latencies of an (n, slots) integer array of choices, in microseconds. uint8, int32 and int64 without a "
           "copy.")
      .def(
          "feature_sums",
          [](const SpaceTable& t, nb::handle input, const std::vector<std::string>& names) {
            const std::vector<std::int32_t> rows = to_rows(t, input);
            std::vector<int> wanted;
            for (const std::string& name : names) wanted.push_back(t.feature(name));
            if (wanted.empty()) throw mmt::Error(mmt::ErrorCode::kInvalidArgument, "features: none is named");
            std::vector<double> out(rows.size() / static_cast<std::size_t>(t.slots()) * wanted.size());
            {
              const nb::gil_scoped_release release;
              t.feature_sums(rows, wanted, out);
            }
            return to_matrix(std::move(out), wanted.size());
          },
          "rows"_a, "features"_a, "Sums of the named features, shape (n, features).")
      .def(
          "enumerate",
          [](const SpaceTable& t, std::uint64_t first, std::uint64_t count) {
            if (first > t.configurations() || count > t.configurations() - first) {
              throw mmt::Error(mmt::ErrorCode::kInvalidArgument,
                               "there are only " + std::to_string(t.configurations()) + " configurations");
            }
            std::vector<std::int32_t> rows(count * static_cast<std::size_t>(t.slots()));
            t.enumerate(first, rows);
            return to_matrix(std::move(rows), static_cast<std::size_t>(t.slots()));
          },
          "first"_a, "count"_a, "Configurations number first, first + 1, … as rows; the last slot counts fastest.")
      .def(
          "enumerate_latency_us",
          [](const SpaceTable& t, std::uint64_t first, std::uint64_t count) {
            if (first > t.configurations() || count > t.configurations() - first) {
              throw mmt::Error(mmt::ErrorCode::kInvalidArgument,
                               "there are only " + std::to_string(t.configurations()) + " configurations");
            }
            std::vector<double> out(count);
            {
              const nb::gil_scoped_release release;
              t.enumerate_latency_us(first, out);
            }
            return to_array(std::move(out));
          },
          "first"_a, "count"_a, "Their latencies, without making the rows.")
      .def(
          "fastest",
          [](const SpaceTable& t, int count, const nb::dict& limits, std::uint64_t most_visits) {
            const mmt::SpaceSearch search = to_search(t, limits, most_visits);
            mmt::SpaceAnswer answer;
            {
              const nb::gil_scoped_release release;
              answer = mmt::find_fastest(t, count, search);
            }
            return to_answer(t, std::move(answer));
          },
          "count"_a, "limits"_a = nb::dict(), "most_visits"_a = mmt::SpaceSearch{}.most_visits,
          "The fastest configurations, exactly: (rows, latencies, complete). limits: feature name -> largest sum.")
      .def(
          "within",
          [](const SpaceTable& t, double budget_us, std::uint64_t most, const nb::dict& limits,
             std::uint64_t most_visits) {
            const mmt::SpaceSearch search = to_search(t, limits, most_visits);
            mmt::SpaceAnswer answer;
            {
              const nb::gil_scoped_release release;
              answer = mmt::find_within(t, budget_us, most, search);
            }
            return to_answer(t, std::move(answer));
          },
          "budget_us"_a, "most"_a = 1'000'000, "limits"_a = nb::dict(),
          "most_visits"_a = mmt::SpaceSearch{}.most_visits,
          "All configurations within the budget, fastest first: (rows, latencies, complete); complete is False where\n"
          "there are more than `most`.")
      .def(
          "sample_within",
          [](const SpaceTable& t, double budget_us, int count, std::uint64_t seed, const nb::dict& limits,
             std::uint64_t most_visits) {
            const mmt::SpaceSearch search = to_search(t, limits, most_visits);
            mmt::SpaceAnswer answer;
            {
              const nb::gil_scoped_release release;
              answer = mmt::sample_within(t, budget_us, count, seed, search);
            }
            return to_answer(t, std::move(answer));
          },
          "budget_us"_a, "count"_a, "seed"_a = 1, "limits"_a = nb::dict(),
          "most_visits"_a = mmt::SpaceSearch{}.most_visits,
          "Independent uniform draws from the configurations within the budget: (rows, latencies, complete).");

  m.def(
      "pareto_front",
      [](nb::handle latency, nb::handle score) {
        const std::vector<double> x = to_vector(latency, "latency_us"), y = to_vector(score, "score");
        std::vector<std::int64_t> front;
        {
          const nb::gil_scoped_release release;
          front = mmt::pareto_front(x, y);
        }
        return to_array(std::move(front));
      },
      "latency_us"_a, "score"_a,
      "Indices of the points that no other beats in lower latency and higher score, fastest first.");
}
