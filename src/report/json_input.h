// Reading the JSON that commands write, with errors that name the key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "mmt/records.h"
#include "mmt/report.h"

namespace mmt::report {

using Json = nlohmann::ordered_json;

/// Throws Error(kParse) with the place where the text is no JSON object. `what`: what it should be, for the message.
Json parse_object(std::string_view text, const std::string& what);

/// Numbers and texts of an object; the fallback where the key is absent or null. Throws Error(kParse) for another type.
double number(const Json& object, const char* key, double fallback = 0);
std::string words(const Json& object, const char* key, const std::string& fallback = "");
/// An array's elements, or none. Throws Error(kParse) where the value is no array.
std::vector<Json> list(const Json& object, const char* key);

RecordValue record_value(const Json& value);

/// Rows from an array of objects: `columns` of each.
ReportTable table_of(const std::string& title, const std::vector<std::string>& columns,
                     const std::vector<Json>& objects);

/// Sums of `value` per `group`, largest first; at most `limit` bars, the last one then holds all the others.
BarChart bars_by(const std::string& title, const std::string& unit, const std::vector<Json>& objects, const char* group,
                 const char* value, std::size_t limit = 25);

}  // namespace mmt::report
