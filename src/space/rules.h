// The one table of what may stand below a class. The parser decides by it, and the JSON Schema is written from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mmt::space {

enum class KeyKind { kShapes, kFlag, kDtypes, kRanges, kCounts };

/// A key below a class that is no constructor parameter.
struct KeyRule {
  const char* name;
  KeyKind kind;
  bool required;
  const char* description;  ///< One sentence, for editors and for messages.
  const char* example;      ///< What would be right, as YAML.
};

const std::vector<KeyRule>& key_rules();
const KeyRule* find_key_rule(std::string_view name);  ///< nullptr: not in the table.

/// Names that inputs may have as their type; the first is the default.
const std::vector<std::string>& dtype_names();

/// Regular expressions (ECMAScript) for names of modules and classes, and of parameters.
inline constexpr const char* kModulePattern = "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$";
inline constexpr const char* kParameterPattern = "^[A-Za-z_][A-Za-z0-9_]*$";
inline constexpr std::size_t kLongestName = 500;

bool is_dotted_name(std::string_view name);     ///< kModulePattern and kLongestName
bool is_parameter_name(std::string_view name);  ///< kParameterPattern and kLongestName

inline constexpr std::int64_t kLargestSize = 2147483647;  ///< Of one axis of a shape, and of the product of all.
inline constexpr std::int64_t kMostAxes = 8;
inline constexpr std::size_t kMostNodes = 8'000'000;  ///< Values of one text, aliases written out.

}  // namespace mmt::space
