#include <sstream>

#include "mmt/engine.h"

namespace mmt {

std::vector<std::pair<std::string, std::string>> build_flag_list(const std::string& build_flags) {
  std::vector<std::pair<std::string, std::string>> list;
  std::istringstream lines(build_flags);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos) list.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  return list;
}

std::string build_flags_text(const std::string& build_flags) {
  std::string text;
  for (const auto& [name, value] : build_flag_list(build_flags)) {
    if (value == "OFF" || value == "0" || value == "FALSE") continue;
    text.append(text.empty() ? "" : " ").append(name);
    if (value != "ON") text.append("=").append(value);
  }
  return text.empty() ? "unknown: the build folder of the engine was not at hand, and the library does not record them"
                      : text;
}

}  // namespace mmt
