#include "mmt/manifest.h"

#include <algorithm>

#include "meter/fields_json.h"
#include "mmt/error.h"
#include "mmt/file.h"

namespace mmt {

template <>
struct FieldList<OperatorModel> {
  static constexpr auto fields =
      std::make_tuple(Field{"context", "", "plain or packed", &OperatorModel::context},
                      Field{"file", "", "relative to the folder", &OperatorModel::file},
                      Field{"size_bytes", "bytes", "size of the file", &OperatorModel::size_bytes},
                      Field{"sha256", "", "hash of the file", &OperatorModel::sha256});
};

template <>
struct FieldList<OperatorInput> {
  static constexpr auto fields = std::make_tuple(
      Field{"shape", "", "batch first", &OperatorInput::shape},
      Field{"dtype", "", "element type", &OperatorInput::dtype},
      Field{"low", "", "smallest value", &OperatorInput::low}, Field{"high", "", "upper bound", &OperatorInput::high},
      Field{"shared", "", "share of the range that neighbours have in common", &OperatorInput::shared});
};

template <>
struct FieldList<OperatorEntry> {  // Without the parameters, which are an object of their own.
  static constexpr auto fields =
      std::make_tuple(Field{"fingerprint", "", "identity", &OperatorEntry::fingerprint},
                      Field{"kind", "", "module, function or model", &OperatorEntry::kind},
                      Field{"class", "", "class or function", &OperatorEntry::class_name},
                      Field{"inputs", "", "what it is fed", &OperatorEntry::inputs},
                      Field{"output_shapes", "", "batch first", &OperatorEntry::output_shapes},
                      Field{"output_dtypes", "", "element types", &OperatorEntry::output_dtypes},
                      Field{"parameter_count", "", "numbers of its weights", &OperatorEntry::parameter_count},
                      Field{"flops", "", "operations of one run, a multiply-add counts as two", &OperatorEntry::flops},
                      Field{"exporter", "", "what wrote the graph", &OperatorEntry::exporter},
                      Field{"origin", "", "where it came from", &OperatorEntry::origin},
                      Field{"models", "", "its files", &OperatorEntry::models},
                      Field{"error", "", "why there are none", &OperatorEntry::error});
};

namespace {

using fields_json::Json;
using fields_json::Place;

std::string path_in(const std::string& folder) { return folder + "/" + kManifestName; }

/// "line 3, column 17" of a byte offset (1-based).
std::string line_and_column(const std::string& text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(offset);
  const auto lines = std::count(text.begin(), end, '\n');
  const std::size_t line_start = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;  // npos + 1 is 0.
  return "line " + std::to_string(lines + 1) + ", column " + std::to_string(offset - line_start + 1);
}

const Json& required(const Json& object, const char* key, const Place& place) {
  const auto found = object.find(key);
  if (found == object.end()) fields_json::refuse(place, std::string("'") + key + "' is missing");
  return *found;
}

void check_file_name(const OperatorModel& model, const Place& place) {
  const std::string& name = model.file;
  // A manifest may come from another machine: what it names must lie inside its folder.
  const bool climbs = name == ".." || name.starts_with("../") || name.find("/../") != std::string::npos;
  if (name.empty() || name.front() == '/' || climbs) {
    fields_json::refuse(Place{&place, "file"}, "'" + name + "' is not a path inside the folder");
  }
}

OperatorEntry decode_entry(const Json& json, const Place& place) {
  if (!json.is_object()) fields_json::wrong_type(place, "an object", json);
  for (const char* key : {"fingerprint", "kind", "class"}) required(json, key, place);
  OperatorEntry entry;
  fields_json::decode(json, entry, place);
  if (entry.fingerprint.empty()) fields_json::refuse(Place{&place, "fingerprint"}, "is empty");
  const auto parameters = json.find("parameters");
  if (parameters != json.end()) {
    if (!parameters->is_object()) fields_json::wrong_type(Place{&place, "parameters"}, "an object", *parameters);
    entry.parameters_json = parameters->dump();
  }
  const Place models{&place, "models"};
  for (std::size_t i = 0; i < entry.models.size(); ++i) check_file_name(entry.models[i], Place{&models, {}, i});
  return entry;
}

Manifest decode_manifest(const Json& json) {
  const Place top;
  if (!json.is_object()) fields_json::wrong_type(top, "an object", json);
  Manifest manifest;
  fields_json::decode(required(json, "format", top), manifest.format, Place{&top, "format"});
  if (manifest.format != 1) {
    fields_json::refuse(Place{&top, "format"},
                        std::to_string(manifest.format) + " is not known; this version reads format 1");
  }
  manifest.mmt_version = json.value("mmt_version", "");
  manifest.converter = json.value("converter", "");
  const Place list{&top, "operators"};
  const Json& operators = required(json, "operators", top);
  if (!operators.is_array()) fields_json::wrong_type(list, "a list", operators);
  manifest.operators.reserve(operators.size());
  for (std::size_t i = 0; i < operators.size(); ++i) {
    manifest.operators.push_back(decode_entry(operators[i], Place{&list, {}, i}));
  }
  return manifest;
}

Json encode_entry(const OperatorEntry& entry) {
  Json json;
  const Json fields = fields_json::encode(entry, fields_json::Defaults::kWrite);
  for (const auto& [name, value] : fields.items()) {
    json[name] = value;
    if (name != "class" || entry.parameters_json.empty()) continue;
    Json parameters = Json::parse(entry.parameters_json, nullptr, false);
    if (!parameters.is_object()) {
      throw Error(ErrorCode::kInvalidArgument, "operator " + entry.fingerprint + " (" + entry.class_name +
                                                   "): parameters_json is not a JSON object: " + entry.parameters_json);
    }
    json["parameters"] = std::move(parameters);
  }
  return json;
}

}  // namespace

Manifest parse_manifest(const std::string& text, const std::string& name) {
  try {
    return decode_manifest(Json::parse(text));
  } catch (const Json::parse_error& error) {
    const std::size_t offset = error.byte > 0 ? error.byte - 1 : 0;
    throw Error(ErrorCode::kParse,
                name + ": " + line_and_column(text, offset) + ": broken JSON; generate the folder again");
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::kParse, name + ": " + error.what());
  } catch (const Error& error) {
    throw Error(error.code(), name + ": " + error.what());
  }
}

std::string manifest_text(const Manifest& manifest) {
  // One operator a line: small for machines, readable and comparable for people.
  std::string text = "{\"format\":" + std::to_string(manifest.format) +
                     ",\n\"mmt_version\":" + Json(manifest.mmt_version).dump() +
                     ",\n\"converter\":" + Json(manifest.converter).dump() + ",\n\"operators\":[";
  const char* separator = "\n";
  for (const OperatorEntry& entry : manifest.operators) {
    text += separator + encode_entry(entry).dump(-1, ' ', false, Json::error_handler_t::replace);
    separator = ",\n";
  }
  return text + "\n]}\n";
}

Manifest read_manifest(const std::string& folder) {
  const std::string path = path_in(folder);
  if (!file_exists(path)) {
    throw Error(ErrorCode::kNotFound, path + ": not found; is this an operator folder? `mmt generate` makes one");
  }
  return parse_manifest(read_file(path), path);
}

void write_manifest(const std::string& folder, const Manifest& manifest) {
  const std::string text = manifest_text(manifest);
  make_folders(folder);
  write_file_atomic(path_in(folder), text);
}

}  // namespace mmt
