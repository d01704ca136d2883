#include "describe.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace mmt::app {
namespace {

using Json = nlohmann::ordered_json;

/// Numbers that could not be read are null: nobody should take -1 for a value.
template <class T>
Json known(T value) {
  return value < 0 ? Json() : Json(value);
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 0) return "unreadable";
  char text[32];
  if (bytes >= (1 << 30)) {
    std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / (1 << 30));
  } else {
    std::snprintf(text, sizeof text, "%lld KiB", static_cast<long long>(bytes / 1024));
  }
  return text;
}

std::string or_unreadable(const std::string& text) { return text.empty() ? "unreadable" : text; }

std::string mhz_text(double mhz) { return mhz < 0 ? "unreadable" : std::to_string(static_cast<int>(mhz)) + " MHz"; }

std::string list_text(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

/// The options as an object; null where they are unknown.
Json flags_json(const std::string& flags) {
  Json json;
  for (const auto& [name, value] : build_flag_list(flags)) json[name] = value;
  return json;
}

std::string words_text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

}  // namespace

std::string describe_json(const HostFacts& host, const EngineProbe& engine) {
  Json clusters = Json::array(), cpus = Json::array(), temperatures = Json::array();
  for (const CpuCluster& cluster : host.clusters) {
    clusters.push_back({{"name", cluster.name},
                        {"cpus", cluster.cpus},
                        {"max_mhz", known(cluster.max_mhz)},
                        {"capacity", known(cluster.capacity)}});
  }
  for (const CpuFacts& cpu : host.cpus) {
    cpus.push_back({{"cpu", cpu.cpu},
                    {"min_mhz", known(cpu.min_mhz)},
                    {"max_mhz", known(cpu.max_mhz)},
                    {"limit_mhz", known(cpu.limit_mhz)},
                    {"current_mhz", known(cpu.current_mhz)},
                    {"governor", cpu.governor},
                    {"model", cpu.model}});
  }
  for (const Temperature& sensor : host.temperatures) {
    temperatures.push_back({{"name", sensor.name}, {"celsius", sensor.celsius}});
  }
  Json json{{"hostname", host.hostname},
            {"board", host.board},
            {"cpu", host.cpu_model},
            {"architecture", host.architecture},
            {"os", host.os},
            {"kernel", host.kernel},
            {"cpus_online", known(host.cpus_online)},
            {"l1d_bytes", known(host.l1d_bytes)},
            {"l2_bytes", known(host.l2_bytes)},
            {"l3_bytes", known(host.l3_bytes)},
            {"memory_total_bytes", known(host.memory_total_bytes)},
            {"memory_available_bytes", known(host.memory_available_bytes)},
            {"governor", host.governor},
            {"turbo", known(host.turbo)},
            {"smt", known(host.smt)},
            {"virtualised", known(host.virtualised)},
            {"load_1min", known(host.load_1min)},
            {"clusters", clusters},
            {"cpus", cpus},
            {"temperatures", temperatures}};
  if (engine.facts) {
    const EngineFacts& facts = *engine.facts;
    Json code = Json::object();
    for (const CodePath& path : engine.code) code[path.name] = path.found;
    json["engine"] = {{"name", facts.name},
                      {"version", facts.version},
                      {"build", facts.build},
                      {"library", facts.library},
                      {"build_flags", flags_json(facts.build_flags)},
                      {"code", code},
                      {"backends", engine.backends},
                      {"missing_backends", engine.missing_backends},
                      {"backend", facts.backend},
                      {"threads", facts.threads},
                      {"per_kernel", facts.per_kernel}};
  } else {
    json["engine"] = nullptr;
    json["engine_error"] = engine.error;
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string describe_text(const HostFacts& host, const EngineProbe& engine) {
  std::string text;
  const auto line = [&text](const std::string& name, const std::string& value) {
    text += name + std::string(name.size() < 14 ? 14 - name.size() : 1, ' ') + value + "\n";
  };
  line("device", host.board.empty() ? host.hostname : host.board + " (" + host.hostname + ")");
  line("cpu", or_unreadable(host.cpu_model) + ", " + host.architecture + ", " + std::to_string(host.cpus_online) +
                  " processors");
  for (const CpuCluster& cluster : host.clusters) {
    const std::string limit =
        cluster.max_mhz < 0 ? "highest frequency unreadable" : "up to " + mhz_text(cluster.max_mhz);
    line("  " + cluster.name, "cpus " + list_text(cluster.cpus) + ", " + limit);
  }
  line("caches",
       "L1d " + bytes_text(host.l1d_bytes) + ", L2 " + bytes_text(host.l2_bytes) + ", L3 " + bytes_text(host.l3_bytes));
  line("memory", bytes_text(host.memory_total_bytes) + ", " + bytes_text(host.memory_available_bytes) + " available");
  line("governor", or_unreadable(host.governor));
  for (const CpuFacts& cpu : host.cpus) {
    if (cpu.limit_mhz > 0 && cpu.max_mhz > 0 && cpu.limit_mhz < cpu.max_mhz) {
      line("  limited", "cpu " + std::to_string(cpu.cpu) + " to " + mhz_text(cpu.limit_mhz));
    }
  }
  for (const Temperature& sensor : host.temperatures) {
    char degrees[32];
    std::snprintf(degrees, sizeof degrees, "%.1f C  ", sensor.celsius);
    line("temperature", degrees + sensor.name);
  }
  line("system", or_unreadable(host.os) + ", " + host.kernel);
  if (!engine.facts) {
    line("engine", engine.error);
    return text;
  }
  const EngineFacts& facts = *engine.facts;
  line("engine", facts.name + " " + facts.version + " (" + facts.build + "), " + facts.backend + ", " +
                     std::to_string(facts.threads) + " threads" + (facts.per_kernel ? "" : ", whole runs only"));
  line("  library", facts.library.empty() ? "unknown" : facts.library);
  line("  flags", build_flags_text(facts.build_flags));
  for (const char* found : {"yes", "no", "unknown"}) {
    std::string names;
    for (const CodePath& path : engine.code) {
      if (path.found == found) names += (names.empty() ? "" : ", ") + path.name;
    }
    const std::string word = found == std::string("yes")  ? "  has code"
                             : found == std::string("no") ? "  lacks"
                                                          : "  code";
    if (!names.empty())
      line(word, names + (found == std::string("unknown") ? ": unknown, the library's names are stripped" : ""));
  }
  line("  backends", words_text(engine.backends) + " (tried here; not: " + words_text(engine.missing_backends) + ")");
  return text;
}

}  // namespace mmt::app
