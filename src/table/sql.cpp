#include "table/sql.h"

#include <sqlite3.h>

#include <cmath>

namespace mmt::table {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The path as an SQLite URI, in which some characters mean something.
std::string frozen_uri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      uri += c == '%' ? "%25" : c == '?' ? "%3f" : "%23";
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

std::optional<Blob16> blob_from_hex(std::string_view hex) {
  if (hex.size() != 32) return std::nullopt;
  Blob16 blob{};
  for (std::size_t i = 0; i < blob.size(); ++i) {
    const int high = digit(hex[2 * i]);
    const int low = digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    blob[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return blob;
}

std::string hex_from_blob(const Blob16& blob) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(32);
  for (const unsigned char byte : blob) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

Statement::Statement(Database& database, const std::string& sql) : database_(database) {
  const int code = sqlite3_prepare_v3(database.handle(), sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code != SQLITE_OK) database.fail(code, "cannot be queried (" + sql + ")");
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::start() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  parameter_ = 0;
  return *this;
}

Statement& Statement::bind(std::nullptr_t) {
  sqlite3_bind_null(statement_, ++parameter_);
  return *this;
}

Statement& Statement::bind(std::int64_t value) {
  sqlite3_bind_int64(statement_, ++parameter_, value);
  return *this;
}

Statement& Statement::bind(double value) {
  if (!std::isfinite(value)) return bind(nullptr);
  sqlite3_bind_double(statement_, ++parameter_, value);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  // An empty view may hold a null pointer, which SQLite would take for NULL.
  sqlite3_bind_text64(statement_, ++parameter_, value.empty() ? "" : value.data(), value.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(const Blob16& value) {
  sqlite3_bind_blob(statement_, ++parameter_, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::bind_bytes(std::string_view value) {
  sqlite3_bind_blob64(statement_, ++parameter_, value.empty() ? "" : value.data(), value.size(), SQLITE_TRANSIENT);
  return *this;
}

bool Statement::step() {
  column_ = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  database_.fail(code, "failed while a statement ran");
}

void Statement::run() {
  while (step()) {
  }
}

int Statement::columns() const { return sqlite3_column_count(statement_); }
std::string Statement::column_name(int column) const { return sqlite3_column_name(statement_, column); }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
bool Statement::is_integer(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_INTEGER; }
bool Statement::is_real(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_FLOAT; }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return data == nullptr ? std::string() : std::string(data, sqlite3_column_bytes(statement_, column));
}

Blob16 Statement::blob(int column) const {
  Blob16 blob{};
  const auto* data = static_cast<const unsigned char*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr || sqlite3_column_bytes(statement_, column) != static_cast<int>(blob.size())) {
    throw Error(ErrorCode::kCorrupt, database_.path() + ": an identity is not 16 bytes long; run `mmt table rebuild`");
  }
  std::copy(data, data + blob.size(), blob.begin());
  return blob;
}

std::span<const unsigned char> Statement::bytes(int column) const {
  const auto* data = static_cast<const unsigned char*>(sqlite3_column_blob(statement_, column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Database::Database(const std::string& path, OpenMode mode) : path_(path) {
  int flags = SQLITE_OPEN_NOMUTEX;
  if (mode == OpenMode::kRead) flags |= SQLITE_OPEN_READONLY;
  if (mode == OpenMode::kFrozen) flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
  if (mode == OpenMode::kReadWrite) flags |= SQLITE_OPEN_READWRITE;
  if (mode == OpenMode::kCreate) flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code =
      sqlite3_open_v2(mode == OpenMode::kFrozen ? frozen_uri(path).c_str() : path.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    const std::string reason = handle_ != nullptr ? sqlite3_errmsg(handle_) : "out of memory";
    sqlite3_close(handle_);
    handle_ = nullptr;
    throw Error(code == SQLITE_CANTOPEN ? ErrorCode::kNotFound : ErrorCode::kIo,
                path + ": cannot be opened: " + reason + "; check that it exists and may be read");
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 5000);
}

Database::~Database() { sqlite3_close(handle_); }

void Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code, "failed while a statement ran");
}

std::string Database::value(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text(0) : std::string();
}

std::int64_t Database::integer(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void Database::fail(int code, const std::string& doing) const {
  const std::string what = path_ + ": " + doing + ": " + sqlite3_errmsg(handle_);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // A table or column that should be there is not.
      throw Error(ErrorCode::kCorrupt, what + "; run `mmt table rebuild` on the operator folder");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      throw Error(ErrorCode::kIo, what + "; the folder must be writable for this");
    case SQLITE_FULL:
      throw Error(ErrorCode::kIo, what + "; make room on the disk and try again");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(ErrorCode::kIo, what + "; another program holds the file, try again when it is done");
    default:
      throw Error(ErrorCode::kIo, what);
  }
}

Meta read_meta(Database& database) {
  Statement statement(database, "SELECT name, value FROM meta");
  Meta meta;
  while (statement.step()) meta.emplace(statement.text(0), statement.text(1));
  return meta;
}

std::string value_of(const Meta& meta, const std::string& name) {
  const auto found = meta.find(name);
  return found == meta.end() ? "" : found->second;
}

OpenedTable open_frozen(const std::string& path) {
  auto database = std::make_unique<Database>(path, OpenMode::kFrozen);
  Meta meta = read_meta(*database);
  return {std::move(database), std::move(meta)};
}

}  // namespace mmt::table
