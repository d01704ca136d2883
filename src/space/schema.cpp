// The JSON Schema of the YAML format, written from the parser's own table of rules.
#include <nlohmann/json.hpp>

#include "mmt/space.h"
#include "space/rules.h"

namespace mmt {
namespace {

using Json = nlohmann::ordered_json;
using space::KeyKind;
using space::KeyRule;

Json one_or_list_of(const Json& one) {
  return {{"anyOf", {one, {{"type", "array"}, {"items", one}, {"minItems", 1}}}}};
}

Json shapes_schema() {
  const Json one_or_several = {
      {"anyOf",
       {{{"$ref", "#/$defs/shape"}}, {{"type", "array"}, {"items", {{"$ref", "#/$defs/shape"}}}, {"minItems", 1}}}}};
  return {{"type", "array"}, {"items", one_or_several}, {"minItems", 1}};
}

Json key_schema(const KeyRule& rule) {
  Json schema;
  switch (rule.kind) {
    case KeyKind::kShapes:
      schema = shapes_schema();
      break;
    case KeyKind::kFlag:
      schema = {{"type", "boolean"}};
      break;
    case KeyKind::kDtypes:
      schema = one_or_list_of({{"enum", space::dtype_names()}});
      break;
    case KeyKind::kRanges:
      schema = one_or_list_of({{"type", "array"}, {"items", {{"type", "number"}}}, {"minItems", 2}, {"maxItems", 2}});
      break;
    case KeyKind::kCounts:
      schema = one_or_list_of({{"type", "integer"}, {"minimum", 1}});
      break;
  }
  schema["description"] = std::string(rule.description) + " Example: " + rule.example;
  return schema;
}

/// Below a class: the keys of the table, and any other name as a parameter.
Json group_schema() {
  Json properties = Json::object(), required = Json::array();
  for (const KeyRule& rule : space::key_rules()) {
    properties[rule.name] = key_schema(rule);
    if (rule.required) required.push_back(rule.name);
  }
  const Json only_reserved = {{"propertyNames", {{"enum", space_reserved_keys()}}}};
  return {{"type", "object"},
          {"properties", properties},
          {"required", required},
          {"propertyNames", {{"pattern", space::kParameterPattern}, {"maxLength", space::kLongestName}}},
          {"additionalProperties", {{"$ref", "#/$defs/values"}}},
          {"if", {{"properties", {{"no_params", {{"const", true}}}}}, {"required", Json::array({"no_params"})}}},
          {"then", only_reserved},
          {"else", {{"not", only_reserved}}}};
}

}  // namespace

std::string space_json_schema() {
  const Json name = {{"pattern", space::kModulePattern},
                     {"maxLength", space::kLongestName},
                     {"not", {{"enum", space_reserved_keys()}}}};
  Json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "MMT operator space"},
      {"description", "Which operators a latency table is to hold: module, class, lists of values and input shapes."},
      {"type", "object"},
      {"minProperties", 1},
      {"propertyNames", name},
      {"properties",
       {{std::string(kCapturedModule),
         {{"type", "object"},
          {"description", "Instances captured by scan."},
          {"properties", {{std::string(kCapturedClass), one_or_list_of({{"type", {"string", "integer", "number"}}})}}},
          {"required", Json::array({std::string(kCapturedClass)})},
          {"additionalProperties", false}}}}},
      {"additionalProperties",
       {{"type", "object"},
        {"description", "A module: its classes."},
        {"minProperties", 1},
        {"propertyNames", name},
        {"additionalProperties",
         {{"anyOf",
           {{{"$ref", "#/$defs/group"}},
            {{"type", "array"}, {"items", {{"$ref", "#/$defs/group"}}}, {"minItems", 1}}}}}}}},
      {"$defs",
       {{"size", {{"type", "integer"}, {"minimum", 1}, {"maximum", space::kLargestSize}}},
        {"shape",
         {{"type", "array"}, {"items", {{"$ref", "#/$defs/size"}}}, {"minItems", 1}, {"maxItems", space::kMostAxes}}},
        {"values",
         {{"description", "The values of a constructor parameter; a single one counts as a list of one."},
          {"anyOf", {{{"type", {"string", "number", "boolean", "null"}}}, {{"type", "array"}, {"minItems", 1}}}}}},
        {"group", group_schema()}}}};
  return schema.dump(2) + "\n";
}

}  // namespace mmt
