#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mmt/stats.h"
#include "stats/checks.h"

namespace mmt {
namespace {

/// Cells grouped by row: those of row i are at start[i] … start[i + 1].
struct Grid {
  int rows = 0, columns = 0;
  std::vector<std::size_t> start;
  std::vector<int> column;
  std::vector<double> value;  ///< Logarithms.

  Grid(std::span<const Cell> cells, int row_count, int column_count) : rows(row_count), columns(column_count) {
    require(rows >= 0 && columns >= 0, "a two-way fit needs counts of rows and columns that are not negative");
    start.assign(static_cast<std::size_t>(rows) + 1, 0);
    for (const Cell& cell : cells) {
      require(cell.row >= 0 && cell.row < rows && cell.column >= 0 && cell.column < columns,
              "a cell lies outside the rows and columns given");
      require(std::isfinite(cell.value) && cell.value > 0, "a cell's value is not above 0");
      ++start[cell.row + 1];
    }
    std::partial_sum(start.begin(), start.end(), start.begin());
    column.resize(cells.size());
    value.resize(cells.size());
    std::vector<std::size_t> next(start.begin(), start.end() - 1);
    for (const Cell& cell : cells) {
      const std::size_t at = next[cell.row]++;
      column[at] = cell.column;
      value[at] = std::log(cell.value);
    }
  }
};

/// Weighted means of each row's values less their columns' effects.
std::vector<double> row_means(const Grid& grid, const std::vector<double>& weights,
                              const std::vector<double>& effects) {
  std::vector<double> means(grid.rows, 0);
  for (int i = 0; i < grid.rows; ++i) {
    double sum = 0, total = 0;
    for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) {
      sum += weights[k] * (grid.value[k] - effects[grid.column[k]]);
      total += weights[k];
    }
    if (total > 0) means[i] = sum / total;
  }
  return means;
}

/// Weighted least squares for the column effects with the rows eliminated, by conjugate gradients from the current
/// effects. Joint, because taking turns between rows and columns crawls where few cells link two batches.
void solve_columns(const Grid& grid, const std::vector<double>& weights, std::vector<double>& effects) {
  const std::size_t n = effects.size();
  std::vector<double> diagonal(n, 0);
  for (std::size_t k = 0; k < grid.column.size(); ++k) diagonal[grid.column[k]] += weights[k];

  // Gradient of the half sum of squares: at `effects` for the given values, or of the quadratic form alone.
  const auto gradient = [&](const std::vector<double>& at, bool with_values, std::vector<double>& out) {
    std::fill(out.begin(), out.end(), 0.0);
    for (int i = 0; i < grid.rows; ++i) {
      double sum = 0, total = 0;
      for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) {
        const double rest = (with_values ? grid.value[k] : 0.0) - at[grid.column[k]];
        sum += weights[k] * rest;
        total += weights[k];
      }
      const double mean = total > 0 ? sum / total : 0.0;
      for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) {
        const double rest = (with_values ? grid.value[k] : 0.0) - at[grid.column[k]] - mean;
        out[grid.column[k]] -= weights[k] * rest;
      }
    }
  };
  std::vector<double> residual(n), direction(n), product(n), scaled(n);
  gradient(effects, true, residual);
  for (double& value : residual) value = -value;
  const auto precondition = [&] {
    double dot = 0;
    for (std::size_t j = 0; j < n; ++j) {
      scaled[j] = diagonal[j] > 0 ? residual[j] / diagonal[j] : 0.0;
      dot += scaled[j] * residual[j];
    }
    return dot;
  };
  double dot = precondition();
  const double enough = 1e-20 * std::max(1.0, std::accumulate(diagonal.begin(), diagonal.end(), 0.0));
  direction = scaled;
  for (int step = 0; step < 100 && dot > enough; ++step) {
    gradient(direction, false, product);
    const double curvature = std::inner_product(direction.begin(), direction.end(), product.begin(), 0.0);
    if (!(curvature > 0)) break;
    const double length = dot / curvature;
    for (std::size_t j = 0; j < n; ++j) {
      effects[j] += length * direction[j];
      residual[j] -= length * product[j];
    }
    const double next = precondition();
    for (std::size_t j = 0; j < n; ++j) direction[j] = scaled[j] + next / dot * direction[j];
    dot = next;
  }
}

int find_root(std::vector<int>& parent, int node) {
  while (parent[node] != node) node = parent[node] = parent[parent[node]];
  return node;
}

/// Numbers the groups of rows and columns that cells link; -1 for those without cells.
int find_components(const Grid& grid, std::vector<int>& of_row, std::vector<int>& of_column) {
  std::vector<int> parent(grid.rows + grid.columns), number(grid.rows + grid.columns, -1);
  std::iota(parent.begin(), parent.end(), 0);
  for (int i = 0; i < grid.rows; ++i) {
    for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) {
      parent[find_root(parent, grid.rows + grid.column[k])] = find_root(parent, i);
    }
  }
  of_row.assign(grid.rows, -1);
  of_column.assign(grid.columns, -1);
  int count = 0;
  for (int i = 0; i < grid.rows; ++i) {
    if (grid.start[i] == grid.start[i + 1]) continue;
    int& component = number[find_root(parent, i)];
    if (component < 0) component = count++;
    of_row[i] = component;
    for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) of_column[grid.column[k]] = component;
  }
  return count;
}

/// Residuals from each row's median; also fills the medians.
std::vector<double> residuals_of(const Grid& grid, const std::vector<double>& effects, std::vector<double>& medians) {
  std::vector<double> residuals(grid.value.size()), scratch;
  medians.assign(grid.rows, std::numeric_limits<double>::quiet_NaN());
  for (int i = 0; i < grid.rows; ++i) {
    const std::size_t first = grid.start[i], last = grid.start[i + 1];
    if (first == last) continue;
    scratch.clear();
    for (std::size_t k = first; k < last; ++k) scratch.push_back(grid.value[k] - effects[grid.column[k]]);
    for (std::size_t k = first; k < last; ++k) residuals[k] = scratch[k - first];
    medians[i] = median_in_place(scratch);
    for (std::size_t k = first; k < last; ++k) residuals[k] -= medians[i];
  }
  return residuals;
}

std::vector<double> row_spreads(const Grid& grid, const std::vector<double>& residuals) {
  std::vector<double> spreads(grid.rows, std::numeric_limits<double>::quiet_NaN()), scratch;
  for (int i = 0; i < grid.rows; ++i) {
    scratch.clear();
    for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) scratch.push_back(std::abs(residuals[k]));
    if (!scratch.empty()) spreads[i] = kNormalMad * median_in_place(scratch);
  }
  return spreads;
}

}  // namespace

TwoWayFit two_way_fit(std::span<const Cell> cells, int rows, int columns) {
  const Grid grid(cells, rows, columns);
  TwoWayFit fit;
  std::vector<int> of_column;
  fit.components = find_components(grid, fit.component, of_column);
  std::vector<double> effects(columns, 0), weights(cells.size(), 1), medians, scratch;

  const auto typical = [&](const std::vector<double>& values) {
    scratch.clear();
    for (const double value : values) {
      if (std::isfinite(value)) scratch.push_back(std::abs(value));
    }
    return scratch.empty() ? 0.0 : median_in_place(scratch);
  };
  solve_columns(grid, weights, effects);
  // Least absolute residuals by reweighting: outliers lose their pull before any spread is estimated from them.
  constexpr int kAbsoluteSteps = 10, kMostSteps = 60;
  constexpr double kSmallest = 1e-9, kDone = 1e-7;
  for (int step = 0; step < kAbsoluteSteps; ++step) {
    const std::vector<double> means = row_means(grid, weights, effects);
    std::vector<double> residuals(cells.size());
    for (int i = 0; i < rows; ++i) {
      for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) {
        residuals[k] = grid.value[k] - effects[grid.column[k]] - means[i];
      }
    }
    const double floor = std::max(0.1 * typical(residuals), kSmallest);
    for (std::size_t k = 0; k < cells.size(); ++k) weights[k] = floor / std::max(std::abs(residuals[k]), floor);
    solve_columns(grid, weights, effects);
  }
  // Then bounded influence around it, each row with its own spread: quiet rows tell most about the drift.
  constexpr double kBound = 1.5;
  for (fit.iterations = 1; fit.iterations <= kMostSteps && !fit.converged; ++fit.iterations) {
    const std::vector<double> residuals = residuals_of(grid, effects, medians);
    const std::vector<double> spreads = row_spreads(grid, residuals);
    const double common = std::max(typical(spreads), kSmallest);
    for (int i = 0; i < rows; ++i) {
      const std::size_t count = grid.start[i + 1] - grid.start[i];
      // A few cells can agree by chance; their spread is not believed below the common one.
      const double least = count < 5 ? common : 0.3 * common;
      const double spread = std::isfinite(spreads[i]) ? std::max(spreads[i], least) : common;
      for (std::size_t k = grid.start[i]; k < grid.start[i + 1]; ++k) {
        const double size = std::abs(residuals[k]) / spread;
        weights[k] = (size <= kBound ? 1.0 : kBound / size) * (common / spread) * (common / spread);
      }
    }
    const std::vector<double> before = effects;
    solve_columns(grid, weights, effects);
    double moved = 0;
    for (int j = 0; j < columns; ++j) moved = std::max(moved, std::abs(effects[j] - before[j]));
    fit.converged = moved < std::max(kDone, 1e-3 * common);
  }
  --fit.iterations;

  for (int component = 0; component < fit.components; ++component) {
    scratch.clear();
    for (int j = 0; j < columns; ++j) {
      if (of_column[j] == component) scratch.push_back(effects[j]);
    }
    const double level = median_in_place(scratch);
    for (int j = 0; j < columns; ++j) {
      if (of_column[j] == component) effects[j] -= level;
    }
  }
  fit.row_spread = row_spreads(grid, residuals_of(grid, effects, medians));
  fit.row_value.resize(rows);
  fit.column_factor.resize(columns);
  for (int i = 0; i < rows; ++i) fit.row_value[i] = std::exp(medians[i]);
  for (int j = 0; j < columns; ++j) fit.column_factor[j] = of_column[j] < 0 ? 1.0 : std::exp(effects[j]);
  return fit;
}

}  // namespace mmt
