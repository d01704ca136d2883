// The protobuf wire format, as far as ONNX needs it: varints, 32-bit floats and length-delimited fields.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace mmt::onnx {

/// Bytes of one message under construction.
class Message {
 public:
  void varint(int field, std::uint64_t value) {
    tag(field, 0);
    raw_varint(value);
  }
  void signed_varint(int field, std::int64_t value) { varint(field, static_cast<std::uint64_t>(value)); }
  void float32(int field, float value) {
    tag(field, 5);
    char bytes[4];
    std::memcpy(bytes, &value, 4);  // the wire is little-endian, as every supported host is
    bytes_.append(bytes, 4);
  }
  void text(int field, std::string_view value) {
    length(field, value.size());
    bytes_.append(value);
  }
  void message(int field, const Message& value) { text(field, value.bytes_); }

  /// Begins a length-delimited field whose `size` bytes are appended by the caller.
  void length(int field, std::size_t size) {
    tag(field, 2);
    raw_varint(size);
  }

  const std::string& bytes() const { return bytes_; }
  void reserve(std::size_t size) { bytes_.reserve(size); }
  void append(std::string_view bytes) { bytes_.append(bytes); }
  std::string take() { return std::move(bytes_); }

 private:
  void tag(int field, int wire_type) {
    raw_varint((static_cast<std::uint64_t>(field) << 3) | static_cast<unsigned>(wire_type));
  }
  void raw_varint(std::uint64_t value) {
    while (value >= 0x80) {
      bytes_ += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace mmt::onnx
