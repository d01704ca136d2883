// Remembers the kernel lists of whole models, so that an exact prediction converts a model only once. Kept in
// `plans.db` beside the table; a rebuilt table leaves it alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace mmt {

/// A cache: what it loses is made again. A damaged file is replaced, a folder that may not be written is served from
/// memory. May be used by several threads, and by several processes on one folder.
class PlanCache {
 public:
  /// `path`: as for LatencyTable::open. `limit`: entries kept; the ones written longest ago leave.
  /// Throws Error(kNotFound) where the folder does not exist.
  static std::unique_ptr<PlanCache> open(const std::string& path, std::int64_t limit = 10000);
  virtual ~PlanCache() = default;

  /// `model`: identity of the model with its input shapes (any text). `config_id`: the engine that made the schedule.
  virtual std::optional<std::string> get(const std::string& model, const std::string& config_id) = 0;
  virtual void put(const std::string& model, const std::string& config_id, const std::string& kernels_json) = 0;
  virtual std::int64_t size() = 0;
  virtual void clear() = 0;
  /// False: entries live in this object only.
  virtual bool persistent() const = 0;
};

}  // namespace mmt
