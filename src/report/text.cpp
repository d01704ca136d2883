#include "report/text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace mmt::report {
namespace {

std::string with_thin_spaces(const std::string& digits) {
  const std::size_t sign = !digits.empty() && digits[0] == '-' ? 1 : 0;
  if (digits.size() - sign <= 4) return digits;
  std::string text = digits;
  for (std::size_t place = text.size(); place > sign + 3;) {
    place -= 3;
    text.insert(place, "\u202f");
  }
  return text;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          escaped += "\uFFFD";
        } else {
          escaped += c;
        }
    }
  }
  return escaped;
}

std::string csv_field(std::string_view text) {
  const bool plain = text.find_first_of(",\"\r\n") == std::string_view::npos &&
                     (text.empty() || (text.front() != ' ' && text.back() != ' '));
  if (plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string exact(double value) {
  if (!std::isfinite(value)) return "";
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string readable(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  std::array<char, 64> buffer;
  if (size >= 999.95) {
    std::snprintf(buffer.data(), buffer.size(), "%.0f", value);
    return with_thin_spaces(buffer.data());
  }
  if (size != 0 && size < 1e-3) {
    std::snprintf(buffer.data(), buffer.size(), "%.2e", value);
    return buffer.data();
  }
  const int decimals = size >= 99.995 ? 1 : size >= 9.9995 ? 2 : 3;
  std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, value);
  std::string text = buffer.data();
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string value_text(const RecordValue& value, bool for_people) {
  struct Visitor {
    bool people;
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(bool flag) const { return people ? (flag ? "yes" : "") : (flag ? "true" : "false"); }
    std::string operator()(std::int64_t number) const {
      return people ? with_thin_spaces(std::to_string(number)) : std::to_string(number);
    }
    std::string operator()(double number) const { return people ? readable(number) : exact(number); }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(const JsonText& json) const { return json.text; }
  };
  return std::visit(Visitor{for_people}, value);
}

bool number_of(const RecordValue& value, double& number) {
  if (const auto* real = std::get_if<double>(&value)) {
    number = *real;
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    number = static_cast<double>(*integer);
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    number = *flag ? 1 : 0;
  } else {
    return false;
  }
  return std::isfinite(number);
}

}  // namespace mmt::report
