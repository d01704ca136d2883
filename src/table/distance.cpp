#include "table/distance.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace mmt::table {
namespace {

using Json = nlohmann::json;

/// 0 … 1; a factor of two counts 0.5.
double number_distance(double a, double b) {
  if (a == b) return 0;
  if (a <= 0 || b <= 0) return 1;
  const double octaves = std::abs(std::log2(a / b));
  return octaves / (1 + octaves);
}

double value_distance(const Json& a, const Json& b) {
  if (a == b) return 0;
  if (a.is_boolean() || b.is_boolean()) return 1;
  if (a.is_number() && b.is_number()) return number_distance(a.get<double>(), b.get<double>());
  if (a.is_array() && b.is_array() && a.size() == b.size() && !a.empty()) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += value_distance(a[i], b[i]);
    return sum / static_cast<double>(a.size());
  }
  // (3, 3) and 3 mean the same to most classes.
  if (a.is_number() && b.is_array() && !b.empty()) return value_distance(Json(std::vector<Json>(b.size(), a)), b);
  if (b.is_number() && a.is_array() && !a.empty()) return value_distance(b, a);
  return 1;
}

double parameters_distance(const std::string& a, const std::string& b) {
  const Json left = Json::parse(a, nullptr, false);
  const Json right = Json::parse(b, nullptr, false);
  if (!left.is_object() || !right.is_object()) return a == b ? 0 : 1;
  double sum = 0;
  for (const auto& [name, value] : left.items()) sum += right.contains(name) ? value_distance(value, right[name]) : 0.5;
  for (const auto& [name, value] : right.items()) sum += left.contains(name) ? 0 : 0.5;
  return sum;
}

double shapes_distance(const std::vector<std::vector<int>>& a, const std::vector<std::vector<int>>& b) {
  double sum = 2.0 * std::abs(static_cast<double>(a.size()) - static_cast<double>(b.size()));
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].size() != b[i].size()) {
      sum += 2;
      continue;
    }
    for (std::size_t k = 0; k < a[i].size(); ++k) sum += number_distance(a[i][k], b[i][k]);
  }
  return sum;
}

}  // namespace

double description_distance(const std::string& parameters_a, const std::vector<std::vector<int>>& shapes_a,
                            const std::string& parameters_b, const std::vector<std::vector<int>>& shapes_b) {
  return parameters_distance(parameters_a, parameters_b) + shapes_distance(shapes_a, shapes_b);
}

}  // namespace mmt::table
