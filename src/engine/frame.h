// Messages between a worker's parent and child: a JSON header and raw bytes (samples, values) behind it. Without a
// header it is the call of a run, or its answer (run_message.h).
//
// On the wire: header size (32 bits), payload size (64 bits), header, payload; both ends run on one machine, so numbers
// are in its own byte order.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace mmt {

struct Frame {
  nlohmann::json header;  ///< null: none.
  std::vector<std::uint8_t> payload;

  template <class T>
  void append(std::span<const T> values) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    payload.insert(payload.end(), bytes, bytes + values.size_bytes());
  }
};

/// Takes arrays out of a frame's payload, in the order in which they were appended.
class PayloadReader {
 public:
  explicit PayloadReader(const std::vector<std::uint8_t>& payload) : payload_(payload) {}

  /// Throws Error(kParse) where the payload is shorter.
  template <class T>
  std::vector<T> take(std::size_t count) {
    require(count, sizeof(T));
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), payload_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }

 private:
  void require(std::size_t count, std::size_t element_size) const;

  const std::vector<std::uint8_t>& payload_;
  std::size_t at_ = 0;
};

enum class ReadResult { kFrame, kClosed, kTimeout };

/// Reads one frame; kClosed at the end of the stream, also in the middle of a frame. A negative timeout waits forever.
/// Throws Error(kIo, kParse).
ReadResult read_frame(int fd, std::chrono::milliseconds timeout, Frame& frame);

/// False where the other end is closed. Throws Error(kIo). SIGPIPE is not raised.
bool write_frame(int fd, const Frame& frame);

}  // namespace mmt
