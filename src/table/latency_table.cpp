// LatencyTable: finding and, where needed, rebuilding the file; then rows by key, through a bounded cache.
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <type_traits>
#include <utility>

#include "mmt/error.h"
#include "mmt/table.h"
#include "table/cache.h"
#include "table/cells.h"
#include "table/distance.h"
#include "table/reader.h"
#include "table/ready.h"

namespace mmt {
namespace table {
namespace {

constexpr std::size_t kCachedKernels = 32768;
constexpr std::size_t kCachedOperators = 4096;
constexpr int kCandidates = 2048;

/// Connections that wait for a thread to use them. They all read the same build of the table: where the file has been
/// replaced meanwhile, no new ones are opened, and threads share those that are there.
class ReaderPool {
 public:
  ReaderPool(std::string path, int config, std::unique_ptr<Reader> first)
      : path_(std::move(path)), config_(config), build_id_(first->build_id()), process_(::getpid()) {
    first->use(config_);
    free_.push_back(std::move(first));
    open_ = 1;
  }

  std::unique_ptr<Reader> take() {
    std::unique_lock lock(mutex_);
    forget_parent();
    if (free_.empty() && may_grow_) {
      auto reader = std::make_unique<Reader>(path_);
      if (reader->build_id() == build_id_) {
        reader->use(config_);
        ++open_;
        return reader;
      }
      may_grow_ = false;
      if (open_ == 0) throw Error(ErrorCode::kIo, path_ + ": was replaced while it was in use; open it again");
    }
    available_.wait(lock, [this] { return !free_.empty(); });
    auto reader = std::move(free_.back());
    free_.pop_back();
    return reader;
  }

  void give_back(std::unique_ptr<Reader> reader) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(std::move(reader));
    }
    available_.notify_one();
  }

 private:
  /// A forked process must not use, nor close, the connections of the one that it came from.
  void forget_parent() {
    if (process_ == ::getpid()) return;
    for (auto& reader : free_) static_cast<void>(reader.release());
    free_.clear();
    open_ = 0;
    process_ = ::getpid();
  }

  std::string path_;
  int config_;
  std::string build_id_;
  pid_t process_;
  bool may_grow_ = true;
  int open_ = 0;
  std::mutex mutex_;
  std::condition_variable available_;
  std::vector<std::unique_ptr<Reader>> free_;
};

class LatencyTableImpl final : public LatencyTable {
 public:
  LatencyTableImpl(Location location, NumberedConfig config, std::unique_ptr<Reader> reader)
      : location_(std::move(location)),
        config_(std::move(config.row)),
        readers_(location_.database, config.number, std::move(reader)),
        kernels_(kCachedKernels),
        operators_(kCachedOperators) {}

  const ConfigRow& config() const override { return config_; }
  std::string path() const override { return location_.database; }
  std::string folder() const override { return location_.folder; }

  std::shared_ptr<const OperatorRow> find_operator(const std::string& fingerprint) override {
    return find(operators_, fingerprint, [this](Reader& reader, const Blob16& key) {
      KernelRows kernels;
      auto row = reader.op(key, &kernels);
      for (auto& kernel : kernels) kernels_.put(kernel->key, kernel);
      return row;
    });
  }

  std::shared_ptr<const KernelRow> find_kernel(const std::string& key) override {
    return find(kernels_, key, [](Reader& reader, const Blob16& blob) { return reader.kernel(blob); });
  }

  std::vector<OperatorRow> nearest_operators(const std::string& class_name, const std::string& parameters_json,
                                             const std::vector<std::vector<int>>& input_shapes, int limit) override {
    const std::string shapes = to_json(input_shapes);
    std::vector<OperatorRow> rows = with_reader(
        [&](Reader& reader) { return reader.candidates(class_name, shapes, parameters_json, kCandidates); });
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      order.emplace_back(
          description_distance(parameters_json, input_shapes, rows[i].parameters_json, rows[i].input_shapes), i);
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<OperatorRow> nearest;
    for (const auto& [distance, index] : order) {
      if (static_cast<int>(nearest.size()) >= limit) break;
      // Only operators with figures help the one who asks.
      const auto whole = find_operator(rows[index].fingerprint);
      if (whole != nullptr && whole->status == "ok") nearest.push_back(*whole);
    }
    return nearest;
  }

  std::vector<KernelRow> similar_kernels(const std::string& type, const std::string& attributes, int limit) override {
    return with_reader([&](Reader& reader) { return reader.similar(type, attributes, limit); });
  }

  std::vector<OperatorRow> all_operators() override {
    return with_reader([](Reader& reader) {
      std::vector<OperatorRow> rows;
      for (const std::string& fingerprint : reader.all_fingerprints()) {
        auto row = reader.op(*blob_from_hex(fingerprint));
        if (row) rows.push_back(std::move(*row));
      }
      return rows;
    });
  }

  std::vector<KernelRow> all_kernels() override {
    return with_reader([](Reader& reader) { return reader.all_kernels(); });
  }

 private:
  template <class Use>
  std::invoke_result_t<Use, Reader&> with_reader(Use use) {
    struct Loan {
      ReaderPool& pool;
      std::unique_ptr<Reader> reader;
      ~Loan() { pool.give_back(std::move(reader)); }
    } loan{readers_, readers_.take()};
    return use(*loan.reader);
  }

  template <class Row, class Fetch>
  std::shared_ptr<const Row> find(RowCache<Row>& cache, const std::string& key, Fetch fetch) {
    if (auto cached = cache.find(key)) return *cached;
    const auto blob = blob_from_hex(key);
    std::shared_ptr<const Row> row;
    if (blob) {
      auto found = with_reader([&](Reader& reader) { return fetch(reader, *blob); });
      if (found) row = std::make_shared<const Row>(std::move(*found));
    }
    cache.put(key, row);
    return row;
  }

  Location location_;
  ConfigRow config_;
  ReaderPool readers_;
  RowCache<KernelRow> kernels_;
  RowCache<OperatorRow> operators_;
};

std::string describe(const ConfigRow& row) {
  return row.config_id + "  (" + row.run.device + ", " + row.run.facts.name + " " + row.run.facts.version + " " +
         row.run.facts.build + ", " + row.run.facts.backend + ", threads " + std::to_string(row.run.facts.threads) +
         ", precision " + row.run.config.precision + ", " + std::to_string(row.operators) + " operators)";
}

NumberedConfig choose(const Location& location, const std::vector<NumberedConfig>& configs, const std::string& wanted) {
  if (configs.empty()) {
    throw Error(ErrorCode::kNotFound,
                location.database + ": holds no measurement yet; run `mmt meter " + location.folder + "`");
  }
  std::vector<NumberedConfig> matches;
  for (const NumberedConfig& config : configs) {
    if (config.row.config_id == wanted) return config;
    if (config.row.config_id.rfind(wanted, 0) == 0) matches.push_back(config);
  }
  if (matches.size() == 1) return matches.front();
  std::string list;
  for (const NumberedConfig& config : configs) list += "\n  " + describe(config.row);
  const std::string problem = matches.empty()  ? "has no configuration \"" + wanted + "\""
                              : wanted.empty() ? "holds several configurations, which never mix"
                                               : "has several configurations that begin with \"" + wanted + "\"";
  throw Error(ErrorCode::kInvalidArgument,
              location.database + ": " + problem + "; give one of these as config_id:" + list);
}

}  // namespace
}  // namespace table

std::shared_ptr<LatencyTable> LatencyTable::open(const std::string& path, const std::string& config_id) {
  table::OpenedTable opened;
  const table::Location location = table::ready_table(path, &opened);
  auto reader = opened.database != nullptr ? std::make_unique<table::Reader>(std::move(opened))
                                           : std::make_unique<table::Reader>(location.database);
  table::NumberedConfig config = table::choose(location, reader->configs(), config_id);
  return std::make_shared<table::LatencyTableImpl>(location, std::move(config), std::move(reader));
}

std::vector<ConfigRow> list_configs(const std::string& path) {
  std::vector<ConfigRow> rows;
  for (auto& config : table::Reader(table::ready_table(path).database).configs()) rows.push_back(std::move(config.row));
  return rows;
}

}  // namespace mmt
