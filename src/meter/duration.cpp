#include <cmath>
#include <cstdlib>

#include "mmt/error.h"
#include "mmt/meter.h"

namespace mmt {

std::chrono::nanoseconds parse_duration(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  double seconds = -1;
  if (unit.empty() || unit == "s") seconds = number;
  if (unit == "ms") seconds = number / 1000;
  if (unit == "m") seconds = number * 60;
  if (unit == "h") seconds = number * 3600;
  constexpr double kLongest = 366.0 * 24 * 3600;
  if (end == text.c_str() || !std::isfinite(number) || seconds < 0 || seconds > kLongest) {
    throw Error(ErrorCode::kInvalidArgument, "'" + text + "' is no duration; write it as 90s, 10m, 1.5h or 250ms");
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::llround(seconds * 1e9)));
}

}  // namespace mmt
