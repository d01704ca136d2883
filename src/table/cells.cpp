#include "table/cells.h"

#include <charconv>
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

/// "[1,16,112,112]", as nearly all lists are written: a general parser takes many times as long. False for anything
/// else.
bool read_plain(const std::string& text, std::vector<int>& values) {
  values.clear();
  const char* next = text.data();
  const char* const end = next + text.size();
  if (next == end || *next++ != '[') return false;
  for (;;) {
    const auto [after, error] = std::from_chars(next, end, values.emplace_back());
    if (error != std::errc() || after == end) return false;
    if (*after == ']') return after + 1 == end;
    if (*after != ',') return false;
    next = after + 1;
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

void from_json(const std::string& text, std::vector<int>& values) {
  if (!read_plain(text, values)) parse_list(text, values);
}
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
