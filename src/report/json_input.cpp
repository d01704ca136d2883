#include "report/json_input.h"

#include <algorithm>
#include <map>

#include "mmt/error.h"

namespace mmt::report {
namespace {

[[noreturn]] void refuse(const std::string& key, const std::string& wanted, const Json& found) {
  throw Error(ErrorCode::kParse, "\"" + key + "\": expected " + wanted + ", found " + found.type_name());
}

const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) refuse(key, "an object around it", object);
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

Json parse_object(std::string_view text, const std::string& what) {
  try {
    Json parsed = Json::parse(text);
    if (!parsed.is_object()) throw Error(ErrorCode::kParse, what + " is a JSON object, this is " + parsed.type_name());
    return parsed;
  } catch (const Json::parse_error& error) {
    throw Error(ErrorCode::kParse,
                what + " cannot be read: byte " + std::to_string(error.byte) + " is no JSON; write it with --json");
  }
}

double number(const Json& object, const char* key, double fallback) {
  const Json* value = find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) refuse(key, "a number", *value);
  return value->get<double>();
}

std::string words(const Json& object, const char* key, const std::string& fallback) {
  const Json* value = find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) refuse(key, "a text", *value);
  return value->get<std::string>();
}

std::vector<Json> list(const Json& object, const char* key) {
  const Json* value = find(object, key);
  if (value == nullptr) return {};
  if (!value->is_array()) refuse(key, "a list", *value);
  return value->get<std::vector<Json>>();
}

RecordValue record_value(const Json& value) {
  if (value.is_null()) return std::monostate{};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)) {
    return value.get<std::int64_t>();
  }
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  // Lists of words (flags) read better as words.
  if (value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& part) { return part.is_string(); })) {
    std::string joined;
    for (const Json& part : value) joined += (joined.empty() ? "" : ", ") + part.get<std::string>();
    return joined;
  }
  return JsonText{value.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

ReportTable table_of(const std::string& title, const std::vector<std::string>& columns,
                     const std::vector<Json>& objects) {
  ReportTable table;
  table.title = title;
  table.columns = columns;
  for (const Json& object : objects) {
    Record& row = table.rows.emplace_back();
    for (const std::string& column : columns) {
      const Json* value = find(object, column.c_str());
      row.push_back(value == nullptr ? RecordValue() : record_value(*value));
    }
  }
  return table;
}

BarChart bars_by(const std::string& title, const std::string& unit, const std::vector<Json>& objects, const char* group,
                 const char* value, std::size_t limit) {
  std::map<std::string, double> sums;
  for (const Json& object : objects) sums[words(object, group, "(none)")] += number(object, value);
  BarChart chart{title, unit, {}};
  for (const auto& [label, sum] : sums) chart.bars.push_back({label.empty() ? "(none)" : label, sum});
  std::stable_sort(chart.bars.begin(), chart.bars.end(), [](const Bar& a, const Bar& b) { return a.value > b.value; });
  if (chart.bars.size() > limit) {
    double rest = 0;
    for (std::size_t i = limit - 1; i < chart.bars.size(); ++i) rest += chart.bars[i].value;
    const std::size_t others = chart.bars.size() - limit + 1;
    chart.bars.resize(limit - 1);
    chart.bars.push_back({std::to_string(others) + " others", rest});
  }
  return chart;
}

}  // namespace mmt::report
