// Keyword spaces arrive as JSON.
#include <nlohmann/json.hpp>

#include "space/node.h"

namespace mmt::space {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kDeepest = 200;

NodePtr to_node(const Json& json) {
  auto node = std::make_shared<Node>();
  switch (json.type()) {
    case Json::value_t::object:
      node->kind = NodeKind::kMap;
      for (const auto& [key, value] : json.items()) node->pairs.push_back({key, {}, to_node(value)});
      return node;
    case Json::value_t::array:
      node->kind = NodeKind::kList;
      for (const Json& item : json) node->items.push_back(to_node(item));
      return node;
    case Json::value_t::string:
      node->kind = NodeKind::kString;
      node->text = json.get<std::string>();
      break;
    case Json::value_t::boolean:
      node->kind = NodeKind::kBool;
      break;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      node->kind = NodeKind::kInt;
      break;
    case Json::value_t::number_float:
      node->kind = NodeKind::kFloat;
      break;
    default:
      node->kind = NodeKind::kNull;
      break;
  }
  node->json = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (node->kind != NodeKind::kString) node->text = node->json;
  return node;
}

}  // namespace

NodePtr read_json(const Reporter& reporter, std::string_view text) {
  try {
    const auto refuse_depth = [&](int depth, Json::parse_event_t, Json&) {
      if (depth > kDeepest) reporter.fail({}, "", "", "the values are nested too deeply");
      return true;
    };
    return to_node(Json::parse(text, refuse_depth));
  } catch (const Json::exception& error) {
    reporter.fail({}, "", "", std::string("broken JSON, ") + error.what() + "; a JSON object is expected");
  }
}

}  // namespace mmt::space
