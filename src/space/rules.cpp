#include "space/rules.h"

namespace mmt::space {

const std::vector<KeyRule>& key_rules() {
  static const std::vector<KeyRule> rules = {
      {"input_shape", KeyKind::kShapes, true,
       "List of input shapes, batch first; several inputs: a list of lists of shapes. Paired one to one with the first "
       "parameter.",
       "input_shape: [[1, 64, 56, 56]]"},
      {"no_params", KeyKind::kFlag, false, "The class is built without parameters; only shapes are given.",
       "no_params: true"},
      {"input_dtype", KeyKind::kDtypes, false,
       "Type of the inputs: one name for all, or a list with one name per input.", "input_dtype: int64"},
      {"input_range", KeyKind::kRanges, false,
       "Inputs are filled with values in [low, high): one range for all, or a list with one range per input.",
       "input_range: [0, 1000]"},
      {"occurs", KeyKind::kCounts, false,
       "How often a model holds these operators: one number, or a list with one per input shape. For information only.",
       "occurs: 3"},
  };
  return rules;
}

const KeyRule* find_key_rule(std::string_view name) {
  for (const KeyRule& rule : key_rules()) {
    if (name == rule.name) return &rule;
  }
  return nullptr;
}

const std::vector<std::string>& dtype_names() {
  static const std::vector<std::string> names = {"float32", "int32", "int64", "int8", "uint8", "bool"};
  return names;
}

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

// By hand, because std::regex recurses for each character; a test holds these against the patterns.
bool is_parameter_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName || !is_letter(name[0])) return false;
  for (const char c : name) {
    if (!is_letter(c) && !is_digit(c)) return false;
  }
  return true;
}

bool is_dotted_name(std::string_view name) {
  if (name.size() > kLongestName) return false;
  while (true) {
    const auto dot = name.find('.');
    if (!is_parameter_name(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace mmt::space
