#include "table/locate.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "mmt/error.h"

namespace mmt::table {
namespace {

namespace fs = std::filesystem;

bool is_sqlite_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  char head[16] = {};
  stream.read(head, sizeof(head));
  return stream.gcount() == sizeof(head) && std::string(head, 15) == "SQLite format 3";
}

}  // namespace

std::string temporary_name() {
  static std::atomic<int> counter{0};
  return kTemporaryPrefix + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

Location locate(const std::string& path) {
  if (path.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "the table's path is empty; give the operator folder or its latency.db");
  }
  std::error_code ignored;
  const fs::path given(path);
  if (fs::is_directory(given, ignored)) return {path, (given / kTableName).string()};
  const fs::path folder = given.has_parent_path() ? given.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, ignored)) {
    throw Error(ErrorCode::kNotFound,
                path + ": neither this nor the folder " + folder.string() +
                    " exists; give an operator folder that `mmt generate` and `mmt meter` have filled");
  }
  if (given.filename() != kTableName && is_sqlite_file(given)) return {folder.string(), path, false};
  return {folder.string(), (folder / kTableName).string()};
}

}  // namespace mmt::table
