#include "mmt/overlay.h"

namespace mmt {
namespace {

class OverlayTable final : public LatencyTable {
 public:
  OverlayTable(std::shared_ptr<LatencyTable> base, std::unordered_map<std::string, FreshTimes> fresh,
               const CacheCurve& cache)
      : base_(std::move(base)), fresh_(std::move(fresh)), config_(base_->config()) {
    if (!cache.empty()) config_.cache = cache;
  }

  const ConfigRow& config() const override { return config_; }
  std::string path() const override { return base_->path(); }
  std::string folder() const override { return base_->folder(); }
  std::shared_ptr<const OperatorRow> find_operator(const std::string& fingerprint) override {
    return base_->find_operator(fingerprint);
  }
  std::shared_ptr<const KernelRow> find_kernel(const std::string& key) override {
    const auto row = base_->find_kernel(key);
    const auto it = fresh_.find(key);
    if (row == nullptr || it == fresh_.end()) return row;
    auto copy = std::make_shared<KernelRow>(*row);
    replace(*copy, it->second);
    return copy;
  }
  std::vector<OperatorRow> nearest_operators(const std::string& class_name, const std::string& parameters_json,
                                             const std::vector<std::vector<int>>& input_shapes, int limit) override {
    return base_->nearest_operators(class_name, parameters_json, input_shapes, limit);
  }
  std::vector<KernelRow> similar_kernels(const std::string& type, const std::string& attributes, int limit) override {
    return replaced(base_->similar_kernels(type, attributes, limit));
  }
  std::vector<OperatorRow> all_operators() override { return base_->all_operators(); }
  std::vector<KernelRow> all_kernels() override { return replaced(base_->all_kernels()); }

 private:
  static void replace(KernelRow& row, const FreshTimes& times) {
    row.cold_us = times.cold_us;
    row.hot_us = times.hot_us;
    row.cold_se_us = times.cold_se_us;
    row.hot_se_us = times.hot_se_us;
  }
  std::vector<KernelRow> replaced(std::vector<KernelRow> rows) const {
    for (KernelRow& row : rows) {
      if (const auto it = fresh_.find(row.key); it != fresh_.end()) replace(row, it->second);
    }
    return rows;
  }

  std::shared_ptr<LatencyTable> base_;
  std::unordered_map<std::string, FreshTimes> fresh_;
  ConfigRow config_;
};

}  // namespace

std::shared_ptr<LatencyTable> overlay(std::shared_ptr<LatencyTable> base,
                                      std::unordered_map<std::string, FreshTimes> fresh, const CacheCurve& cache) {
  return std::make_shared<OverlayTable>(std::move(base), std::move(fresh), cache);
}

}  // namespace mmt
