#include "mmt/profile.h"

#include <algorithm>

#include "mmt/hash.h"

namespace mmt {

bool has_flag(const std::string& flags, const std::string& word) {
  return ("," + flags + ",").find("," + word + ",") != std::string::npos;
}

std::vector<std::string> flag_words(std::string_view flags) {
  std::vector<std::string> words;
  while (!flags.empty()) {
    const std::size_t end = std::min(flags.find(','), flags.size());
    if (end > 0) words.emplace_back(flags.substr(0, end));
    flags.remove_prefix(std::min(end + 1, flags.size()));
  }
  return words;
}

void add_flag(std::string& flags, std::string_view word) {
  if (!flags.empty()) flags += ',';
  flags += word;
}

bool is_final(const ModelProfile& profile) { return profile.status == "ok" && !has_flag(profile.flags, "unfinished"); }

std::string Provenance::config_id() const {
  // Everything that changes times, and nothing that changes from run to run. A separator that no value contains keeps
  // neighbouring fields apart.
  std::string text;
  const auto add = [&text](const std::string& value) { text += value + '\n'; };
  add(device);
  add(cpu);
  add(facts.name);
  add(facts.version);
  add(facts.build);
  add(facts.backend);
  add(std::to_string(facts.threads));
  add(config.precision);
  add(config.memory);
  add(config.power);
  for (const int cpu_number : config.cpus) add(std::to_string(cpu_number));
  if (displace_bytes > 0) add("as inside a model");
  if (displace_bytes > 0 && protocol > 1) add("protocol " + std::to_string(protocol));
  return identity_hex(text).substr(0, 16);
}

}  // namespace mmt
