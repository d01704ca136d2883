// How fields become cells of the database, and back: shapes and lists as JSON, layouts and roles by name, structures
// flattened ("cold" of a profile becomes "cold_count", "cold_mean_us", …).
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "mmt/table_fields.h"
#include "table/sql.h"

namespace mmt::table {

std::string to_json(const std::vector<int>& values);
std::string to_json(const std::vector<double>& values);
std::string to_json(const std::vector<std::vector<int>>& values);
std::string to_json(const std::vector<std::string>& values);
/// These throw Error(kCorrupt) for text that is no such list.
void from_json(const std::string& text, std::vector<int>& values);
void from_json(const std::string& text, std::vector<double>& values);
void from_json(const std::string& text, std::vector<std::vector<int>>& values);
void from_json(const std::string& text, std::vector<std::string>& values);
Layout layout_from_name(const std::string& name);
KernelRole role_from_name(const std::string& name);

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
struct IsStructList : std::false_type {};
template <class T>
struct IsStructList<std::vector<T>> : std::bool_constant<HasFields<T>> {};

/// Calls `visit(prefix, name, value)` for every cell that `fields` of `object` make. Lists of structures (kernels,
/// ports) make none: they have tables of their own.
template <class Fields, class Object, class Visit>
void walk_cells(const Fields& fields, Object& object, Visit& visit, std::string_view prefix = "") {
  for_each_in(fields, [&](const auto& field) {
    auto& value = field.get(object);
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (HasFields<Value>) {
      walk_cells(FieldList<Value>::fields, value, visit, field.name);
    } else if constexpr (!IsStructList<Value>::value) {
      visit(prefix, field.name, value);
    }
  });
}

/// SQL type of a member.
template <class T>
constexpr const char* sql_type() {
  if (std::is_floating_point_v<T>) return "REAL";
  if (std::is_integral_v<T>) return "INTEGER";
  return "TEXT";
}

template <class T>
inline constexpr bool kIsPlainCell = std::is_arithmetic_v<T> || std::is_same_v<T, std::string>;

template <class T>
void bind_cell(Statement& statement, const T& value) {
  if constexpr (kIsPlainCell<T>) {
    statement.bind(value);
  } else if constexpr (std::is_same_v<T, Layout>) {
    statement.bind(layout_name(value));
  } else if constexpr (std::is_same_v<T, KernelRole>) {
    statement.bind(kernel_role_name(value));
  } else {
    statement.bind(to_json(value));
  }
}

template <class T>
void read_cell(Statement& statement, T& value) {
  if constexpr (kIsPlainCell<T>) {
    statement.read(value);
  } else if constexpr (std::is_same_v<T, Layout>) {
    value = layout_from_name(statement.next<std::string>());
  } else if constexpr (std::is_same_v<T, KernelRole>) {
    value = role_from_name(statement.next<std::string>());
  } else {
    from_json(statement.next<std::string>(), value);
  }
}

/// Binds the next parameters to, or reads the next columns into, the cells of `object`.
template <class Fields, class Object>
void bind_cells(Statement& statement, const Fields& fields, const Object& object) {
  auto visit = [&](std::string_view, std::string_view, const auto& value) { bind_cell(statement, value); };
  walk_cells(fields, object, visit);
}
template <class Fields, class Object>
void read_cells(Statement& statement, const Fields& fields, Object& object) {
  auto visit = [&](std::string_view, std::string_view, auto& value) { read_cell(statement, value); };
  walk_cells(fields, object, visit);
}

/// Fields of a measurement row: those of ModelProfile without its fingerprint, which is a number of the operator there.
inline constexpr auto kMeasurementFields = std::apply(
    [](const auto&, const auto&... rest) { return std::make_tuple(rest...); }, FieldList<ModelProfile>::fields);
static_assert(std::get<0>(FieldList<ModelProfile>::fields).name == "fingerprint");
static_assert(std::get<0>(kMeasurementFields).name == "context");

/// Fields of a kernel inside an operator.
inline constexpr auto kOperatorKernelFields =
    std::make_tuple(Field{"role", "", "", [](auto& k) -> decltype(auto) { return (k.kernel.role); }},
                    Field{"port", "", "", [](auto& k) -> decltype(auto) { return (k.kernel.port); }},
                    Field{"tensors", "", "", [](auto& k) -> decltype(auto) { return (k.kernel.tensors); }});

/// What was measured of it there.
inline constexpr auto kOperatorKernelTimeFields =
    std::make_tuple(Field{"cold", "", "", &KernelProfile::cold}, Field{"hot", "", "", &KernelProfile::hot});

}  // namespace mmt::table
