// A latency table that lives in memory, for tests of composition and prediction.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mmt/hash.h"
#include "mmt/table.h"

namespace mmt::test {

class FakeTable final : public LatencyTable {
 public:
  FakeTable() {
    config_.run.displace_bytes = 1 << 20;
    config_.run.protocol = kProtocol;
  }
  const ConfigRow& config() const override { return config_; }
  std::string path() const override { return "memory"; }
  std::string folder() const override { return "memory"; }
  std::shared_ptr<const OperatorRow> find_operator(const std::string& fingerprint) override {
    const auto it = operators_.find(fingerprint);
    return it == operators_.end() ? nullptr : it->second;
  }
  std::shared_ptr<const KernelRow> find_kernel(const std::string& key) override {
    const auto it = kernels_.find(key);
    return it == kernels_.end() ? nullptr : it->second;
  }
  std::vector<OperatorRow> nearest_operators(const std::string&, const std::string&,
                                             const std::vector<std::vector<int>>&, int) override {
    return {};
  }
  std::vector<KernelRow> similar_kernels(const std::string& type, const std::string&, int limit) override {
    std::vector<KernelRow> rows;
    for (const auto& [key, row] : kernels_) {
      if (row->type == type && static_cast<int>(rows.size()) < limit) rows.push_back(*row);
    }
    return rows;
  }
  std::vector<OperatorRow> all_operators() override { return {}; }
  std::vector<KernelRow> all_kernels() override { return {}; }

  /// Adds a kernel `type{attributes} shapes` and returns its key.
  std::string add_kernel(const std::string& type, const std::string& attributes, const std::string& shapes,
                         double cold_us, double hot_us) {
    auto row = std::make_shared<KernelRow>();
    row->type = type;
    row->attributes = attributes;
    row->text = type + (attributes.empty() ? "" : "{" + attributes + "}") + " " + shapes;
    row->key = identity_hex(row->text);
    row->cold_us = cold_us;
    row->hot_us = hot_us;
    kernels_[row->key] = row;
    return row->key;
  }

  struct Kernel {
    std::string key;
    KernelRole role = KernelRole::kBody;
    int port = -1;
  };
  static ContextRow context(const std::string& name, const std::vector<Kernel>& kernels, const PortDesc& input,
                            const PortDesc& output, int inputs = 1) {
    ContextRow row;
    row.context = name;
    for (const Kernel& kernel : kernels) {
      row.kernel_keys.push_back(kernel.key);
      row.roles.push_back(kernel.role);
      row.ports.push_back(kernel.port);
    }
    row.inputs.assign(static_cast<std::size_t>(inputs), input);
    row.outputs = {output};
    return row;
  }
  static PortDesc port(Layout layout, const std::string& kind, bool activation = false) {
    PortDesc desc;
    desc.layout = layout;
    desc.edge_kind = kind;
    desc.has_activation = activation;
    return desc;
  }
  void add_operator(const std::string& fingerprint, const std::vector<ContextRow>& contexts) {
    auto row = std::make_shared<OperatorRow>();
    row->fingerprint = fingerprint;
    row->kind = "module";
    row->contexts = contexts;
    operators_[fingerprint] = row;
  }

  ConfigRow config_;

 private:
  std::map<std::string, std::shared_ptr<const OperatorRow>> operators_;
  std::map<std::string, std::shared_ptr<const KernelRow>> kernels_;
};

}  // namespace mmt::test
