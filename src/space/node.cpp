#include "space/node.h"

#include <nlohmann/json.hpp>

#include "mmt/error.h"

namespace mmt::space {
namespace {

std::string shortened(const std::string& text) {
  constexpr std::size_t kMost = 40;
  if (text.size() <= kMost) return text;
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // Not inside a character.
  return text.substr(0, end) + "…";
}

}  // namespace

std::string describe(const Node& node) {
  switch (node.kind) {
    case NodeKind::kMissing:
      return "nothing";
    case NodeKind::kNull:
      return "null";
    case NodeKind::kBool:
    case NodeKind::kInt:
    case NodeKind::kFloat:
      return shortened(node.text);
    case NodeKind::kString:
      return "the text '" + shortened(node.text) + "'";
    case NodeKind::kList:
      return node.items.empty() ? "an empty list" : "a list";
    case NodeKind::kMap:
      return "a mapping (key: value)";
  }
  return "something unknown";
}

void Reporter::fail(SourcePlace place, const std::string& key, const std::string& owner,
                    const std::string& what) const {
  throw Error(ErrorCode::kParse, space_message(source, place, key, owner, what));
}

std::string quoted_json(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mmt::space
