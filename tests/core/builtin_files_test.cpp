#include "rvsweep/core/builtin_files.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

TEST(BuiltinFiles, AreThoseOfTheShippedFolderByteForByte) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SHIPPED_FILES)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(builtin_file(name), content(entry.path())) << name;
    EXPECT_GT(builtin_file(name).size(), 500u) << name;
    ++files;
  }
  EXPECT_EQ(files, 3);
}

TEST(BuiltinFiles, AnUnknownNameIsADefect) {
  EXPECT_THROW(builtin_file("none.txt"), ContractError);
}

TEST(BuiltinOrFile, TakesTheShippedFileOrTheUsers) {
  const TemporaryFolder folder;
  const std::string bytes("a\r\n\0b", 5);
  EXPECT_EQ(builtin_or_file("builtin", "filler.txt", "key"), builtin_file("filler.txt"));
  EXPECT_EQ(builtin_or_file(folder.write("mine", bytes).string(), "filler.txt", "key"), bytes);
  EXPECT_EQ(builtin_or_file(folder.write("empty", "").string(), "filler.txt", "key"), "");
}

TEST(BuiltinOrFile, RefusesWhatCannotBeRead) {
  const TemporaryFolder folder;
  for (const auto& path : {folder.path() / "none", folder.path()})
    EXPECT_TRUE(
        says(refusal_message([&] { builtin_or_file(path.string(), "filler.txt", "a.key"); }),
             {path.string(), "cannot be read", "a.key must be builtin or name a file"}));
}

}  // namespace
}  // namespace rvsweep
