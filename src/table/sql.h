// A small, exception-throwing skin over SQLite's C interface. SQLite is named nowhere outside this folder.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mmt/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mmt::table {

/// A 128-bit identity as stored: 16 bytes instead of 32 hexadecimal digits.
using Blob16 = std::array<unsigned char, 16>;

/// nullopt where `hex` is not 32 hexadecimal digits.
std::optional<Blob16> blob_from_hex(std::string_view hex);
std::string hex_from_blob(const Blob16& blob);

class Database;

/// A prepared statement. Parameters and columns are taken in order ("next"), so that one field list can drive both.
class Statement {
 public:
  Statement(Database& database, const std::string& sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// Ready for another execution; bindings are dropped.
  Statement& start();

  Statement& bind(std::nullptr_t);
  Statement& bind(std::int64_t value);
  Statement& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(bool value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(double value);
  Statement& bind(std::string_view value);
  Statement& bind(const std::string& value) { return bind(std::string_view(value)); }
  Statement& bind(const char* value) { return bind(std::string_view(value)); }
  Statement& bind(const Blob16& value);
  Statement& bind_bytes(std::string_view value);

  /// True: a row is there. Throws Error(kCorrupt, kIo).
  bool step();
  /// Executes a statement that gives no rows.
  void run();

  int columns() const;
  std::string column_name(int column) const;
  bool is_null(int column) const;
  bool is_integer(int column) const;
  bool is_real(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  Blob16 blob(int column) const;
  std::span<const unsigned char> bytes(int column) const;  ///< Of the row that is there.

  void read(std::int64_t& value) { value = integer(column_++); }
  void read(int& value) { value = static_cast<int>(integer(column_++)); }
  void read(std::uint64_t& value) { value = static_cast<std::uint64_t>(integer(column_++)); }
  void read(bool& value) { value = integer(column_++) != 0; }
  void read(double& value) { value = real(column_++); }
  void read(std::string& value) { value = text(column_++); }
  void read(Blob16& value) { value = blob(column_++); }
  template <class T>
  T next() {
    T value{};
    read(value);
    return value;
  }

 private:
  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int parameter_ = 0;
  int column_ = 0;
};

/// A statement that is prepared when it is executed first: a connection has many, and most programs need few of them.
class LazyStatement {
 public:
  LazyStatement(Database& database, std::string (*sql)()) : database_(database), sql_(sql) {}
  /// As Statement::start.
  Statement& start() {
    if (!statement_) statement_.emplace(database_, sql_());
    return statement_->start();
  }

 private:
  Database& database_;
  std::string (*sql_)();
  std::optional<Statement> statement_;
};

/// kFrozen: nobody changes the file while it is open (it may be replaced by another one), so SQLite need not lock it
/// nor look for changes at every query, which is half of the time of a look-up.
enum class OpenMode { kRead, kFrozen, kReadWrite, kCreate };

/// One connection; used by one thread at a time.
class Database {
 public:
  /// Throws Error(kNotFound, kCorrupt, kIo) naming the path.
  Database(const std::string& path, OpenMode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const std::string& sql);
  /// First column of the first row, as text; "" where there is none.
  std::string value(const std::string& sql);
  std::int64_t integer(const std::string& sql);

  const std::string& path() const { return path_; }
  sqlite3* handle() { return handle_; }
  /// Throws the Error that belongs to an SQLite result code.
  [[noreturn]] void fail(int code, const std::string& doing) const;

 private:
  std::string path_;
  sqlite3* handle_ = nullptr;
};

/// The meta table: what is said about the whole file.
using Meta = std::map<std::string, std::string>;
Meta read_meta(Database& database);
/// "" where there is no such row.
std::string value_of(const Meta& meta, const std::string& name);

/// A connection to a table, and what its meta table says.
struct OpenedTable {
  std::unique_ptr<Database> database;
  Meta meta;
};
/// For reading, as OpenMode::kFrozen says.
OpenedTable open_frozen(const std::string& path);

}  // namespace mmt::table
