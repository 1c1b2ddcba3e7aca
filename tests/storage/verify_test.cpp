#include "rvsweep/storage/verify.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/merge.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/h5_column.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    sample::write_plan(folder_.path(), sweep_);
    for (std::int32_t bundle = 0; bundle < 4; ++bundle) commit(sweep_, bundle);
    merge(folder_.path(), {});
  }

  void commit(const sample::Sweep& sweep, std::int32_t bundle) {
    write_segment(folder_.path(), sweep.fingerprint, sample::bundle_result(sweep, bundle));
  }
  fs::path segment(std::int32_t bundle) const {
    return segment_file(folder_.path(), BundleId{bundle});
  }
  static void flip(const fs::path& file, std::uintmax_t place) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(place));
    const int byte = stream.peek();
    stream.put(static_cast<char>(byte ^ 1));
  }
  /// Whether a line holds all parts.
  static bool has_line(const std::vector<std::string>& lines,
                       const std::vector<std::string>& parts) {
    for (const std::string& line : lines) {
      bool all = true;
      for (const std::string& part : parts) all = all && line.find(part) != std::string::npos;
      if (all) return true;
    }
    return false;
  }
  static std::string text_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }

  TemporaryFolder folder_;
  sample::Sweep sweep_ = sample::sweep();
};

TEST_F(VerifyTest, AFinishedSweepIsSound) {
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(report.sound()) << text_of(report.damage);
  EXPECT_TRUE(report.notes.empty()) << text_of(report.notes);
  EXPECT_EQ(report.files, 6);
  EXPECT_EQ(report.rows, 30);
  EXPECT_EQ(report.rows_present, 30);
  EXPECT_EQ(report.rows_missing, 0);
}

TEST_F(VerifyTest, RowsNotComputedYetAreNoDamage) {
  fs::remove(segment(1));
  fs::remove(segment(2));
  fs::remove(results_file(folder_.path()));
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(report.sound()) << text_of(report.damage);
  std::int64_t missing = 0;
  for (std::int32_t bundle : sweep_.row_bundle) missing += bundle == 1 || bundle == 2;
  EXPECT_EQ(report.rows_missing, missing);
  EXPECT_EQ(report.rows_present, 30 - missing);
  EXPECT_TRUE(has_line(report.notes, {"2 of 4 bundles", std::to_string(missing) + " rows"}))
      << text_of(report.notes);
  EXPECT_TRUE(has_line(report.notes, {"results.h5", "not there yet"}));
}

TEST_F(VerifyTest, NamesDamagedSegmentsAndTheirRows) {
  flip(segment(0), fs::file_size(segment(0)) / 2);
  fs::resize_file(segment(3), 900);
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(has_line(report.damage, {"bundle-000000.h5", "checksum"})) << text_of(report.damage);
  EXPECT_TRUE(has_line(report.damage, {"bundle-000003.h5", "checksum"})) << text_of(report.damage);
  EXPECT_FALSE(has_line(report.damage, {"bundle-000001.h5"})) << text_of(report.damage);
  std::int64_t missing = 0;
  for (std::int32_t bundle : sweep_.row_bundle) missing += bundle == 0 || bundle == 3;
  EXPECT_EQ(report.rows_missing, missing);
}

TEST_F(VerifyTest, FindsSegmentsOfAnotherSweepOrBundle) {
  sample::Sweep other = sweep_;
  other.fingerprint = 5;
  commit(other, 2);
  fs::copy_file(segment(1), segment(3), fs::copy_options::overwrite_existing);
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(has_line(report.damage, {"bundle-000002.h5", "another sweep", hex(5)}));
  EXPECT_TRUE(has_line(report.damage, {"bundle-000003.h5", "holds bundle 1"}));
}

TEST_F(VerifyTest, FindsRowsThatAreDoubledMissingOrNotPlanned) {
  BundleResult result = sample::bundle_result(sweep_, 1);
  result.rows.index[0] = result.rows.index[1];
  write_segment(folder_.path(), sweep_.fingerprint, result);
  sample::Sweep larger = sample::sweep(5);
  commit(larger, 4);  // a bundle beyond the plan
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(has_line(report.damage, {"bundle-000001.h5", "more than once"}));
  EXPECT_TRUE(has_line(report.damage, {"bundle-000004.h5", "no such bundle"}));
  EXPECT_EQ(report.damage.size(), 2u) << text_of(report.damage);
}

TEST_F(VerifyTest, FindsRowIdsThatOccurTwice) {
  sweep_.rows.row_id[7] = sweep_.rows.row_id[2];
  sample::write_plan(folder_.path(), sweep_);
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(has_line(report.damage, {"plan.h5", hex(sweep_.rows.row_id[2])}));
  EXPECT_TRUE(has_line(report.damage, {"results.h5", "does not hold the rows of plan.h5"}));
}

TEST_F(VerifyTest, ADamagedPlanDoesNotHideDamagedSegments) {
  flip(plan_file(folder_.path()), 2000);
  flip(segment(2), 2000);
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(has_line(report.damage, {"plan.h5", "checksum"}));
  EXPECT_TRUE(has_line(report.damage, {"bundle-000002.h5", "checksum"}));
  fs::remove(plan_file(folder_.path()));
  EXPECT_TRUE(has_line(verify(folder_.path()).damage, {"plan.h5", "is missing"}));
}

TEST_F(VerifyTest, ResultsOfAnotherSweepAreFound) {
  const TemporaryFolder other;
  sample::Sweep sweep = sample::sweep();
  sweep.fingerprint = 5;
  sample::write_plan(other.path(), sweep);
  merge(other.path(), {.partial = true});
  fs::copy_file(results_file(other.path()), results_file(folder_.path()),
                fs::copy_options::overwrite_existing);
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(has_line(report.damage, {"results.h5", "another sweep"})) << text_of(report.damage);
  EXPECT_TRUE(has_line(report.notes, {"results.h5", "26 rows pending"})) << text_of(report.notes);
}

TEST_F(VerifyTest, TakesSingleFiles) {
  const VerifyReport results = verify(results_file(folder_.path()));
  EXPECT_TRUE(results.sound());
  EXPECT_EQ(results.files, 1);
  EXPECT_EQ(results.rows, 30);
  EXPECT_EQ(results.rows_present, 30);
  EXPECT_TRUE(verify(segment(1)).sound());
  EXPECT_TRUE(verify(plan_file(folder_.path())).sound());
  flip(segment(1), fs::file_size(segment(1)) - 3);
  EXPECT_FALSE(verify(segment(1)).sound());
  fs::resize_file(results_file(folder_.path()), 100);
  EXPECT_FALSE(verify(results_file(folder_.path())).sound());
  std::ofstream(results_file(folder_.path())) << "overwritten";
  EXPECT_FALSE(verify(results_file(folder_.path())).sound());
}

TEST_F(VerifyTest, NamesTheDamagedDatasetOfResults) {
  const fs::path results = results_file(folder_.path());
  // Where the one chunk of the compressed dataset lies in the file.
  haddr_t place = 0;
  {
    const h5::Handle file = h5::open_file(results);
    const h5::Handle dataset = h5::open_dataset(file, "rows/step_pr");
    const h5::Handle space(H5Dget_space(dataset.id()), H5Sclose, "asking for the space");
    hsize_t offset[3], bytes = 0;
    unsigned filters = 0;
    ASSERT_GE(H5Dget_chunk_info(dataset.id(), space.id(), 0, offset, &filters, &place, &bytes), 0);
    ASSERT_GT(bytes, 100u);
    place += h5::user_block_bytes + bytes / 2;
  }
  flip(results, place);
  const VerifyReport report = verify(results);
  EXPECT_TRUE(has_line(report.damage, {"results.h5", "checksum"})) << text_of(report.damage);
  EXPECT_TRUE(has_line(report.damage, {"results.h5", "/rows/step_pr"})) << text_of(report.damage);
  EXPECT_EQ(report.damage.size(), 2u) << text_of(report.damage);
}

TEST_F(VerifyTest, SurvivesDamageThatHdf5DoesNot) {
  // HDF5 1.10 crashes or loops for ever on some of these files.
  const fs::path results = results_file(folder_.path());
  const auto size = fs::file_size(results);
  const fs::path sound = folder_.path() / "sound";
  fs::copy_file(results, sound);
  std::mt19937 random(3);
  for (int i = 0; i < 40; ++i) {
    fs::copy_file(sound, results, fs::copy_options::overwrite_existing);
    std::string noise(400, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    std::fstream stream(results, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(512 + random() % (size - 512 - noise.size())));
    stream << noise << std::flush;
    EXPECT_TRUE(has_line(verify(results).damage, {"results.h5", "checksum"})) << i;
  }
}

TEST_F(VerifyTest, FilesThatNothingUsesAreNoted) {
  std::ofstream(segments_folder(folder_.path()) / "bundle-000001.h5.damaged") << "x";
  const VerifyReport report = verify(folder_.path());
  EXPECT_TRUE(report.sound());
  EXPECT_TRUE(has_line(report.notes, {"bundle-000001.h5.damaged", "not used"}));
}

TEST_F(VerifyTest, WhatIsNoneOfItsFilesIsAnInputError) {
  EXPECT_THROW(verify(folder_.path() / "absent"), InputError);
  EXPECT_THROW(verify(segments_folder(folder_.path()) / ".." / ".."), InputError);
  std::ofstream(folder_.path() / "notes.txt") << "x";
  EXPECT_THROW(verify(folder_.path() / "notes.txt"), InputError);
}

}  // namespace
}  // namespace rvsweep
