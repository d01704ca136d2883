// SHA-256 of one block: anywhere, and with the instructions that x86 processors have for it.
#pragma once

#include <cstdint>

namespace mmt {

extern const std::uint32_t kSha256Constants[64];

void process_block_plainly(std::uint32_t* state, const unsigned char* block);

/// Whether this processor has such instructions.
bool has_sha_instructions();

/// Takes one block of 64 bytes into `state` (8 words). `constants`: the 64 of FIPS 180-4. Only where there are
/// instructions.
void process_block_with_instructions(std::uint32_t* state, const unsigned char* block, const std::uint32_t* constants);

}  // namespace mmt
