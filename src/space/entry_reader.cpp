#include "space/entry_reader.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <unordered_set>

namespace mmt::space {
namespace {

std::string plural(std::size_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

bool is_range(const Node& node) {
  if (node.kind != NodeKind::kList || node.items.size() != 2) return false;
  for (const NodePtr& item : node.items) {
    if (item->kind != NodeKind::kInt && item->kind != NodeKind::kFloat) return false;
  }
  return true;
}

const MapItem* find_item(const Node& map, std::string_view key) {
  for (const MapItem& item : map.pairs) {
    if (item.key == key) return &item;
  }
  return nullptr;
}

}  // namespace

void EntryReader::fail(const Context& context, const Node* node, const std::string& what) const {
  reporter_.fail(node && node->place.line > 0 ? node->place : context.place, context.key, context.owner, what);
}

void EntryReader::spend(std::size_t nodes, const Context& context) {
  nodes_spent_ += nodes;
  if (nodes_spent_ > kMostNodes) {
    fail(context, nullptr,
         "the file holds more than " + std::to_string(kMostNodes) +
             " values once its aliases (*) are written out; split it or use fewer aliases");
  }
}

void EntryReader::read(const Node& group, SpaceEntry& entry) {
  const std::string owner = entry.module + "." + entry.class_name;
  if (group.kind != NodeKind::kMap) {
    const SourcePlace place =
        group.place.line > 0 && group.kind != NodeKind::kMissing ? group.place : entry.class_place;
    reporter_.fail(
        place, entry.class_name, entry.module,
        "a class holds parameters and input_shape, not " + describe(group) +
            "; the nesting is module, class, parameters; write for example 'input_shape: [[1, 3, 224, 224]]' "
            "below the class");
  }
  spend(group.pairs.size() + 1, {entry.class_place, entry.class_name, entry.module});
  for (const MapItem& item : group.pairs) {
    const Context context{item.place, item.key, owner};
    if (const KeyRule* rule = find_key_rule(item.key)) {
      read_reserved(*rule, *item.value, context, entry);
      continue;
    }
    if (!is_parameter_name(item.key)) {
      fail(context, nullptr, "this is no parameter name; letters, digits and _ are allowed, no digit first");
    }
    entry.parameters.push_back({item.key, item.place, read_values(*item.value, context)});
  }
  refuse_near_misses(group, entry, owner);
  check_lengths(group, entry, owner);
}

void EntryReader::read_reserved(const KeyRule& rule, const Node& value, const Context& context, SpaceEntry& entry) {
  if (value.kind == NodeKind::kMissing) {
    fail(context, nullptr, std::string("nothing follows this key; write for example '") + rule.example + "'");
  }
  switch (rule.kind) {
    case KeyKind::kShapes:
      entry.shapes_place = context.place;
      entry.input_shapes = read_shapes(value, context);
      return;
    case KeyKind::kFlag:
      if (value.kind != NodeKind::kBool) fail(context, &value, "true or false is expected, not " + describe(value));
      entry.no_params = value.json == "true";
      return;
    case KeyKind::kDtypes:
      entry.input_dtypes = read_dtypes(value, context);
      return;
    case KeyKind::kRanges:
      entry.input_ranges = read_ranges(value, context);
      return;
    case KeyKind::kCounts:
      entry.occurs = read_counts(value, context);
      return;
  }
}

std::vector<std::string> EntryReader::read_values(const Node& value, const Context& context) {
  if (value.kind == NodeKind::kMissing) {
    fail(context, nullptr, "nothing follows this parameter; write its values as a list, or null for None");
  }
  if (value.kind == NodeKind::kMap) {
    fail(context, nullptr,
         "a parameter holds a list of values, not a mapping; the nesting is module, class, parameters, and a module "
         "inside a package is written with dots (torch.nn)");
  }
  std::vector<std::string> values;
  if (value.kind != NodeKind::kList) {
    values.push_back(value_json(value, context));
    return values;
  }
  if (value.items.empty()) {
    fail(context, &value,
         "an empty list leaves no operator; give at least one value (an empty list as the value: [[]])");
  }
  values.reserve(value.items.size());
  for (const NodePtr& item : value.items) values.push_back(value_json(*item, context));
  return values;
}

std::string EntryReader::value_json(const Node& value, const Context& context) {
  spend(1, context);
  if (value.kind == NodeKind::kMissing) fail(context, &value, "a value is missing here; write one, or null for None");
  if (value.is_scalar()) return value.json;
  const bool list = value.kind == NodeKind::kList;
  std::string json(1, list ? '[' : '{');
  for (const NodePtr& item : value.items) json += (json.size() > 1 ? "," : "") + value_json(*item, context);
  for (const MapItem& item : value.pairs) {
    json += (json.size() > 1 ? "," : "") + quoted_json(item.key) + ":" + value_json(*item.value, context);
  }
  return json += list ? ']' : '}';
}

std::vector<InputShapes> EntryReader::read_shapes(const Node& value, const Context& context) {
  if (value.kind != NodeKind::kList || value.items.empty()) {
    fail(context, &value, "a list of shapes is expected, such as [[1, 3, 224, 224]], not " + describe(value));
  }
  if (value.items.front()->kind != NodeKind::kList) {
    std::string cure = "; write a list of shapes, such as [[1, 3, 224, 224]]";
    if (value.items.front()->kind == NodeKind::kInt)
      cure = "; one shape is written with two brackets: [[1, 3, 224, 224]]";
    fail(context, value.items.front().get(),
         "a shape is a list of sizes, " + describe(*value.items.front()) + " is none" + cure);
  }
  std::vector<InputShapes> all;
  all.reserve(value.items.size());
  for (const NodePtr& item : value.items) {
    spend(1, context);
    const bool several =
        item->kind == NodeKind::kList && !item->items.empty() && item->items.front()->kind == NodeKind::kList;
    InputShapes shapes;
    if (several) {
      for (const NodePtr& shape : item->items) shapes.push_back(read_shape(*shape, context));
    } else {
      shapes.push_back(read_shape(*item, context));
    }
    all.push_back(std::move(shapes));
  }
  return all;
}

Shape EntryReader::read_shape(const Node& value, const Context& context) {
  if (value.kind != NodeKind::kList) {
    fail(context, &value, "a shape is a list of sizes, such as [1, 3, 224, 224], not " + describe(value));
  }
  if (value.items.empty()) fail(context, &value, "a shape needs at least one size, such as [1, 3, 224, 224]");
  if (value.items.size() > static_cast<std::size_t>(kMostAxes)) {
    fail(context, &value,
         "a shape has at most " + std::to_string(kMostAxes) + " sizes, this one has " +
             std::to_string(value.items.size()));
  }
  spend(value.items.size(), context);
  Shape shape;
  std::int64_t elements = 1;
  for (const NodePtr& item : value.items) {
    std::int64_t size = 0;
    const char* end = item->json.data() + item->json.size();
    const bool whole = item->kind == NodeKind::kInt && std::from_chars(item->json.data(), end, size).ec == std::errc();
    if (!whole || size < 1 || size > kLargestSize) {
      fail(
          context, item.get(),
          "a size in a shape is a whole number from 1 to " + std::to_string(kLargestSize) + ", not " + describe(*item));
    }
    elements *= size;
    if (elements > kLargestSize) {
      fail(context, &value,
           "a tensor of this shape has more than " + std::to_string(kLargestSize) +
               " elements; no engine holds that, write a smaller one");
    }
    shape.push_back(static_cast<int>(size));
  }
  return shape;
}

std::vector<std::string> EntryReader::read_dtypes(const Node& value, const Context& context) const {
  std::vector<std::string> dtypes;
  const auto read_one = [&](const Node& node) {
    const auto& names = dtype_names();
    if (node.kind == NodeKind::kString && std::find(names.begin(), names.end(), node.text) != names.end()) {
      dtypes.push_back(node.text);
      return;
    }
    std::string known;
    for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
    const std::string bare = node.text.starts_with("torch.") ? node.text.substr(6) : node.text;
    const std::string nearest = did_you_mean(bare, names);
    fail(context, &node,
         describe(node) + " is no type of an input" + (nearest.empty() ? "" : ", did you mean " + nearest + "?") +
             "; possible are " + known);
  };
  if (value.kind != NodeKind::kList) {
    read_one(value);
    return dtypes;
  }
  if (value.items.empty()) fail(context, &value, "the list is empty; write one type per input, or leave the key out");
  for (const NodePtr& item : value.items) read_one(*item);
  return dtypes;
}

std::vector<InputRange> EntryReader::read_ranges(const Node& value, const Context& context) const {
  std::vector<InputRange> ranges;
  const auto read_one = [&](const Node& node) {
    if (!is_range(node)) {
      fail(context, &node,
           "a range is two numbers, [low, high], not " + describe(node) +
               "; several inputs: a list of ranges, [[0, 1000], [-1, 1]]");
    }
    const InputRange range{std::strtod(node.items[0]->json.c_str(), nullptr),
                           std::strtod(node.items[1]->json.c_str(), nullptr)};
    if (!(range.low < range.high)) fail(context, &node, "the low end of a range must be below its high end");
    ranges.push_back(range);
  };
  const bool several =
      value.kind == NodeKind::kList && !value.items.empty() && value.items.front()->kind == NodeKind::kList;
  if (!several) {
    read_one(value);
    return ranges;
  }
  for (const NodePtr& item : value.items) read_one(*item);
  return ranges;
}

std::vector<std::int64_t> EntryReader::read_counts(const Node& value, const Context& context) const {
  std::vector<std::int64_t> counts;
  const auto read_one = [&](const Node& node) {
    std::int64_t count = 0;
    const char* end = node.json.data() + node.json.size();
    const bool whole = node.kind == NodeKind::kInt && std::from_chars(node.json.data(), end, count).ec == std::errc();
    if (!whole || count < 1) fail(context, &node, "a whole number from 1 is expected, not " + describe(node));
    counts.push_back(count);
  };
  if (value.kind != NodeKind::kList) {
    read_one(value);
    return counts;
  }
  if (value.items.empty()) fail(context, &value, "the list is empty; write one number per input shape");
  for (const NodePtr& item : value.items) read_one(*item);
  return counts;
}

/// A misspelt key would be taken for a constructor parameter. It is refused where the right key is missing and the
/// value is what that key would hold, so that a constructor may well have a parameter of a similar name.
void EntryReader::refuse_near_misses(const Node& group, const SpaceEntry& entry, const std::string& owner) const {
  for (const MapItem& item : group.pairs) {
    if (find_key_rule(item.key)) continue;
    for (const KeyRule& rule : key_rules()) {
      if (find_item(group, rule.name) || did_you_mean(item.key, {rule.name}).empty()) continue;
      const auto& names = dtype_names();
      const bool fits =
          rule.kind == KeyKind::kShapes || (rule.kind == KeyKind::kFlag && item.value->json == "true") ||
          (rule.kind == KeyKind::kDtypes && std::find(names.begin(), names.end(), item.value->text) != names.end());
      if (!fits) continue;
      reporter_.fail(item.place, item.key, owner,
                     "unknown key; did you mean " + std::string(rule.name) + "? (" + rule.example + ")");
    }
  }
  if (!entry.input_shapes.empty()) return;
  reporter_.fail(entry.class_place, entry.class_name, entry.module,
                 "input_shape is missing; write for example 'input_shape: [[1, 3, 224, 224]]' below the class");
}

void EntryReader::check_lengths(const Node& group, const SpaceEntry& entry, const std::string& owner) const {
  const auto place = [&](const char* key) { return find_item(group, key)->place; };
  const std::size_t pairs = entry.input_shapes.size();
  if (entry.no_params && !entry.parameters.empty()) {
    const SpaceParameter& first = entry.parameters.front();
    reporter_.fail(first.place, first.name, owner,
                   "'no_params: true' says that there are no parameters; remove that line or this one");
  }
  if (!entry.no_params) {
    if (entry.parameters.empty()) {
      reporter_.fail(entry.class_place, entry.class_name, entry.module,
                     "no parameter is given; write at least one, or 'no_params: true' for a class that takes none");
    }
    const SpaceParameter& first = entry.parameters.front();
    const std::size_t values = first.values_json.size();
    if (values != pairs) {
      std::string cure = "give both the same length";
      if (values == 1 && pairs <= 4) {
        cure = "write '" + first.name + ": [";
        for (std::size_t i = 0; i < pairs; ++i) cure += (i ? ", " : "") + first.values_json.front();
        cure += "]', or put a parameter with " + plural(pairs, "value") + " first";
      }
      reporter_.fail(first.place, first.name, owner,
                     "the first parameter is paired one to one with input_shape, but it has " +
                         plural(values, "value") + " and input_shape (line " + std::to_string(entry.shapes_place.line) +
                         ") has " + plural(pairs, "shape") + "; " + cure);
    }
  }
  if (entry.occurs.size() > 1 && entry.occurs.size() != pairs) {
    reporter_.fail(place("occurs"), "occurs", owner,
                   plural(entry.occurs.size(), "number") + " for " + plural(pairs, "input shape") +
                       "; write one number for all, or one per input shape");
  }
  const auto check_per_input = [&](std::size_t size, const char* key, const char* noun) {
    if (size <= 1) return;
    for (const InputShapes& shapes : entry.input_shapes) {
      if (shapes.size() == size) continue;
      reporter_.fail(place(key), key, owner,
                     plural(size, noun) + " for " + plural(shapes.size(), "input") + "; write one " + noun +
                         " for all, or one per input; several inputs are written "
                         "input_shape: [[[1, 8], [1, 8]]]");
    }
  };
  check_per_input(entry.input_dtypes.size(), "input_dtype", "type");
  check_per_input(entry.input_ranges.size(), "input_range", "range");
}

void EntryReader::read_captured(const Node& ids, SpaceEntry& entry) {
  const Context context{entry.class_place, entry.class_name, entry.module};
  std::unordered_set<std::string> seen;
  const auto read_one = [&](const Node& node) {
    const bool named =
        node.is_scalar() && node.kind != NodeKind::kNull && !node.text.empty() && node.text.size() <= kLongestName &&
        node.text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
            std::string::npos;
    if (!named) {
      fail(context, &node, "an id that scan wrote is expected (letters, digits, _ and -), not " + describe(node));
    }
    if (!seen.insert(node.text).second) fail(context, &node, "the id " + node.text + " stands here twice; remove one");
    entry.captured.push_back(node.text);
  };
  if (ids.kind != NodeKind::kList) {
    read_one(ids);
    return;
  }
  if (ids.items.empty()) fail(context, &ids, "the list is empty; write the ids that scan printed, or remove the key");
  for (const NodePtr& item : ids.items) read_one(*item);
}

}  // namespace mmt::space
