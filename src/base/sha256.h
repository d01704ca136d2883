// Incremental SHA-256 (FIPS 180-4), for content that is read in pieces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mmt {

class Sha256 {
 public:
  void update(const void* data, std::size_t size);
  /// The digest in lower-case hexadecimal. The object is spent afterwards.
  std::string finish_hex();

 private:
  void process_block(const unsigned char* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> buffer_{};
  std::size_t buffered_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace mmt
