// A bounded cache of shared, immutable rows: least recently used ones leave. Split into parts with a lock each, so that
// threads which predict at the same time seldom wait for each other.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace mmt::table {

template <class Row>
class RowCache {
 public:
  using Pointer = std::shared_ptr<const Row>;

  explicit RowCache(std::size_t capacity) : part_capacity_(capacity / kParts + 1) {}

  /// nullopt: not known. A null pointer: known to be absent.
  std::optional<Pointer> find(const std::string& key) {
    Part& part = part_of(key);
    const std::lock_guard lock(part.mutex);
    const auto found = part.index.find(key);
    if (found == part.index.end()) return std::nullopt;
    part.order.splice(part.order.begin(), part.order, found->second);
    return found->second->second;
  }

  void put(const std::string& key, Pointer row) {
    Part& part = part_of(key);
    const std::lock_guard lock(part.mutex);
    if (part.index.count(key) != 0) return;
    part.order.emplace_front(key, std::move(row));
    part.index[key] = part.order.begin();
    if (part.order.size() > part_capacity_) {
      part.index.erase(part.order.back().first);
      part.order.pop_back();
    }
  }

  std::size_t size() {
    std::size_t sum = 0;
    for (Part& part : parts_) {
      const std::lock_guard lock(part.mutex);
      sum += part.order.size();
    }
    return sum;
  }

 private:
  static constexpr std::size_t kParts = 16;
  struct Part {
    std::mutex mutex;
    std::list<std::pair<std::string, Pointer>> order;  // Most recent first.
    std::unordered_map<std::string, typename std::list<std::pair<std::string, Pointer>>::iterator> index;
  };

  Part& part_of(const std::string& key) { return parts_[std::hash<std::string>{}(key) % kParts]; }

  std::array<Part, kParts> parts_;
  std::size_t part_capacity_;
};

}  // namespace mmt::table
