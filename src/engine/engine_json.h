// The JSON forms that cross the plugin interface and the worker protocol. Also compiled into plugins.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "mmt/engine.h"

namespace mmt {

/// {"backend", "threads", "precision", "memory", "power", "cpus"}; absent fields keep their defaults.
void to_json(nlohmann::json& json, const EngineConfig& config);
void from_json(const nlohmann::json& json, EngineConfig& config);

/// {"name", "version", "build", "backend", "threads", "per_kernel"}
void to_json(nlohmann::json& json, const EngineFacts& facts);
void from_json(const nlohmann::json& json, EngineFacts& facts);

/// {"inputs": [{"name", "shape", "low", "high", "shared"}], "seed", "independent"}
void to_json(nlohmann::json& json, const OpenOptions& options);
void from_json(const nlohmann::json& json, OpenOptions& options);

/// {"tensors": [{"id", "shape", "layout", "dtype", "name", "constant"}], "inputs": [id], "outputs": [id], "memory_mib",
///  "mflops", "kernels": [{"name", "type", "mflops", "inputs": [id], "outputs": [id],
///  "regions": [[origin, size x3, src_offset, src_stride x3, dst_offset, dst_stride x3]]}]}
void to_json(nlohmann::json& json, const SessionDesc& desc);
void from_json(const nlohmann::json& json, SessionDesc& desc);

/// Parses `text` as a T. Throws Error(kParse) that begins with `what`.
template <class T>
T parse_engine_json(const std::string& text, const std::string& what);

}  // namespace mmt
