#include "storage/checked_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/storage/files.hpp"
#include "storage/h5_column.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const ColumnSpec noise_column = {"noise", ColumnType::float64, {64}, "1", "random numbers", ""};

std::vector<double> noise(std::size_t items) {
  std::mt19937_64 random(items);
  std::vector<double> values(items * 64);
  for (double& value : values) value = std::generate_canonical<double, 53>(random);
  return values;
}

void fill(const h5::Handle& file, std::size_t items, h5::Chunking chunking) {
  h5::write_column(file, noise_column, noise(items), chunking);
  h5::write_column(file, {"text", ColumnType::utf8, {}, "1", "text", ""},
                   std::vector<std::string>(items, "some text"), chunking);
}

void write(const fs::path& file, std::size_t items,
           h5::Chunking chunking = h5::Chunking::compressed) {
  write_checked_file(file, FileKind::segment,
                     [&](const h5::Handle& h5) { fill(h5, items, chunking); });
}

std::string bytes_of(const fs::path& file) { return read_file(file).value(); }

void put_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(CheckedFile, FirstLineHoldsKindAndDigestOfTheRest) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  write(file, 3);
  const std::string bytes = bytes_of(file);
  ASSERT_GT(bytes.size(), 512u);
  const std::string line = "rvsweep segment xxh3 " + hex(xxh3(bytes.substr(512))) + "\n";
  EXPECT_EQ(bytes.substr(0, 512), line + std::string(512 - line.size(), '\0'));
  EXPECT_EQ(kind_of_file(file), FileKind::segment);
  EXPECT_EQ(verify_checked_file(file, FileKind::segment), std::nullopt);
  EXPECT_TRUE(unreadable_datasets(file).empty());
  EXPECT_EQ(list_folder(folder.path()).size(), 1u);
}

TEST(CheckedFile, IsRefusedAsAnotherKind) {
  const TemporaryFolder folder;
  write(folder.path() / "x.h5", 3);
  EXPECT_NE(verify_checked_file(folder.path() / "x.h5", FileKind::results), std::nullopt);
  EXPECT_THROW(open_checked_file(folder.path() / "x.h5", FileKind::plan), InputError);
  EXPECT_EQ(kind_of_file("/proc/self/cmdline"), std::nullopt);
  EXPECT_NE(verify_checked_file(folder.path() / "absent.h5", FileKind::plan), std::nullopt);
}

TEST(CheckedFile, AnyFlippedBitIsFound) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  write(file, 20);
  const std::string sound = bytes_of(file);
  std::mt19937 random(1);
  std::vector<std::size_t> places{0, 8, 25, 40, 511, 512, 520, sound.size() - 1};
  for (int i = 0; i < 50; ++i) places.push_back(random() % sound.size());
  for (std::size_t place : places) {
    std::string damaged = sound;
    damaged[place] = static_cast<char>(damaged[place] ^ (1 << (place % 8)));
    put_bytes(file, damaged);
    EXPECT_NE(verify_checked_file(file, FileKind::segment), std::nullopt) << "byte " << place;
  }
  put_bytes(file, sound);
  EXPECT_EQ(verify_checked_file(file, FileKind::segment), std::nullopt);
}

TEST(CheckedFile, AnyTruncationIsFound) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  write(file, 20);
  const std::string sound = bytes_of(file);
  for (std::size_t size :
       {std::size_t{0}, std::size_t{10}, std::size_t{512}, sound.size() / 2, sound.size() - 1}) {
    put_bytes(file, sound.substr(0, size));
    EXPECT_NE(verify_checked_file(file, FileKind::segment), std::nullopt) << size << " bytes left";
  }
  put_bytes(file, sound + '\0');
  EXPECT_NE(verify_checked_file(file, FileKind::segment), std::nullopt) << "one byte more";
}

TEST(CheckedFile, DamageInACompressedDatasetIsNamed) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  write(file, 2000);
  std::string bytes = bytes_of(file);
  bytes[bytes.size() / 2] ^= 1;  // random numbers make up nearly all of the file
  put_bytes(file, bytes);
  const std::vector<std::string> unreadable = unreadable_datasets(file);
  ASSERT_EQ(unreadable.size(), 1u);
  EXPECT_THAT(unreadable[0], HasSubstr("/noise"));
}

TEST(CheckedFile, AFailureLeavesTheOlderFileAndNoTemporary) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  write(file, 3);
  const std::string before = bytes_of(file);
  EXPECT_THROW(write_checked_file(file, FileKind::segment,
                                  [](const h5::Handle& h5) {
                                    fill(h5, 5, h5::Chunking::none);
                                    throw std::runtime_error("stopped");
                                  }),
               std::runtime_error);
  EXPECT_EQ(bytes_of(file), before);
  EXPECT_EQ(list_folder(folder.path()).size(), 1u);
}

TEST(CheckedFile, WhatTheDiskDidNotKeepIsFoundBeforeTheFileAppears) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  const auto write_badly = [&] {
    write_checked_file(file, FileKind::segment, [&](const h5::Handle& h5) {
      fill(h5, 2000, h5::Chunking::compressed);
      ASSERT_GE(H5Fflush(h5.id(), H5F_SCOPE_GLOBAL), 0);
      // Behind HDF5's back, as a disk that loses a write: nothing that HDF5 returns tells of it.
      const fs::path temporary = list_folder(folder.path()).at(0);
      const std::string zeros(64, '\0');
      Descriptor(temporary, O_WRONLY).write_at(fs::file_size(temporary) / 2, zeros);
    });
  };
  EXPECT_THAT(write_badly, ThrowsMessage<OutputError>(HasSubstr("/noise cannot be read")));
  EXPECT_TRUE(list_folder(folder.path()).empty());
}

TEST(CheckedFile, AnUnwritableFolderIsNamed) {
  const TemporaryFolder folder;
  put_bytes(folder.path() / "file", "x");
  EXPECT_THAT([&] { write(folder.path() / "file" / "x.h5", 3); },
              ThrowsMessage<OutputError>(AllOf(HasSubstr("x.h5"), HasSubstr("Not a directory"))));
}

/// Runs `work` in a child process, which then exits in the usual way, and returns its exit status.
template <class Work>
int status_of_child(Work work) {
  std::fflush(nullptr);  // or the child prints it again
  const pid_t child = fork();
  if (child == 0) std::exit(work());
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(CheckedFile, AWriterKilledHalfwayLeavesOnlyATemporary) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.h5";
  const int status = status_of_child([&] {
    write_checked_file(file, FileKind::segment, [](const h5::Handle& h5) {
      fill(h5, 50, h5::Chunking::none);
      raise(SIGKILL);
    });
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(file));
  ASSERT_EQ(list_folder(folder.path()).size(), 1u);
  EXPECT_EQ(remove_leftover_temporaries(folder.path()).size(), 1u);
  EXPECT_TRUE(list_folder(folder.path()).empty());
}

/// HDF5 crashes here over files and datasets that it failed to close.
bool open_objects_are_usable() {
  const unsigned types = H5F_OBJ_FILE | H5F_OBJ_DATASET;
  const ssize_t count = H5Fget_obj_count(H5F_OBJ_ALL, types);
  std::vector<hid_t> ids(static_cast<std::size_t>(count));
  if (count > 0 && H5Fget_obj_ids(H5F_OBJ_ALL, types, ids.size(), ids.data()) != count)
    return false;
  for (hid_t id : ids) {
    unsigned intent = 0;
    if (H5Iget_type(id) == H5I_FILE && H5Fget_intent(id, &intent) < 0) return false;
    if (H5Iget_type(id) == H5I_DATASET && H5Dget_space(id) < 0) return false;
  }
  return true;
}

/// What a child that may write files of at most `limit` bytes makes of writing `file`.
/// 0 = OutputError that names the file, and nothing left behind; other numbers are failures.
int write_on_a_full_disk(const fs::path& file, std::size_t items, h5::Chunking chunking,
                         rlim_t limit) {
  const int status = status_of_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit bound{limit, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &bound);
    try {
      write(file, items, chunking);
      return 1;
    } catch (const OutputError& error) {
      if (std::string(error.what()).find(file.filename().string()) == std::string::npos) return 2;
      if (!list_folder(file.parent_path()).empty()) return 3;
      // The process goes on: with space again, the next file is written.
      bound.rlim_cur = RLIM_INFINITY;
      setrlimit(RLIMIT_FSIZE, &bound);
      write(file, items, chunking);
      if (verify_checked_file(file, FileKind::segment)) return 4;
      fs::remove(file);
      return open_objects_are_usable() ? 0 : 6;
    } catch (...) {
      return 5;
    }
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

TEST(CheckedFile, AFullDiskIsAnOutputErrorWhereverItStrikes) {
  for (h5::Chunking chunking : {h5::Chunking::none, h5::Chunking::compressed}) {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "x.h5";
    write(file, 100, chunking);
    const auto size = static_cast<rlim_t>(fs::file_size(file));
    fs::remove(file);
    for (rlim_t limit : {rlim_t{1}, rlim_t{600}, rlim_t{3000}, size / 4, size / 2, size - 4096,
                         size - 512, size - 100, size - 1}) {
      EXPECT_EQ(write_on_a_full_disk(file, 100, chunking, limit), 0)
          << limit << " of " << size << " bytes";
    }
  }
}

}  // namespace
}  // namespace rvsweep
