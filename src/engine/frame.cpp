#include "engine/frame.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mmt/error.h"

namespace mmt {
namespace {

using Clock = std::chrono::steady_clock;

// Larger sizes are no messages but a child that wrote something else there.
constexpr std::uint32_t kMaxHeader = 1u << 30;
constexpr std::uint64_t kMaxPayload = std::uint64_t{1} << 36;
constexpr std::size_t kLargePayload = 1 << 16;

struct Prefix {
  std::uint32_t header_size;
  std::uint32_t magic;
  std::uint64_t payload_size;
};
constexpr std::uint32_t kMagic = 0x314d4d54;

/// Waits until `fd` is readable; false at the deadline.
bool wait_readable(int fd, bool forever, Clock::time_point deadline) {
  while (true) {
    int wait_ms = -1;
    if (!forever) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return false;
      wait_ms = static_cast<int>(std::min<std::int64_t>(left, 1 << 30));
    }
    pollfd item{fd, POLLIN, 0};
    const int ready = poll(&item, 1, wait_ms);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw Error(ErrorCode::kIo, std::string("worker pipe: ") + std::strerror(errno));
  }
}

ReadResult read_all(int fd, void* data, std::size_t size, bool forever, Clock::time_point deadline) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    if (!forever && !wait_readable(fd, forever, deadline)) return ReadResult::kTimeout;
    const ssize_t got = read(fd, at, size);
    if (got == 0) return ReadResult::kClosed;
    if (got < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      if (errno == ECONNRESET) return ReadResult::kClosed;
      throw Error(ErrorCode::kIo, std::string("worker pipe: ") + std::strerror(errno));
    }
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return ReadResult::kFrame;
}

/// Keeps SIGPIPE of this thread away while writing, without touching the process's own handling of it.
class NoSigpipe {
 public:
  NoSigpipe() {
    struct sigaction action {};
    is_needed_ = sigaction(SIGPIPE, nullptr, &action) != 0 || action.sa_handler != SIG_IGN;
    if (!is_needed_) return;
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    if (!is_needed_) return;
    const int error = errno;
    const timespec now{0, 0};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false, is_needed_ = true;
};

bool write_all(int fd, const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(fd, at, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE || errno == ECONNRESET) return false;
      throw Error(ErrorCode::kIo, std::string("worker pipe: ") + std::strerror(errno));
    }
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

void PayloadReader::require(std::size_t count, std::size_t element_size) const {
  if (count > (payload_.size() - at_) / element_size)
    throw Error(ErrorCode::kParse, "worker message: its data is shorter than its header says");
}

ReadResult read_frame(int fd, std::chrono::milliseconds timeout, Frame& frame) {
  const bool forever = timeout.count() < 0;
  const Clock::time_point deadline = Clock::now() + timeout;
  Prefix prefix{};
  ReadResult result = read_all(fd, &prefix, sizeof prefix, forever, deadline);
  if (result != ReadResult::kFrame) return result;
  if (prefix.magic != kMagic || prefix.header_size > kMaxHeader || prefix.payload_size > kMaxPayload)
    throw Error(ErrorCode::kParse, "worker pipe: this is no message of an MMT worker; is the command a worker at all?");
  std::string header(prefix.header_size, '\0');
  result = read_all(fd, header.data(), header.size(), forever, deadline);
  if (result != ReadResult::kFrame) return result;
  frame.payload.resize(prefix.payload_size);
  result = read_all(fd, frame.payload.data(), frame.payload.size(), forever, deadline);
  if (result != ReadResult::kFrame) return result;
  try {
    frame.header = header.empty() ? nlohmann::json() : nlohmann::json::parse(header);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kParse, std::string("worker message: ") + error.what());
  }
  return ReadResult::kFrame;
}

bool write_frame(int fd, const Frame& frame) {
  std::string header;
  if (!frame.header.is_null()) header = frame.header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const Prefix prefix{static_cast<std::uint32_t>(header.size()), kMagic, frame.payload.size()};
  const NoSigpipe guard;
  if (frame.payload.size() > kLargePayload) {
    return write_all(fd, &prefix, sizeof prefix) && write_all(fd, header.data(), header.size()) &&
           write_all(fd, frame.payload.data(), frame.payload.size());
  }
  // Most messages are small, and writing one wakes the other side: once will do.
  std::string whole(reinterpret_cast<const char*>(&prefix), sizeof prefix);
  whole += header;
  whole.append(reinterpret_cast<const char*>(frame.payload.data()), frame.payload.size());
  return write_all(fd, whole.data(), whole.size());
}

}  // namespace mmt
