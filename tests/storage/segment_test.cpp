#include "rvsweep/storage/segment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SegmentTest : public testing::Test {
 protected:
  SegmentTest() { create_folder(segments_folder(folder_.path())); }

  fs::path commit(std::int32_t bundle) {
    write_segment(folder_.path(), sweep_.fingerprint, sample::bundle_result(sweep_, bundle));
    return segment_file(folder_.path(), BundleId{bundle});
  }
  SoundSegment sound(const fs::path& segment) const {
    return std::get<SoundSegment>(check_segment(segment, sweep_.fingerprint));
  }
  ItemTable prompts(const fs::path& segment) const {
    return read_segment_table(segment, SegmentTable::prompts, sweep_.prompt_columns);
  }
  ItemTable rows(const fs::path& segment) const {
    return read_segment_table(segment, SegmentTable::rows, sweep_.row_columns);
  }
  std::vector<BundleId> committed() {
    return committed_bundles(folder_.path(), sweep_.fingerprint, damaged_);
  }

  TemporaryFolder folder_;
  sample::Sweep sweep_ = sample::sweep();
  std::vector<DamagedSegment> damaged_;
};

void expect_same_table(const ItemTable& read, const ItemTable& written) {
  EXPECT_EQ(read.index, written.index);
  ASSERT_EQ(read.columns.size(), written.columns.size());
  for (std::size_t i = 0; i < read.columns.size(); ++i) {
    EXPECT_EQ(read.columns[i].spec.name, written.columns[i].spec.name);
    std::visit(
        [&](const auto& values) {
          using Values = std::decay_t<decltype(values)>;
          const auto& expected = std::get<Values>(written.columns[i].values);
          ASSERT_EQ(values.size(), expected.size());
          if constexpr (!std::is_arithmetic_v<typename Values::value_type>) {
            EXPECT_EQ(values, expected);
          } else if (!values.empty()) {  // bit for bit, NaN included
            EXPECT_EQ(
                std::memcmp(values.data(), expected.data(), values.size() * sizeof(expected[0])), 0)
                << read.columns[i].spec.name;
          }
        },
        read.columns[i].values);
  }
}

TEST_F(SegmentTest, KeepsABundleBitForBit) {
  for (std::int32_t bundle = 0; bundle < sweep_.n_bundles; ++bundle) {
    const BundleResult written = sample::bundle_result(sweep_, bundle);
    const fs::path segment = commit(bundle);
    expect_same_table(prompts(segment), written.prompts);
    expect_same_table(rows(segment), written.rows);
    const SoundSegment summary = sound(segment);
    EXPECT_EQ(summary.bundle, written.bundle);
    EXPECT_EQ(summary.prompts, written.prompts.index);
    EXPECT_EQ(summary.rows, written.rows.index);
    EXPECT_EQ(summary.run.rank, written.run.rank);
    EXPECT_EQ(summary.run.host, written.run.host);
    EXPECT_EQ(summary.run.started, written.run.started);
    EXPECT_EQ(summary.run.seconds, written.run.seconds);
  }
  EXPECT_EQ(committed().size(), 4u);
  EXPECT_TRUE(damaged_.empty());
  EXPECT_EQ(list_folder(segments_folder(folder_.path())).size(), 4u);
}

TEST_F(SegmentTest, KeepsABundleWithoutPromptsOrRows) {
  const BundleResult written{BundleId{7},
                             sample::table_of(sweep_.prompt_columns, {}, 0),
                             sample::table_of(sweep_.row_columns, {}, 0),
                             {0, "", "", 0}};
  write_segment(folder_.path(), sweep_.fingerprint, written);
  const fs::path segment = segment_file(folder_.path(), BundleId{7});
  expect_same_table(prompts(segment), written.prompts);
  expect_same_table(rows(segment), written.rows);
}

TEST_F(SegmentTest, FindsEveryKindOfDamage) {
  for (std::int32_t bundle = 0; bundle < 4; ++bundle) commit(bundle);
  const auto file = [&](std::int32_t bundle) {
    return segment_file(folder_.path(), BundleId{bundle});
  };
  fs::resize_file(file(0), fs::file_size(file(0)) - 1);
  {
    std::fstream stream(file(1), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(fs::file_size(file(1)) / 2));
    const int byte = stream.peek();
    stream.put(static_cast<char>(byte ^ 4));
  }
  fs::remove(file(2));
  fs::copy_file(file(3), file(9));
  write_segment(folder_.path(), 1, sample::bundle_result(sweep_, 2));  // another sweep's
  std::ofstream(segments_folder(folder_.path()) / "notes.txt") << "not a segment";

  EXPECT_EQ(committed(), std::vector<BundleId>{BundleId{3}});
  ASSERT_EQ(damaged_.size(), 4u);
  EXPECT_EQ(damaged_[0].bundle, BundleId{0});
  EXPECT_THAT(damaged_[0].reason, HasSubstr("checksum"));
  EXPECT_EQ(damaged_[1].bundle, BundleId{1});
  EXPECT_THAT(damaged_[1].reason, HasSubstr("checksum"));
  EXPECT_EQ(damaged_[2].bundle, BundleId{2});
  EXPECT_THAT(damaged_[2].reason, HasSubstr("another sweep"));
  EXPECT_EQ(damaged_[3].bundle, BundleId{9});
  EXPECT_THAT(damaged_[3].reason, HasSubstr("holds bundle 3"));
}

TEST_F(SegmentTest, DamagedSegmentsAreSetAsideAndComputedAgain) {
  for (int round = 0; round < 2; ++round) {
    fs::resize_file(commit(1), 700);
    EXPECT_TRUE(committed().empty());
    const auto aside = set_damaged_segments_aside(damaged_);
    ASSERT_EQ(aside.size(), 1u);
    EXPECT_EQ(aside[0].filename(),
              round == 0 ? "bundle-000001.h5.damaged" : "bundle-000001.h5.damaged-2");
    EXPECT_EQ(fs::file_size(aside[0]), 700u);
    EXPECT_TRUE(committed().empty());
    EXPECT_TRUE(damaged_.empty());
  }
  commit(1);
  EXPECT_EQ(committed(), std::vector<BundleId>{BundleId{1}});
}

TEST_F(SegmentTest, AColumnOfAnotherTypeOrShapeIsAnInputError) {
  const fs::path segment = commit(0);
  const auto read = [&](const std::vector<ColumnSpec>& columns) {
    read_segment_table(segment, SegmentTable::prompts, columns);
  };
  std::vector<ColumnSpec> reshaped = sweep_.prompt_columns, retyped = reshaped;
  reshaped[0].shape = {sample::window, sample::n_layers};
  retyped[0].type = ColumnType::float64;
  EXPECT_THROW(read(reshaped), InputError);
  EXPECT_THROW(read(retyped), InputError);
  EXPECT_NO_THROW(read(sweep_.prompt_columns));
}

TEST_F(SegmentTest, AColumnThatAnExtensionBroughtHoldsFillValues) {
  const fs::path segment = commit(0);
  std::vector<ColumnSpec> more = sweep_.row_columns;
  more.push_back({"group/new", ColumnType::int32, {2}, "1", "not there", ""});
  const ItemTable table = read_segment_table(segment, SegmentTable::rows, more);
  const auto rows = table.index.size();
  ASSERT_GT(rows, 0u);
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(table.columns.back().values),
            std::vector<std::int32_t>(2 * rows, -1));
  EXPECT_EQ(table.columns.size(), more.size());
}

TEST_F(SegmentTest, ACopyForARetryLeavesTheSegmentInPlace) {
  const fs::path segment = commit(1);
  const auto before = read_file(segment);
  for (const char* name : {"bundle-000001.h5.retried", "bundle-000001.h5.retried-2"}) {
    const fs::path copy = keep_copy_for_retry(segment);
    EXPECT_EQ(copy.filename(), name);
    EXPECT_EQ(read_file(copy), before);
    EXPECT_EQ(committed(), std::vector<BundleId>{BundleId{1}});
  }
  // The new segment takes the old one's place and leaves the copies alone.
  BundleResult again = sample::bundle_result(sweep_, 1);
  again.run.host = "another machine with a longer name";
  write_segment(folder_.path(), sweep_.fingerprint, again);
  EXPECT_EQ(sound(segment).run.host, again.run.host);
  EXPECT_EQ(read_file(segment.string() + ".retried"), before);
  EXPECT_EQ(read_file(segment.string() + ".retried-2"), before);
}

TEST_F(SegmentTest, AColumnThatLacksAValueIsNeverCommitted) {
  BundleResult result = sample::bundle_result(sweep_, 0);
  std::get<std::vector<std::string>>(result.rows.columns[1].values).pop_back();
  EXPECT_THROW(write_segment(folder_.path(), sweep_.fingerprint, result), ContractError);
  EXPECT_TRUE(list_folder(segments_folder(folder_.path())).empty());
}

TEST_F(SegmentTest, AnUnwritableFolderIsAnOutputError) {
  std::ofstream(folder_.path() / "file") << "x";
  EXPECT_THROW(write_segment(folder_.path() / "file", 1, sample::bundle_result(sweep_, 0)),
               OutputError);
  EXPECT_THROW(write_segment(folder_.path() / "absent", 1, sample::bundle_result(sweep_, 0)),
               OutputError);
}

TEST_F(SegmentTest, AFolderWithoutSegmentsHasNoneCommitted) {
  fs::remove_all(segments_folder(folder_.path()));
  EXPECT_TRUE(committed().empty());
  EXPECT_TRUE(damaged_.empty());
}

}  // namespace
}  // namespace rvsweep
