// Tables of values on their way out of the library: exports as CSV and JSON, reports.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace mmt {

/// JSON text that stands for the value itself: shapes, parameters.
struct JsonText {
  std::string text;
  bool operator==(const JsonText&) const = default;
};

/// One value of a record; monostate: none.
using RecordValue = std::variant<std::monostate, bool, std::int64_t, double, std::string, JsonText>;
using Record = std::vector<RecordValue>;

/// Takes records one by one, so that a large table needs no memory.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  /// Called once, before the first row.
  virtual void columns(const std::vector<std::string>& names) = 0;
  /// As many values as there are columns.
  virtual void row(const Record& values) = 0;
  /// Called once, after the last row.
  virtual void finish() {}
};

}  // namespace mmt
