// JSON of every structure that has a field list (mmt/profile_fields.h). Fields that are absent keep their default when
// reading, so that older files stay readable; journals leave them out when writing, so that they stay small.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "mmt/error.h"
#include "mmt/profile_fields.h"

namespace mmt::fields_json {

using Json = nlohmann::ordered_json;

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// Times are kept to a tenth of a nanosecond, far below what a clock can tell; that halves the size of a line.
inline double rounded(double value, std::string_view unit) {
  return unit == "us" ? std::round(value * 1e4) / 1e4 : value;
}

enum class Defaults { kLeaveOut, kWrite };

template <class T>
Json encode(const T& value, Defaults mode = Defaults::kLeaveOut, std::string_view unit = "") {
  if constexpr (std::is_same_v<T, Layout>) {
    return layout_name(value);
  } else if constexpr (std::is_same_v<T, KernelRole>) {
    return kernel_role_name(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return rounded(value, unit);
  } else if constexpr (IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& element : value) list.push_back(encode(element, mode));
    return list;
  } else if constexpr (HasFields<T>) {
    static const T defaults{};
    Json object = Json::object();
    for_each_field<T>([&](const auto& field) {
      Json encoded = encode(field.get(value), mode, field.unit);
      if (mode == Defaults::kLeaveOut && encoded == encode(field.get(defaults), mode, field.unit)) return;
      object[std::string(field.name)] = std::move(encoded);
    });
    return object;
  } else {
    return value;
  }
}

/// Where a value stands in its document; turned into a JSON pointer only when there is something to complain about.
struct Place {
  const Place* parent = nullptr;
  std::string_view name;
  std::size_t index = 0;  ///< Used where `name` is empty.

  std::string text() const {
    if (parent == nullptr) return "";
    return parent->text() + "/" + (name.empty() ? std::to_string(index) : std::string(name));
  }
};

[[noreturn]] inline void refuse(const Place& place, const std::string& what) {
  const std::string text = place.text();
  throw Error(ErrorCode::kParse, (text.empty() ? "top level" : text) + ": " + what);
}

[[noreturn]] inline void wrong_type(const Place& place, const char* wanted, const Json& found) {
  refuse(place, std::string("expected ") + wanted + ", found " + found.type_name());
}

template <class T>
T decode_enum(const Json& json, const Place& place, const char* (*name)(T) noexcept) {
  if (!json.is_string()) wrong_type(place, "a name", json);
  const auto& text = json.get_ref<const std::string&>();
  std::string known;
  for (std::uint8_t i = 0; i < 4; ++i) {
    if (text == name(static_cast<T>(i))) return static_cast<T>(i);
    known += std::string(known.empty() ? "" : ", ") + name(static_cast<T>(i));
  }
  refuse(place, "'" + text + "' is none of " + known);
}

/// Throws Error(kParse) with the place of what does not fit.
template <class T>
void decode(const Json& json, T& value, const Place& place = {}) {
  if constexpr (std::is_same_v<T, Layout>) {
    value = decode_enum<Layout>(json, place, &layout_name);
  } else if constexpr (std::is_same_v<T, KernelRole>) {
    value = decode_enum<KernelRole>(json, place, &kernel_role_name);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_boolean()) wrong_type(place, "true or false", json);
    value = json.get<bool>();
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!json.is_number()) wrong_type(place, "a number", json);
    value = json.get<T>();
  } else if constexpr (std::is_integral_v<T>) {
    if (!json.is_number_integer()) wrong_type(place, "an integer", json);
    if constexpr (std::is_unsigned_v<T>) {
      if (!json.is_number_unsigned()) wrong_type(place, "an integer of at least 0", json);
      value = json.get<T>();
    } else {
      const bool fits = json.is_number_unsigned()
                            ? json.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())
                            : json.get<std::int64_t>() >= static_cast<std::int64_t>(std::numeric_limits<T>::min());
      if (!fits) refuse(place, json.dump() + " is out of range");
      value = json.get<T>();
    }
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) wrong_type(place, "a string", json);
    value = json.get<std::string>();
  } else if constexpr (IsVector<T>::value) {
    if (!json.is_array()) wrong_type(place, "a list", json);
    value.clear();
    value.reserve(json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
      decode(json[i], value.emplace_back(), Place{&place, {}, i});
    }
  } else {
    static_assert(HasFields<T>);
    if (!json.is_object()) wrong_type(place, "an object", json);
    for_each_field<T>([&](const auto& field) {  // Names are literals, hence end with a zero byte.
      const auto found = json.find(field.name.data());
      if (found != json.end()) decode(*found, field.get(value), Place{&place, field.name});
    });
  }
}

}  // namespace mmt::fields_json
