#include "table/cells.h"

#include <nlohmann/json.hpp>

namespace mmt::table {
namespace {

template <class T>
void parse_list(const std::string& text, T& values) {
  if (text.empty()) {
    values.clear();
    return;
  }
  try {
    values = nlohmann::json::parse(text).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kCorrupt,
                "the latency table holds \"" + text + "\" where a list belongs; run `mmt table rebuild`");
  }
}

template <class T>
std::string dump(const T& values) {
  return nlohmann::json(values).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string to_json(const std::vector<int>& values) { return dump(values); }
std::string to_json(const std::vector<double>& values) { return dump(values); }
std::string to_json(const std::vector<std::vector<int>>& values) { return dump(values); }
std::string to_json(const std::vector<std::string>& values) { return dump(values); }

void from_json(const std::string& text, std::vector<int>& values) { parse_list(text, values); }
void from_json(const std::string& text, std::vector<double>& values) { parse_list(text, values); }
void from_json(const std::string& text, std::vector<std::vector<int>>& values) { parse_list(text, values); }
void from_json(const std::string& text, std::vector<std::string>& values) { parse_list(text, values); }

Layout layout_from_name(const std::string& name) {
  for (const Layout layout : {Layout::kNchw, Layout::kNhwc, Layout::kNc4hw4}) {
    if (name == layout_name(layout)) return layout;
  }
  return Layout::kUnknown;
}

KernelRole role_from_name(const std::string& name) {
  for (const KernelRole role : {KernelRole::kInputConvert, KernelRole::kOutputConvert, KernelRole::kStub}) {
    if (name == kernel_role_name(role)) return role;
  }
  return KernelRole::kBody;
}

}  // namespace mmt::table
