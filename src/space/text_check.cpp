#include <cstdio>

#include "space/node.h"

namespace mmt::space {
namespace {

/// Length of the UTF-8 character that starts at `at` (RFC 3629: no overlong forms, no surrogates), 0 where there is
/// none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto follows = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(at + 1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return follows(at + 1, low, high) && follows(at + 2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(at + 1, low, high) && follows(at + 2, 0x80, 0xBF) && follows(at + 3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void check_text(const Reporter& reporter, std::string_view text) {
  SourcePlace place{1, 1};
  bool indentation = true;  // Only blanks, and list dashes, since the line began.
  std::size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  SourcePlace first_tab{};
  while (at < text.size()) {
    const char c = text[at];
    if (c == '\n') {
      place = {place.line + 1, 1};
      indentation = true;
      first_tab = {};
      ++at;
      continue;
    }
    if (c == '\t') {
      if (indentation && first_tab.line == 0) first_tab = place;
    } else if (indentation && c != ' ' && c != '-' && c != '\r') {
      if (first_tab.line != 0 && c != '#') {
        reporter.fail(first_tab, "", "", "a tab in the indentation; YAML wants spaces there, two for each level");
      }
      indentation = false;
    }
    const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') || c == 0x7F;
    const std::size_t length = utf8_length(text, at);
    if (control || length == 0) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "0x%02x", static_cast<unsigned char>(c));
      reporter.fail(place, "", "",
                    std::string("the byte ") + hex + (control ? " is a control character" : " is not valid UTF-8") +
                        "; save the file as plain text in UTF-8");
    }
    at += length;
    ++place.column;
  }
}

}  // namespace mmt::space
