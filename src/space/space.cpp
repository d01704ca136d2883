#include "mmt/space.h"

#include <fstream>
#include <limits>
#include <sstream>

#include "mmt/error.h"
#include "space/entry_reader.h"
#include "space/node.h"
#include "space/rules.h"

namespace mmt {
namespace {

using space::Node;
using space::NodeKind;
using space::Reporter;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMost : product;
}

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMost : sum;
}

constexpr const char* kNesting =
    "the nesting is module, class, parameters, each two spaces further: 'torch.nn:', below it 'Conv2d:', below that "
    "'in_channels: [3]' and 'input_shape: [[1, 3, 224, 224]]'";

void read_class(const Reporter& reporter, space::EntryReader& reader, const space::MapItem& module,
                const space::MapItem& item, std::vector<SpaceEntry>& entries) {
  SpaceEntry entry;
  entry.module = module.key;
  entry.class_name = item.key;
  entry.module_place = module.place;
  entry.class_place = item.place;
  if (module.key == kCapturedModule) {
    if (item.key != kCapturedClass) {
      reporter.fail(item.place, item.key, module.key,
                    "this module holds only '" + std::string(kCapturedClass) + ": [ids]', which scan writes");
    }
    reader.read_captured(*item.value, entry);
    entries.push_back(std::move(entry));
    return;
  }
  if (space::find_key_rule(item.key)) {
    reporter.fail(item.place, item.key, module.key,
                  std::string("this key stands directly below a module, the class is missing; ") + kNesting);
  }
  if (!space::is_dotted_name(item.key)) {
    reporter.fail(item.place, item.key, module.key, "this is no class name; write it as in Python, such as Conv2d");
  }
  const bool groups = item.value->kind == NodeKind::kList && !item.value->items.empty() &&
                      item.value->items.front()->kind == NodeKind::kMap;
  if (!groups) {
    reader.read(*item.value, entry);
    entries.push_back(std::move(entry));
    return;
  }
  for (const space::NodePtr& group : item.value->items) {
    SpaceEntry one = entry;
    if (group->place.line > 0 && group->kind != NodeKind::kMissing) one.class_place = group->place;
    reader.read(*group, one);
    entries.push_back(std::move(one));
  }
}

std::vector<SpaceEntry> read_tree(const Reporter& reporter, const Node& root) {
  if (root.kind == NodeKind::kMissing || root.kind == NodeKind::kNull) {
    reporter.fail({1, 1}, "", "", std::string("the file is empty; ") + kNesting);
  }
  if (root.kind != NodeKind::kMap || root.pairs.empty()) {
    reporter.fail(root.place, "", "",
                  "the top level holds modules, not " +
                      (root.kind == NodeKind::kMap ? "an empty mapping" : describe(root)) + "; " + kNesting);
  }
  std::vector<SpaceEntry> entries;
  space::EntryReader reader(reporter);
  for (const space::MapItem& module : root.pairs) {
    if (space::find_key_rule(module.key)) {
      reporter.fail(module.place, module.key, "",
                    std::string("this key stands at the top, module and class are missing; ") + kNesting);
    }
    if (!space::is_dotted_name(module.key)) {
      reporter.fail(module.place, module.key, "",
                    "this is no module name; write it as in Python's import, such as torch.nn or resnet18 (no .py, no "
                    "folder)");
    }
    if (module.value->kind != NodeKind::kMap || module.value->pairs.empty()) {
      reporter.fail(module.place, module.key, "",
                    "a module holds classes, not " + describe(*module.value) + "; " + kNesting);
    }
    for (const space::MapItem& item : module.value->pairs) read_class(reporter, reader, module, item, entries);
  }
  return entries;
}

}  // namespace

std::uint64_t SpaceEntry::count() const noexcept {
  if (!captured.empty()) return captured.size();
  std::uint64_t count = input_shapes.size();
  for (std::size_t i = 1; i < parameters.size(); ++i) {
    count = saturating_product(count, parameters[i].values_json.size());
  }
  return count;
}

std::uint64_t Space::count() const noexcept {
  std::uint64_t count = 0;
  for (const SpaceEntry& entry : entries) count = saturating_sum(count, entry.count());
  return count;
}

std::string space_message(const std::string& source, SourcePlace place, const std::string& key,
                          const std::string& owner, const std::string& what) {
  std::string message = source;
  if (place.line > 0) message += ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
  message += ": ";
  if (!key.empty()) {
    message += "key '" + key.substr(0, 200) + "'" + (owner.empty() ? "" : " of " + owner.substr(0, 400)) + ": ";
  } else if (!owner.empty()) {
    message += "in " + owner.substr(0, 400) + ": ";
  }
  return message + what;
}

Space parse_space(std::string_view text, const std::string& source) {
  const Reporter reporter{source};
  return {source, read_tree(reporter, *space::read_yaml(reporter, text))};
}

Space read_space(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Error(ErrorCode::kNotFound, path + ": no such file, or no right to read it; give the path of the YAML");
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad() || text.fail()) throw Error(ErrorCode::kIo, path + ": could not be read; is it a file?");
  return parse_space(text.str(), path);
}

Space parse_keywords(std::string_view json, const std::string& module, const std::string& class_name,
                     const std::string& source) {
  const Reporter reporter{source};
  const space::NodePtr root = space::read_json(reporter, json);
  SpaceEntry entry;
  entry.module = module;
  entry.class_name = class_name;
  space::EntryReader(reporter).read(*root, entry);
  return {source, {std::move(entry)}};
}

}  // namespace mmt
