#include "mmt/plan_cache.h"

#include <chrono>
#include <filesystem>
#include <mutex>
#include <type_traits>
#include <utility>

#include "mmt/error.h"
#include "mmt/log.h"
#include "table/locate.h"
#include "table/sql.h"

namespace mmt {
namespace table {
namespace {

constexpr int kPlansVersion = 1;

std::unique_ptr<Database> open_plans(const std::string& path) {
  auto database = std::make_unique<Database>(path, OpenMode::kCreate);
  if (database->integer("PRAGMA user_version") != kPlansVersion) {
    // Also the first access, which finds damage. Another version's plans mean nothing here.
    database->execute(
        "BEGIN IMMEDIATE; DROP TABLE IF EXISTS plan;"
        "CREATE TABLE plan (model TEXT, config_id TEXT, written_at REAL, kernels TEXT, "
        "PRIMARY KEY (model, config_id));"
        "CREATE INDEX plan_by_age ON plan (written_at);"
        "PRAGMA user_version = " +
        std::to_string(kPlansVersion) + "; COMMIT");
  }
  database->execute("PRAGMA synchronous = NORMAL");
  return database;
}

class PlanCacheImpl final : public PlanCache {
 public:
  PlanCacheImpl(const std::string& path, std::int64_t limit) : path_(path), limit_(limit) { connect(); }

  std::optional<std::string> get(const std::string& model, const std::string& config_id) override {
    return guarded([&]() -> std::optional<std::string> {
      Statement statement(*database_, "SELECT kernels FROM plan WHERE model = ?1 AND config_id = ?2");
      statement.start().bind(model).bind(config_id);
      if (!statement.step()) return std::nullopt;
      return statement.text(0);
    });
  }

  void put(const std::string& model, const std::string& config_id, const std::string& kernels_json) override {
    guarded([&] {
      const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
      Statement(*database_, "INSERT OR REPLACE INTO plan (model, config_id, written_at, kernels) VALUES (?, ?, ?, ?)")
          .bind(model)
          .bind(config_id)
          .bind(now)
          .bind(kernels_json)
          .run();
      const std::int64_t excess = database_->integer("SELECT COUNT(*) FROM plan") - limit_;
      if (excess > 0) {
        Statement(*database_,
                  "DELETE FROM plan WHERE rowid IN (SELECT rowid FROM plan ORDER BY written_at, rowid LIMIT ?)")
            .bind(excess)
            .run();
      }
      return 0;
    });
  }

  std::int64_t size() override {
    return guarded([&] { return database_->integer("SELECT COUNT(*) FROM plan"); });
  }

  void clear() override {
    guarded([&] {
      database_->execute("DELETE FROM plan");
      return 0;
    });
  }

  bool persistent() const override { return persistent_; }

 private:
  void connect() {
    try {
      database_ = open_plans(path_);
      persistent_ = true;
      return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCorrupt) {
        replace_damaged(error.what());
        return;
      }
      log(LogLevel::kInfo, std::string(error.what()) + "; kernel lists are kept in memory only");
    }
    database_ = open_plans(":memory:");
    persistent_ = false;
  }

  void replace_damaged(const std::string& reason) {
    log(LogLevel::kWarning, reason + "; it is started afresh");
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    try {
      database_ = open_plans(path_);
      persistent_ = true;
    } catch (const Error&) {
      database_ = open_plans(":memory:");
      persistent_ = false;
    }
  }

  /// Damage that shows only later is handled like damage at opening: once, then it is a real error. What cannot be
  /// written (disk full, folder closed) costs the file, not the prediction.
  template <class Use>
  std::invoke_result_t<Use> guarded(Use use) {
    const std::lock_guard lock(mutex_);
    try {
      return use();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCorrupt) {
        replace_damaged(error.what());
      } else {
        log(LogLevel::kWarning, std::string(error.what()) + "; kernel lists are kept in memory only");
        database_ = open_plans(":memory:");
        persistent_ = false;
      }
    }
    return use();
  }

  std::string path_;
  std::int64_t limit_;
  bool persistent_ = false;
  std::mutex mutex_;
  std::unique_ptr<Database> database_;
};

}  // namespace
}  // namespace table

std::unique_ptr<PlanCache> PlanCache::open(const std::string& path, std::int64_t limit) {
  if (limit < 1) throw Error(ErrorCode::kInvalidArgument, "a plan cache holds at least one entry");
  return std::make_unique<table::PlanCacheImpl>(table::locate(path).file(table::kPlansFile), limit);
}

}  // namespace mmt
