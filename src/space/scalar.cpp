// Types of unquoted scalars.
#include <charconv>
#include <cmath>
#include <optional>

#include "space/node.h"

namespace mmt::space {
namespace {

bool is_one_of(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (text == word) return true;
  }
  return false;
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// The sign and the digits of a whole number in base 10, 16 (0x) or 8 (0o); nothing where the text is none.
struct WholeNumber {
  bool negative = false;
  std::string_view digits;
  int base = 10;
};

std::optional<WholeNumber> split_whole(std::string_view text) {
  WholeNumber number;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    number.base = text[1] == 'x' ? 16 : 8;
    number.digits = text.substr(2);
    const char* valid = number.base == 16 ? "0123456789abcdefABCDEF" : "01234567";
    if (number.digits.empty() || number.digits.find_first_not_of(valid) != std::string_view::npos) return std::nullopt;
    return number;
  }
  if (text.starts_with("-") || text.starts_with("+")) {
    number.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (!all_digits(text)) return std::nullopt;
  number.digits = text;
  return number;
}

/// [-+]? (digits [. digits?] | . digits) ([eE] [-+]? digits)?
bool looks_like_float(std::string_view text) {
  if (text.starts_with("-") || text.starts_with("+")) text.remove_prefix(1);
  std::string_view mantissa = text;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    mantissa = text.substr(0, e);
    std::string_view exponent = text.substr(e + 1);
    if (exponent.starts_with("-") || exponent.starts_with("+")) exponent.remove_prefix(1);
    if (!all_digits(exponent)) return false;
  }
  const auto dot = mantissa.find('.');
  if (dot == std::string_view::npos) return all_digits(mantissa);
  const std::string_view before = mantissa.substr(0, dot), after = mantissa.substr(dot + 1);
  return (all_digits(before) && (after.empty() || all_digits(after))) || (before.empty() && all_digits(after));
}

std::string float_json(double value) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;  // Shortest text that reads back equal.
  std::string json(buffer, end);
  if (json.find_first_of(".e") == std::string::npos) json += ".0";  // A float stays one.
  return json;
}

}  // namespace

void type_plain_scalar(const Reporter& reporter, const std::string& text, Node& node) {
  node.text = text;
  if (text.empty() || is_one_of(text, {"~", "null", "Null", "NULL"})) {
    node.kind = NodeKind::kNull;
    node.json = "null";
    return;
  }
  if (is_one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) {
    node.kind = NodeKind::kBool;
    node.json = (text[0] == 't' || text[0] == 'T') ? "true" : "false";
    return;
  }
  if (is_one_of(text, {"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"})) {
    const bool yes = is_one_of(text, {"yes", "Yes", "YES", "on", "On", "ON"});
    reporter.fail(node.place, text, "",
                  "unquoted, this word is a boolean to some YAML readers and a text to others; write " +
                      std::string(yes ? "true" : "false") + ", or \"" + text + "\" for the text");
  }
  if (const auto whole = split_whole(text)) {
    std::uint64_t magnitude = 0;
    const auto [end, error] =
        std::from_chars(whole->digits.data(), whole->digits.data() + whole->digits.size(), magnitude, whole->base);
    const std::uint64_t most = whole->negative ? 9223372036854775808ull : 9223372036854775807ull;
    if (error != std::errc() || end != whole->digits.data() + whole->digits.size() || magnitude > most) {
      reporter.fail(node.place, "", "",
                    "the number " + text.substr(0, 40) +
                        " does not fit 64 bits; write a smaller one, or quote it if it is a text");
    }
    node.kind = NodeKind::kInt;
    node.json = (whole->negative && magnitude != 0 ? "-" : "") + std::to_string(magnitude);
    return;
  }
  std::string_view unsigned_text = text;
  if (unsigned_text.starts_with("-") || unsigned_text.starts_with("+")) unsigned_text.remove_prefix(1);
  const bool infinite_or_nan =
      is_one_of(std::string(unsigned_text), {".inf", ".Inf", ".INF"}) || is_one_of(text, {".nan", ".NaN", ".NAN"});
  if (infinite_or_nan || looks_like_float(text)) {
    double value = 0;
    const std::string_view digits = text[0] == '+' ? std::string_view(text).substr(1) : std::string_view(text);
    const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), value).ec;
    if (infinite_or_nan || error != std::errc() || !std::isfinite(value)) {
      reporter.fail(
          node.place, "", "",
          "the number " + text.substr(0, 40) + " is not a finite 64-bit float; write a finite one such as 1.0e+30");
    }
    node.kind = NodeKind::kFloat;
    node.json = float_json(value);
    return;
  }
  node.kind = NodeKind::kString;
  node.json = quoted_json(text);
}

}  // namespace mmt::space
