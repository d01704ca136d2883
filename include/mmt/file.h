// Files: whole reads, writes that a crash cannot tear, and appends that survive a kill.
//
// Every function throws Error(kIo) with the path and the system's reason, and Error(kNotFound) where a file to be read
// does not exist. Paths are in the system's encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mmt {

/// The whole content of a regular file.
std::string read_file(const std::string& path);

/// The first `limit` bytes at most, for files of the kernel (/proc, /sys), whose size is not known; "" where the file
/// cannot be read, for whatever reason. Trailing white space is removed.
std::string read_small_file(const std::string& path, std::size_t limit = 1 << 16) noexcept;

bool file_exists(const std::string& path) noexcept;

/// Throws Error(kNotFound) where there is no such file.
std::int64_t file_size(const std::string& path);

/// Creates the folder and its parents; an existing folder is fine.
void make_folders(const std::string& path);

/// Moves `from` over `to` so that a reader sees the old or the new file, and makes the move durable (the content of
/// `from` must be flushed already). Both lie in the same file system.
void replace_file(const std::string& from, const std::string& to);

/// Replaces the file's content: temporary file beside it, flush to disk, rename, flush of the folder. After a crash at
/// any moment the path holds the old or the new content in whole. Permissions of an existing file are kept.
void write_file_atomic(const std::string& path, std::string_view bytes);

/// A file that only grows. Held under an exclusive advisory lock, so that two writers cannot mix their lines.
class AppendFile {
 public:
  /// Opens, or creates with its directory entry made durable. Throws Error(kIo) where another process (or another
  /// object) holds the lock.
  explicit AppendFile(const std::string& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  std::int64_t size() const;
  /// Cuts the file to its first `size` bytes (to drop a torn last line).
  void truncate(std::int64_t size);
  /// Writes all bytes at the end. Where that fails midway (disk full), what was written of them is cut off again.
  void append(std::string_view bytes);
  /// Returns when everything is on the disk.
  void sync();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// Length of the part of `bytes` that consists of whole lines: up to and including the last '\n'.
std::size_t whole_lines_size(std::string_view bytes) noexcept;

}  // namespace mmt
