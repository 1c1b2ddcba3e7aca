#include "rvsweep/storage/status_file.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

TEST(StatusFile, HoldsTheLatestText) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_status(folder.path()), std::nullopt);
  const std::string large(200000, 'x');
  for (const std::string& text : {std::string("{\"rows\": 1}\n"), large, std::string()}) {
    write_status(folder.path(), text);
    EXPECT_EQ(read_status(folder.path()), text);
  }
  EXPECT_EQ(list_folder(folder.path()), std::vector{status_file(folder.path())});
}

TEST(StatusFile, AReaderKeepsTheTextThatItOpened) {
  const TemporaryFolder folder;
  write_status(folder.path(), "old text");
  std::ifstream reader(status_file(folder.path()));
  write_status(folder.path(), "new");
  std::string text;
  std::getline(reader, text);
  EXPECT_EQ(text, "old text");
}

TEST(StatusFile, AnUnwritableFolderIsAnOutputError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THROW(write_status(folder.path() / "file", "{}"), OutputError);
  EXPECT_THROW(write_status(folder.path() / "absent", "{}"), OutputError);
}

}  // namespace
}  // namespace rvsweep
