#include "table/packed.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "mmt/error.h"
#include "mmt/hash.h"
#include "mmt/table_fields.h"
#include "table/cells.h"

namespace mmt::table {
namespace {

/// Kept as they lie in memory: every supported host is little-endian.
template <class T>
inline constexpr bool kIsPlain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// "{name:type,…}" of a structure, and so on for what it holds.
template <class T>
void describe(std::string& text) {
  if constexpr (kIsPlain<T>) {
    text += (std::is_floating_point_v<T> ? "f" : "i") + std::to_string(sizeof(T));
  } else if constexpr (std::is_same_v<T, std::string>) {
    text += "s";
  } else if constexpr (IsVector<T>::value) {
    text += "[";
    describe<typename T::value_type>(text);
    text += "]";
  } else {
    text += "{";
    for_each_in(FieldList<T>::fields, [&](const auto& field) {
      T object{};
      text.append(field.name).append(":");
      describe<std::remove_cvref_t<decltype(field.get(object))>>(text);
      text += ",";
    });
    text += "}";
  }
}

class Packer {
 public:
  template <class T>
  void add(const T& value) {
    if constexpr (kIsPlain<T>) {
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    } else if constexpr (std::is_same_v<T, std::string>) {
      add_size(value.size());
      bytes_ += value;
    } else if constexpr (IsVector<T>::value) {
      add_size(value.size());
      for (const auto& one : value) add(one);
    } else {
      for_each_in(FieldList<T>::fields, [&](const auto& field) { add(field.get(value)); });
    }
  }
  void add_size(std::size_t size) { add(static_cast<std::uint32_t>(size)); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::span<const unsigned char> bytes) : bytes_(bytes) {}

  template <class T>
  void read(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = *take(1) != 0;  // Other bytes than 0 and 1 are no value of a bool.
    } else if constexpr (kIsPlain<T>) {
      std::memcpy(&value, take(sizeof(value)), sizeof(value));
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::size_t size = read_size();
      value.assign(reinterpret_cast<const char*>(take(size)), size);
    } else if constexpr (IsVector<T>::value) {
      value.resize(read_size());
      for (auto& one : value) read(one);
    } else {
      for_each_in(FieldList<T>::fields, [&](const auto& field) { read(field.get(value)); });
    }
  }
  /// Of a list or text, each element of which takes a byte at least.
  std::size_t read_size() {
    std::uint32_t size = 0;
    read(size);
    if (size > bytes_.size()) fail();
    return size;
  }
  void end() const {
    if (!bytes_.empty()) fail();
  }

 private:
  const unsigned char* take(std::size_t size) {
    if (size > bytes_.size()) fail();
    const unsigned char* start = bytes_.data();
    bytes_ = bytes_.subspan(size);
    return start;
  }
  [[noreturn]] static void fail() {
    throw Error(ErrorCode::kCorrupt,
                "the latency table holds a packed operator that was cut short or changed; run "
                "`mmt table rebuild`");
  }

  std::span<const unsigned char> bytes_;
};

}  // namespace

const std::string& packed_layout() {
  static const std::string kLayout = [] {
    std::string text;
    describe<OperatorRow>(text);
    describe<KernelRow>(text);
    return identity_hex(text);
  }();
  return kLayout;
}

std::string pack(const OperatorRow& row, const KernelRows& kernels) {
  Packer packer;
  packer.add(row);
  packer.add_size(kernels.size());
  for (const auto& kernel : kernels) packer.add(*kernel);
  return packer.take();
}

OperatorRow unpack(std::span<const unsigned char> bytes, KernelRows* kernels) {
  Unpacker unpacker(bytes);
  OperatorRow row;
  unpacker.read(row);
  if (kernels == nullptr) return row;
  for (std::size_t left = unpacker.read_size(); left > 0; --left) {
    auto kernel = std::make_shared<KernelRow>();
    unpacker.read(*kernel);
    kernels->push_back(std::move(kernel));
  }
  unpacker.end();
  return row;
}

}  // namespace mmt::table
