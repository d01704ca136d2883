#include "mmt/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/temp_folder.h"
#include "mmt/error.h"

namespace mmt {
namespace {

template <typename Call>
ErrorCode code_of(Call call, const std::string& path) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown for " << path;
  return ErrorCode::kInterrupted;
}

TEST(File, ReadsWhatWasWritten) {
  const testing::TempFolder folder;
  const std::string path = folder / "a.json";
  for (const std::string& bytes :
       {std::string(), std::string("{}\n"), std::string("\0\n\xff", 3), std::string(70'000, 'q')}) {
    write_file_atomic(path, bytes);
    EXPECT_EQ(read_file(path), bytes);
    EXPECT_EQ(file_size(path), static_cast<std::int64_t>(bytes.size()));
  }
  // No temporary file is left beside it.
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++entries;
  EXPECT_EQ(entries, 1);
}

TEST(File, ReplacingKeepsPermissions) {
  const testing::TempFolder folder;
  const std::string path = folder / "a";
  write_file_atomic(path, "1");
  ::chmod(path.c_str(), 0640);
  write_file_atomic(path, "2");
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0640u);
}

TEST(File, ErrorsNameThePathAndTheKind) {
  const testing::TempFolder folder;
  const std::string absent = folder / "no/such/file";
  EXPECT_EQ(code_of([&] { read_file(absent); }, absent), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { file_size(absent); }, absent), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { read_file(folder.path()); }, folder.path()), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { write_file_atomic(absent, "x"); }, absent), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { AppendFile file(absent); }, absent), ErrorCode::kIo);
  folder.write("plain", "x");
  EXPECT_EQ(code_of([&] { make_folders(folder / "plain/sub"); }, folder / "plain/sub"), ErrorCode::kIo);
  EXPECT_EQ(read_small_file(absent), "");
  EXPECT_EQ(read_small_file(folder.path()), "");
  EXPECT_FALSE(file_exists(absent));
}

TEST(File, WriteOntoAFolderFailsAndLeavesNothing) {
  const testing::TempFolder folder;
  make_folders(folder / "target/inner");
  EXPECT_THROW(write_file_atomic(folder / "target", "x"), Error);
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++entries;
  EXPECT_EQ(entries, 1);
}

TEST(File, FilesWithoutASizeAreReadWhole) {
  if (!file_exists("/proc/self/status")) GTEST_SKIP() << "no /proc on this system";
  EXPECT_NE(read_file("/proc/self/status").find("VmRSS"), std::string::npos);
}

TEST(File, SmallFileStopsAtItsLimitAndTrims) {
  const testing::TempFolder folder;
  folder.write("a", "12345678 \n\n");
  EXPECT_EQ(read_small_file(folder / "a"), "12345678");
  EXPECT_EQ(read_small_file(folder / "a", 3), "123");
}

TEST(AppendFile, GrowsIsCutAndGoesOn) {
  const testing::TempFolder folder;
  const std::string path = folder / "journal";
  {
    AppendFile file(path);
    file.append("one\n");
    file.append("two\ntor");
    file.sync();
    EXPECT_EQ(file.size(), 11);
  }
  AppendFile file(path);
  file.truncate(static_cast<std::int64_t>(whole_lines_size(read_file(path))));
  file.append("three\n");
  EXPECT_EQ(read_file(path), "one\ntwo\nthree\n");
  EXPECT_THROW(file.truncate(100), Error);
  EXPECT_THROW(file.truncate(-1), Error);
}

TEST(AppendFile, SecondWriterIsRefused) {
  const testing::TempFolder folder;
  const std::string path = folder / "journal";
  {
    AppendFile first(path);
    EXPECT_EQ(code_of([&] { AppendFile second(path); }, path), ErrorCode::kIo);
  }
  AppendFile third(path);
  EXPECT_EQ(third.path(), path);
}

TEST(WholeLines, EndAtTheLastNewline) {
  EXPECT_EQ(whole_lines_size(""), 0u);
  EXPECT_EQ(whole_lines_size("torn"), 0u);
  EXPECT_EQ(whole_lines_size("a\n"), 2u);
  EXPECT_EQ(whole_lines_size("a\nb\nto"), 4u);
}

}  // namespace
}  // namespace mmt
