// One group (what stands below a class) from tree to SpaceEntry, with all rules about lists, shapes and lengths.
#pragma once

#include "space/node.h"
#include "space/rules.h"

namespace mmt::space {

class EntryReader {
 public:
  explicit EntryReader(const Reporter& reporter) : reporter_(reporter) {}

  /// `entry` comes with module, class and places filled in; `group` is the mapping below the class.
  void read(const Node& group, SpaceEntry& entry);

  /// Ids of captured instances.
  void read_captured(const Node& ids, SpaceEntry& entry);

 private:
  /// Where a value is: for messages.
  struct Context {
    SourcePlace place;  ///< Of the key; used where a value has no place of its own.
    std::string key;
    std::string owner;  ///< "torch.nn.Conv2d"
  };

  [[noreturn]] void fail(const Context& context, const Node* node, const std::string& what) const;
  void read_reserved(const KeyRule& rule, const Node& value, const Context& context, SpaceEntry& entry);
  std::vector<std::string> read_values(const Node& value, const Context& context);
  std::string value_json(const Node& value, const Context& context);
  std::vector<InputShapes> read_shapes(const Node& value, const Context& context);
  Shape read_shape(const Node& value, const Context& context);
  std::vector<std::string> read_dtypes(const Node& value, const Context& context) const;
  std::vector<InputRange> read_ranges(const Node& value, const Context& context) const;
  std::vector<std::int64_t> read_counts(const Node& value, const Context& context) const;
  void refuse_near_misses(const Node& group, const SpaceEntry& entry, const std::string& owner) const;
  void check_lengths(const Node& group, const SpaceEntry& entry, const std::string& owner) const;
  void spend(std::size_t nodes, const Context& context);

  const Reporter& reporter_;
  std::size_t nodes_spent_ = 0;
};

}  // namespace mmt::space
