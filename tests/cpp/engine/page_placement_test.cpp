#include "engine/page_placement.h"

#include <gtest/gtest.h>

#ifdef __linux__
#include <fcntl.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace mmt {
namespace {

constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20;

std::uintptr_t address(const void* at) { return reinterpret_cast<std::uintptr_t>(at); }

TEST(PagePlacement, KeepsContents) {
  std::mt19937 random(1);
  PagePlacement placement;
  std::vector<std::vector<std::uint8_t>> pieces, copies;
  // Pieces of the heap and of their own, begun and ended within pages.
  for (const std::size_t bytes : {100, 5000, 40'000, 70'000, 300'000, 1'000'000, 2'500'000, 6'000'000, 123'457}) {
    std::vector<std::uint8_t>& piece = pieces.emplace_back(bytes);
    for (std::uint8_t& byte : piece) byte = static_cast<std::uint8_t>(random());
    copies.push_back(piece);
  }
  for (const int pass : {0, 1}) {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::uintptr_t begin = address(pieces[i].data()) + 17 * static_cast<unsigned>(pass);
      placement.gather(begin, address(pieces[i].data()) + pieces[i].size());
    }
    EXPECT_EQ(pieces, copies);
    for (std::size_t i = 0; i < pieces.size(); ++i) {  // Can be written, and belongs to nobody else.
      for (std::uint8_t& byte : pieces[i]) byte = static_cast<std::uint8_t>(random());
      copies[i] = pieces[i];
    }
    EXPECT_EQ(pieces, copies);
  }
  pieces.erase(pieces.begin() + 2, pieces.begin() + 7);  // Can be freed, and what took its place be used.
  for (int i = 0; i < 100; ++i) pieces.emplace_back(50'000, static_cast<std::uint8_t>(i));
  EXPECT_EQ(pieces[0], copies[0]);
  EXPECT_EQ(pieces.back(), std::vector<std::uint8_t>(50'000, 99));
}

TEST(PagePlacement, TakesNoMoreThanAHugePageAhead) {
  PagePlacement placement;
  EXPECT_EQ(placement.spare_bytes(), 0);
  std::vector<std::uint8_t> piece(3'000'000, 1), small(20'000, 1);
  placement.gather(address(small.data()), address(small.data()) + small.size());
  EXPECT_EQ(placement.spare_bytes(), 0);  // Too few pages to lie badly.
  for (int i = 0; i < 5; ++i) {
    placement.gather(address(piece.data()), address(piece.data()) + piece.size());
    EXPECT_LT(placement.spare_bytes(), kHugePage);
  }
}

TEST(PagePlacement, PreparesOneHugePageAndGivesItAway) {
  PagePlacement placement;
  std::vector<std::uint8_t> piece(1'500'000, 3);
  for (int i = 0; i < 4; ++i) {
    placement.prepare();
    placement.prepare();
    const std::size_t before = placement.spare_bytes();
    EXPECT_LE(before, kHugePage + kHugePage / 2);
    placement.gather(address(piece.data()), address(piece.data()) + piece.size());
    EXPECT_EQ(piece, std::vector<std::uint8_t>(1'500'000, 3));
    if (before >= kHugePage) {
      EXPECT_LT(placement.spare_bytes(), before);
    }
  }
  placement.prepare();  // Ends with one that nobody took.
}

#ifdef __linux__
/// Where a page lies; 0 where that is not told (it takes CAP_SYS_ADMIN).
std::uint64_t frame(const std::uint8_t* page) {
  std::uint64_t entry = 0;
  const int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const auto place = static_cast<off_t>(address(page) / kPage * sizeof entry);
  if (pread(file, &entry, sizeof entry, place) != sizeof entry) entry = 0;
  close(file);
  return entry & ((std::uint64_t{1} << 55) - 1);
}

TEST(PagePlacement, PagesFollowEachOther) {
  std::string enabled;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), enabled);
  if (enabled.empty() || enabled.find("[never]") != std::string::npos) GTEST_SKIP() << "no transparent huge pages";
  std::vector<std::uint8_t> piece(6'000'000, 1);
  const std::uint8_t* first = piece.data() + (kPage - address(piece.data()) % kPage);
  if (frame(first) == 0) GTEST_SKIP() << "the system does not tell where pages lie";
  PagePlacement placement;
  placement.gather(address(piece.data()), address(piece.data()) + piece.size());
  const std::size_t pages = (piece.size() - kPage) / kPage;
  std::size_t follow = 0;
  for (std::size_t i = 1; i < pages; ++i) follow += frame(first + i * kPage) == frame(first + (i - 1) * kPage) + 1;
  // Of four huge pages. The system may have had to take others for one of them.
  EXPECT_GE(follow, pages / 2);
}
#endif

}  // namespace
}  // namespace mmt
