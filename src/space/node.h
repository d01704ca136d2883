// A parsed text as a tree that keeps places, written types and the order of keys. Both forms of a space (YAML and
// keywords) become such a tree, so that the rules are checked in one place.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mmt/space.h"

namespace mmt::space {

enum class NodeKind { kMissing, kNull, kBool, kInt, kFloat, kString, kList, kMap };

struct Node;
using NodePtr = std::shared_ptr<const Node>;

struct MapItem {
  std::string key;
  SourcePlace place;
  NodePtr value;
};

struct Node {
  NodeKind kind = NodeKind::kMissing;
  SourcePlace place;
  std::string text;            ///< Scalars: as written, without quotes.
  std::string json;            ///< Scalars: as JSON.
  std::vector<NodePtr> items;  ///< Lists.
  std::vector<MapItem> pairs;  ///< Maps, in order, keys unique.

  bool is_scalar() const { return kind != NodeKind::kList && kind != NodeKind::kMap && kind != NodeKind::kMissing; }
};

/// How messages call a node: "a list", "the text 'abc'", "the number 3", "nothing".
std::string describe(const Node& node);

/// Where errors of one text are raised.
struct Reporter {
  std::string source;
  [[noreturn]] void fail(SourcePlace place, const std::string& key, const std::string& owner,
                         const std::string& what) const;
};

/// Types an unquoted scalar by YAML 1.2's core rules and fills kind, text and json. Words that YAML 1.1 takes for
/// booleans (yes, no, on, off) and numbers that JSON cannot hold are errors, because either reading surprises somebody.
void type_plain_scalar(const Reporter& reporter, const std::string& text, Node& node);

/// A JSON string, quoted and escaped.
std::string quoted_json(const std::string& text);

/// YAML text to tree; NodeKind::kMissing where the file holds no document. Refuses what is no clean UTF-8 text, tabs in
/// the indentation, duplicate keys at any level, several documents, tags, and aliases that contain themselves. Merge
/// keys (<<) are resolved.
NodePtr read_yaml(const Reporter& reporter, std::string_view text);

/// JSON text to tree, without places.
NodePtr read_json(const Reporter& reporter, std::string_view text);

/// Refuses bytes that no space contains, before yaml-cpp sees them: it would stop silently at some of them.
void check_text(const Reporter& reporter, std::string_view text);

}  // namespace mmt::space
