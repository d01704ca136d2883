// The operator space: which operators a table is to hold. Format and rules: docs/space.md.
//
// A space is written in YAML (module -> class -> lists of values) or given as keywords; both obey the same rules. This
// room knows text, lists and counts. Whether a module, class or constructor parameter exists is known only to Python,
// so everything here carries its place in the file, and `space_message` words errors found later in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mmt {

/// Where something stands in the file. Both start at 1; line 0: not from a file (keywords).
struct SourcePlace {
  int line = 0;
  int column = 0;
};

using Shape = std::vector<int>;          ///< Batch first; every size is at least 1.
using InputShapes = std::vector<Shape>;  ///< One shape per input of the operator.

/// A constructor parameter and the values that it takes in the space.
struct SpaceParameter {
  std::string name;
  SourcePlace place;
  std::vector<std::string> values_json;  ///< One JSON text per value; types as written (1 is no 1.0 and no "1").
};

/// Range of the values that an input is filled with: [low, high).
struct InputRange {
  double low = -1.0;
  double high = 1.0;
};

/// One group of operators of one class: the first parameter is paired one to one with `input_shapes`, all other
/// parameters are combined with each other and with those pairs.
struct SpaceEntry {
  std::string module;      ///< "torch.nn"
  std::string class_name;  ///< "Conv2d"; "Outer.Inner" for a nested class.
  SourcePlace module_place;
  SourcePlace class_place;
  SourcePlace shapes_place;  ///< Of `input_shape`.
  bool no_params = false;
  std::vector<SpaceParameter> parameters;  ///< In the order of the file; empty with `no_params`.
  std::vector<InputShapes> input_shapes;
  std::vector<std::string> input_dtypes;  ///< Empty: float32. One: for every input. Otherwise one per input.
  std::vector<InputRange> input_ranges;   ///< Empty: the default of the dtype. Otherwise as `input_dtypes`.
  std::vector<std::int64_t> occurs;       ///< How often a model holds each pair (scan writes it). Empty: unknown.
  std::vector<std::string> captured;      ///< Not empty: instances captured by scan; all other lists are empty then.

  /// Number of operators of this group; 18446744073709551615 where it is that or more.
  std::uint64_t count() const noexcept;
};

/// One operator of a space, not yet checked against Python.
struct OperatorSpec {
  std::size_t entry = 0;    ///< Index into Space::entries.
  std::uint64_t index = 0;  ///< Position in the whole space, from 0.
  std::string module;
  std::string class_name;
  std::string parameters_json;  ///< JSON object, keys in the order of the file: {"in_channels":64,"stride":1}
  InputShapes input_shapes;
  std::vector<std::string> input_dtypes;  ///< One per input.
  std::vector<InputRange> input_ranges;   ///< Empty, or one per input.
  std::int64_t occurs = 0;                ///< 0: unknown.
  std::string captured_id;                ///< Not empty: a captured instance; parameters and shapes are its own.
  SourcePlace place;                      ///< Of the class (or of its group).
};

struct Space {
  std::string source;               ///< File name as given, or what stands for it in messages: "register(Block)".
  std::vector<SpaceEntry> entries;  ///< In the order of the file.

  /// Number of operators; 18446744073709551615 where it is that or more.
  std::uint64_t count() const noexcept;
};

/// Module name under which scan refers to captured instances: `mmt.captured: {captured: [id, …]}`.
inline constexpr std::string_view kCapturedModule = "mmt.captured";
inline constexpr std::string_view kCapturedClass = "captured";

/// Parses a YAML text. `source` stands for the file in messages. Throws Error(kParse) with one message that names file,
/// line, column, key, what is wrong and what would be right.
Space parse_space(std::string_view text, const std::string& source);

/// Reads and parses a file. Throws also Error(kNotFound, kIo).
Space read_space(const std::string& path);

/// The keyword form: one group of `module`.`class_name`, from a JSON object that holds what stands below a class in
/// YAML. Throws Error(kParse), worded as for files, without a line.
Space parse_keywords(std::string_view json, const std::string& module, const std::string& class_name,
                     const std::string& source);

/// Walks the operators of a space one by one, in the order of the file: entry by entry; within one, pair by pair; the
/// last parameter changes fastest. Holds one operator at a time. The space must outlive it and stay unchanged.
class Enumerator {
 public:
  explicit Enumerator(const Space& space);
  /// Writes the next operator into `spec` (whose memory is reused) and returns true; false at the end.
  bool next(OperatorSpec& spec);
  /// Operators in all, saturated as Space::count().
  std::uint64_t count() const noexcept { return count_; }

 private:
  void write(const SpaceEntry& entry, OperatorSpec& spec) const;
  bool advance(const SpaceEntry& entry);

  const Space* space_;
  std::uint64_t count_ = 0;
  std::uint64_t index_ = 0;
  std::size_t entry_ = 0;
  std::size_t pair_ = 0;
  std::vector<std::size_t> digits_;  ///< Chosen value of each parameter; the first follows pair_.
};

/// The one wording of errors about a space: "ops.yaml:3:5: key 'kernel' of torch.nn.Conv2d: <what>". Parts that are
/// unknown (line 0, empty key or owner) are left out.
std::string space_message(const std::string& source, SourcePlace place, const std::string& key,
                          const std::string& owner, const std::string& what);

/// The candidate that is nearest to `word` (edit distance, at most a third of its length), or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// Names of the keys below a class that are no constructor parameters: "input_shape", "no_params", …
std::vector<std::string> space_reserved_keys();

/// JSON Schema (draft 2020-12) of the YAML format, from the table of rules that the parser itself uses.
std::string space_json_schema();

}  // namespace mmt
