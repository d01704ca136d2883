#include "mmt/hash.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/sha256.h"
#include "base/sha256_x86.h"
#include "base/temp_folder.h"
#include "mmt/error.h"

namespace mmt {
namespace {

// Vectors of FIPS 180-4's examples.
TEST(Hash, StandardVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, PaddingAtEveryLengthAroundTheBlock) {
  // The digest must not depend on how the bytes were cut into updates.
  std::mt19937 random(7);
  for (int length = 0; length < 200; ++length) {
    const std::string bytes(static_cast<std::size_t>(length), static_cast<char>('a' + length % 26));
    Sha256 pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 70, bytes.size() - at);
      pieces.update(bytes.data() + at, size);
      at += size;
    }
    EXPECT_EQ(pieces.finish_hex(), sha256_hex(bytes)) << length;
  }
}

TEST(Hash, FileEqualsItsContent) {
  const testing::TempFolder folder;
  const std::string content(200'000, 'x');
  folder.write("data.bin", content);
  EXPECT_EQ(sha256_file_hex(folder / "data.bin"), sha256_hex(content));
}

TEST(Hash, MissingFileAndFolderAreErrorsThatNameThePath) {
  const testing::TempFolder folder;
  for (const std::string& path : {folder / "absent.mnn", folder.path()}) {
    try {
      sha256_file_hex(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
    }
  }
}

TEST(Hash, IdentityIsTheFirstHalf) { EXPECT_EQ(identity_hex("abc"), "ba7816bf8f01cfea414140de5dae2223"); }

}  // namespace
TEST(Sha256, GivesTheSameWithTheProcessorsInstructions) {
  if (!has_sha_instructions()) GTEST_SKIP() << "this processor has no instructions for SHA-256";
  std::uint32_t plain[8] = {1, 2, 3, 4, 5, 6, 7, 0xffffffff}, quick[8] = {1, 2, 3, 4, 5, 6, 7, 0xffffffff};
  unsigned char block[64];
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 64; ++i) block[i] = static_cast<unsigned char>(plain[i % 8] >> (i % 4 * 8));
    process_block_plainly(plain, block);
    process_block_with_instructions(quick, block, kSha256Constants);
    for (int i = 0; i < 8; ++i) ASSERT_EQ(plain[i], quick[i]);
  }
}

}  // namespace mmt
