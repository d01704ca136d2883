#include "mmt/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "mmt/error.h"

namespace mmt {
namespace {

[[noreturn]] void fail(const std::string& path, const char* what, int reason) {
  const ErrorCode code = reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  throw Error(code, path + ": " + what + ": " + std::strerror(reason));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int release() {
    const int value = value_;
    value_ = -1;
    return value;
  }

 private:
  int value_;
};

int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int descriptor;
  do {
    descriptor = ::open(path, flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

/// 0, or the error number.
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

int sync_data(int descriptor) {
#if defined(__linux__)
  return ::fdatasync(descriptor);
#else
  return ::fsync(descriptor);
#endif
}

/// Makes a new or renamed directory entry durable. Some file systems cannot flush folders; then there is nothing to do.
void sync_folder_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? std::string(".") : parent.string();
  const Descriptor descriptor(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (descriptor.get() < 0) fail(folder, "cannot open the folder to flush it", errno);
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail(folder, "cannot flush the folder", errno);
  }
}

struct stat stat_file(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) fail(path, "cannot be examined", errno);
  return facts;
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor descriptor(open_retrying(path.c_str(), O_RDONLY));
  if (descriptor.get() < 0) fail(path, "cannot be opened for reading", errno);
  struct stat facts {};
  if (::fstat(descriptor.get(), &facts) != 0) fail(path, "cannot be examined", errno);
  if (S_ISDIR(facts.st_mode)) fail(path, "cannot be read", EISDIR);
  std::string bytes;
  std::size_t length = 0;
  // One byte more than the size, so that the end is seen without another buffer; grows for files without a size.
  bytes.resize(static_cast<std::size_t>(facts.st_size) + 1);
  for (;;) {
    if (length == bytes.size()) bytes.resize(bytes.size() * 2 + 4096);
    const ssize_t got = ::read(descriptor.get(), bytes.data() + length, bytes.size() - length);
    if (got < 0) {
      if (errno == EINTR) continue;
      fail(path, "cannot be read", errno);
    }
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  bytes.resize(length);
  return bytes;
}

std::string read_small_file(const std::string& path, std::size_t limit) noexcept {
  try {
    const Descriptor descriptor(open_retrying(path.c_str(), O_RDONLY | O_NONBLOCK));
    if (descriptor.get() < 0) return "";
    std::string bytes(limit, '\0');
    std::size_t length = 0;
    while (length < limit) {
      const ssize_t got = ::read(descriptor.get(), bytes.data() + length, limit - length);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return "";
      if (got == 0) break;
      length += static_cast<std::size_t>(got);
    }
    bytes.resize(length);
    while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == ' ' || bytes.back() == '\0')) bytes.pop_back();
    return bytes;
  } catch (const std::exception&) {  // Out of memory: as unreadable as a missing file.
    return "";
  }
}

bool file_exists(const std::string& path) noexcept {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0;
}

std::int64_t file_size(const std::string& path) { return stat_file(path).st_size; }

void make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(ErrorCode::kIo, path + ": cannot create the folder: " + error.message());
}

void replace_file(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail(to, ("cannot be replaced by " + from).c_str(), errno);
  sync_folder_of(to);
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary =
      path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(counter.fetch_add(1));
  {
    const Descriptor descriptor(open_retrying(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666));
    if (descriptor.get() < 0) throw Error(ErrorCode::kIo, path + ": cannot be written: " + std::strerror(errno));
    struct stat facts {};
    int failure = 0;
    if (::stat(path.c_str(), &facts) == 0 && ::fchmod(descriptor.get(), facts.st_mode & 07777) != 0) failure = errno;
    if (failure == 0) failure = write_all(descriptor.get(), bytes);
    if (failure == 0 && ::fsync(descriptor.get()) != 0) failure = errno;
    if (failure != 0) {
      ::unlink(temporary.c_str());
      fail(path, "cannot be written", failure);
    }
  }
  try {
    replace_file(temporary, path);
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
}

AppendFile::AppendFile(const std::string& path) : path_(path) {
  const bool is_new = !file_exists(path);
  Descriptor descriptor(open_retrying(path.c_str(), O_RDWR | O_CREAT | O_APPEND, 0666));
  if (descriptor.get() < 0) throw Error(ErrorCode::kIo, path + ": cannot be opened: " + std::strerror(errno));
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      throw Error(ErrorCode::kIo, path + ": another process is writing it; wait for it to end or use another folder");
    }
    // File systems without locks (some network and phone storage) still work, for one writer.
    if (errno != ENOTSUP && errno != ENOSYS && errno != ENOLCK && errno != EINVAL)
      fail(path, "cannot be locked", errno);
  }
  if (is_new) sync_folder_of(path);
  descriptor_ = descriptor.release();
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::int64_t AppendFile::size() const {
  struct stat facts {};
  if (::fstat(descriptor_, &facts) != 0) fail(path_, "cannot be examined", errno);
  return facts.st_size;
}

void AppendFile::truncate(std::int64_t size) {
  if (size < 0 || size > this->size()) {
    throw Error(ErrorCode::kInvalidArgument, path_ + ": cannot be cut to " + std::to_string(size) + " bytes, it has " +
                                                 std::to_string(this->size()));
  }
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) fail(path_, "cannot be cut", errno);
}

void AppendFile::append(std::string_view bytes) {
  const std::int64_t before = size();
  const int failure = write_all(descriptor_, bytes);
  if (failure == 0) return;
  std::string what = "cannot be appended to";
  if (::ftruncate(descriptor_, static_cast<off_t>(before)) != 0) what += " (its last line is torn)";
  fail(path_, what.c_str(), failure);
}

void AppendFile::sync() {
  if (sync_data(descriptor_) != 0) fail(path_, "cannot be flushed to disk", errno);
}

std::size_t whole_lines_size(std::string_view bytes) noexcept {
  const std::size_t last = bytes.rfind('\n');
  return last == std::string_view::npos ? 0 : last + 1;
}

}  // namespace mmt
