// Escaping and numbers for people.
#pragma once

#include <string>
#include <string_view>

#include "mmt/records.h"

namespace mmt::report {

/// For text and double-quoted attributes of HTML and SVG. Control characters that neither may hold become U+FFFD.
std::string html_escape(std::string_view text);

/// One field of a CSV record: quoted where it must be.
std::string csv_field(std::string_view text);

/// Shortest text that reads back as the same number; "" where it is not finite.
std::string exact(double value);

/// Four significant digits, thousands separated by thin spaces where there are more than four.
std::string readable(double value);

/// A value as text: exact for files, readable for pages.
std::string value_text(const RecordValue& value, bool for_people);

/// The number that a value sorts by; false for texts.
bool number_of(const RecordValue& value, double& number);

}  // namespace mmt::report
