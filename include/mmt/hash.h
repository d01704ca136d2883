// Hashing for identities (fingerprints, signatures) and file integrity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mmt {

/// SHA-256 of `bytes`, as 64 lower-case hexadecimal digits (FIPS 180-4).
std::string sha256_hex(std::string_view bytes);

/// SHA-256 of a file's content. Throws Error(kIo) naming the path.
std::string sha256_file_hex(const std::string& path);

/// First 32 hexadecimal digits of SHA-256: the identity of operators and kernels (128 bits).
std::string identity_hex(std::string_view bytes);

}  // namespace mmt
