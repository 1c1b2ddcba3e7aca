#include "rvsweep/storage/merge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/file_dump.hpp"
#include "storage/h5_column.hpp"
#include "storage/sample_sweep.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

void commit(const fs::path& folder, const sample::Sweep& sweep,
            const std::vector<std::int32_t>& bundles) {
  sample::write_plan(folder, sweep);
  for (std::int32_t bundle : bundles) {
    write_segment(folder, sweep.segment_fingerprint(), sample::bundle_result(sweep, bundle));
  }
}

std::vector<std::int64_t> all_items(std::int64_t count) {
  std::vector<std::int64_t> items(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = static_cast<std::int64_t>(i);
  return items;
}

/// The value of one item of a column, as bytes.
std::string item_bytes(const ColumnSpec& spec, const ColumnValues& values, std::size_t item) {
  const auto size = static_cast<std::size_t>(item_size(spec));
  return std::visit(
      [&](const auto& held) {
        using Value = typename std::decay_t<decltype(held)>::value_type;
        std::string bytes;
        for (std::size_t k = item * size; k < (item + 1) * size; ++k) {
          if constexpr (std::is_arithmetic_v<Value>) {
            bytes.append(reinterpret_cast<const char*>(&held[k]), sizeof(Value));
          } else {  // a text or a list
            bytes.append(reinterpret_cast<const char*>(held[k].data()),
                         held[k].size() * sizeof(typename Value::value_type));
            bytes += '\0';
          }
        }
        return bytes;
      },
      values);
}

/// Compares a table of results.h5, item by item, with what its bundles were made of.
void expect_table(const fs::path& results, const std::string& group, const sample::Sweep& sweep,
                  const std::vector<ColumnSpec>& columns,
                  const std::vector<std::int32_t>& item_bundle,
                  const std::vector<std::int32_t>& merged) {
  const h5::Handle file = h5::open_file(results);
  const auto items = static_cast<std::int64_t>(item_bundle.size());
  for (const ColumnSpec& spec : columns) {
    const ColumnValues read = h5::read_column(h5::open_group(file, group), spec);
    const ColumnValues computed = sample::values_of(spec, all_items(items));
    const ColumnValues fill = fill_values(spec, items);
    ASSERT_TRUE(h5::fits(spec, items, read));
    for (std::size_t item = 0; item < item_bundle.size(); ++item) {
      std::string expected = item_bytes(spec, fill, item);
      if (std::count(merged.begin(), merged.end(), item_bundle[item]) > 0) {
        expected = item_bytes(spec, computed, item);
      } else if (group == "rows" && item_bundle[item] == no_bundle && spec.name == "status") {
        expected = item_bytes(spec, sweep.rows.status, item);
      } else if (group == "rows" && item_bundle[item] == no_bundle && spec.name == "reason") {
        expected = item_bytes(spec, sweep.rows.reason, item);
      }
      EXPECT_EQ(item_bytes(spec, read, item), expected) << group << "/" << spec.name << " " << item;
    }
  }
}

void expect_results(const fs::path& results, const sample::Sweep& sweep,
                    const std::vector<std::int32_t>& merged) {
  expect_table(results, "prompts", sweep, sweep.prompt_columns, sweep.prompt_bundle, merged);
  expect_table(results, "rows", sweep, sweep.row_columns, sweep.row_bundle, merged);
}

TEST(Merge, LaysOutScatteredBundlesInPlanOrder) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {2, 0, 3, 1});
  const MergeReport report = merge(folder.path(), {});
  EXPECT_EQ(report.results, results_file(folder.path()));
  EXPECT_EQ(report.bundles_merged, 4);
  EXPECT_EQ(report.bundles_missing, 0);
  // 30 rows; 3, 10, 17, 24 are refused by plan, and of the rest every fifth from 4 on failed.
  EXPECT_EQ(report.rows_refused, 4);
  EXPECT_EQ(report.rows_failed, 5);
  EXPECT_EQ(report.rows_ok, 21);
  EXPECT_EQ(report.rows_pending, 0);
  expect_results(report.results, sweep, {0, 1, 2, 3});
  EXPECT_EQ(verify_checked_file(report.results, FileKind::results), std::nullopt);
  EXPECT_EQ(list_folder(folder.path()),
            (std::vector<fs::path>{plan_file(folder.path()), results_file(folder.path()),
                                   segments_folder(folder.path())}));
}

TEST(Merge, PutsTheItemsOfAnExtendedSweepInPlanOrderByTheirNumbers) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::extended_sweep();
  commit(folder.path(), sweep, {0, 1, 2, 3});
  MergeOptions in_pieces;
  in_pieces.memory_bytes = 1;
  for (const MergeOptions& options : {MergeOptions(), in_pieces}) {
    const fs::path results = merge(folder.path(), options).results;
    expect_table(results, "prompts", sweep, sweep.prompt_columns, sweep.prompt_bundle,
                 {0, 1, 2, 3});
    expect_table(results, "rows", sweep, sweep.row_columns, sweep.row_bundle, {0, 1, 2, 3});
    const h5::Handle file = h5::open_file(results);
    EXPECT_EQ(h5::read_uint_attribute(file, "sweep_fingerprint"), sweep.fingerprint);
    EXPECT_EQ(h5::read_text_attribute(file, "generations"),
              R"([{"fingerprint":"1111222233334444","rows":10,"pairs":2}])");
  }
}

TEST(Merge, HoldsTheStaticTablesAndAttributes) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {0, 1, 2, 3});
  merge(folder.path(), {});
  const h5::Handle file = h5::open_file(results_file(folder.path()));
  EXPECT_EQ(h5::read_int_attribute(file, "schema_version"), 1);
  EXPECT_EQ(h5::read_text_attribute(file, "config"), "[model]\npath = modèle\n");
  EXPECT_EQ(h5::read_text_attribute(file, "note"), "");
  EXPECT_EQ(h5::read_uint_attribute(file, "sweep_fingerprint"), sweep.fingerprint);
  const auto column = [&](const char* group, const char* name, ColumnType type) {
    return h5::read_column(h5::open_group(file, group), {name, type, {}, "", "", ""});
  };
  EXPECT_EQ(column("prompts", "text", ColumnType::utf8), ColumnValues(sweep.prompts.text));
  EXPECT_EQ(column("prompts", "n_tokens", ColumnType::int32),
            ColumnValues(std::vector<std::int32_t>{3, 0, 2, 1, 5}));
  EXPECT_EQ(column("prompts", "tokens", ColumnType::int32_list),
            ColumnValues(sweep.prompts.tokens));
  EXPECT_EQ(column("pairs", "source", ColumnType::int32), ColumnValues(sweep.pairs.source));
  EXPECT_EQ(column("pairs", "base", ColumnType::int32), ColumnValues(sweep.pairs.base));
  EXPECT_EQ(column("pairs", "answer_source", ColumnType::utf8),
            ColumnValues(std::vector<std::string>{"[\" Köln\"]", "", ""}));
  EXPECT_EQ(column("pairs", "arms", ColumnType::utf8),
            ColumnValues(std::vector<std::string>{"[\"v\"]", "", "[\"base\",\"v\"]"}));
  EXPECT_EQ(column("arms", "spec", ColumnType::utf8), ColumnValues(sweep.arms.spec));
  EXPECT_EQ(column("rows", "row_id", ColumnType::uint64), ColumnValues(sweep.rows.row_id));
  EXPECT_EQ(column("rows", "pair", ColumnType::int32), ColumnValues(sweep.rows.pair));
  EXPECT_EQ(column("rows", "arm", ColumnType::int32), ColumnValues(sweep.rows.arm));
  EXPECT_EQ(column("rows", "sample", ColumnType::int32), ColumnValues(sweep.rows.sample));
}

TEST(Merge, FactsOfTheRunStayUnderRun) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {0, 1, 2, 3});
  merge(folder.path(), {false, {{"ranks", "2"}, {"command", "rvsweep run"}}});
  const h5::Handle file = h5::open_file(results_file(folder.path()));
  const h5::Handle run = h5::open_group(file, "run");
  EXPECT_EQ(h5::read_text_attribute(run, "ranks"), "2");
  EXPECT_EQ(h5::read_text_attribute(run, "command"), "rvsweep run");
  EXPECT_EQ(h5::read_text_attribute(run, "merged").size(), 20u);
  const auto column = [&](const char* name, ColumnType type) {
    return h5::read_column(run, {name, type, {}, "", "", ""});
  };
  EXPECT_EQ(column("bundle", ColumnType::int32),
            ColumnValues(std::vector<std::int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(column("rank", ColumnType::int32), ColumnValues(std::vector<std::int32_t>{0, 1, 0, 1}));
  EXPECT_EQ(column("host", ColumnType::utf8),
            ColumnValues(std::vector<std::string>{"node0", "node1", "node0", "node1"}));
  EXPECT_EQ(column("seconds", ColumnType::float64),
            ColumnValues(std::vector<double>{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(column("row_bundle", ColumnType::int32), ColumnValues(sweep.row_bundle));
}

TEST(Merge, DoesNotDependOnOrderRanksOrMemory) {
  const sample::Sweep sweep = sample::sweep();
  std::vector<std::int32_t> order{0, 1, 2, 3};
  const TemporaryFolder first;
  commit(first.path(), sweep, order);
  merge(first.path(), {});
  const auto expected = sample::dump_of(results_file(first.path()));
  EXPECT_GT(expected.size(), 80u);
  EXPECT_TRUE(expected.contains("rows/step_pr@units"));
  std::mt19937 random(7);
  for (std::int64_t memory_bytes : {1, 5000, 40000}) {
    std::shuffle(order.begin(), order.end(), random);
    const TemporaryFolder other;
    sample::write_plan(other.path(), sweep);
    for (std::int32_t bundle : order) {
      BundleResult result = sample::bundle_result(sweep, bundle);
      result.run = {17, "another-machine-with-a-long-name", "2031-01-01T00:00:00Z", 1e6};
      write_segment(other.path(), sweep.fingerprint, result);
    }
    merge(other.path(), {false, {{"more", "facts"}}, {}, memory_bytes});
    EXPECT_TRUE(sample::dump_of(results_file(other.path())) == expected) << memory_bytes;
  }
}

TEST(Merge, DifferingRunFactsMoveNothingElseInTheFile) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {0, 1, 2, 3});
  const auto bytes_with = [&](const char* fact) {
    merge(folder.path(), {false, {{"fact", fact}}});
    return read_file(results_file(folder.path())).value();
  };
  const std::string one = bytes_with("A"), two = bytes_with("B");
  ASSERT_EQ(one.size(), two.size());
  std::size_t different = 0;
  for (std::size_t i = 512; i < one.size(); ++i) different += one[i] != two[i];
  EXPECT_GE(different, 1u);
  EXPECT_LE(different, 12u);  // the fact itself and the digits of the merge's time
}

TEST(Merge, APartialOneMarksWhatIsPending) {
  const sample::Sweep sweep = sample::sweep();
  for (const std::vector<std::int32_t>& computed :
       {std::vector<std::int32_t>{}, {1}, {0, 3}, {3, 1, 2}}) {
    const TemporaryFolder folder;
    commit(folder.path(), sweep, computed);
    const MergeReport report = merge(folder.path(), {.partial = true});
    EXPECT_EQ(report.bundles_merged, static_cast<std::int32_t>(computed.size()));
    EXPECT_EQ(report.bundles_missing, 4 - static_cast<std::int32_t>(computed.size()));
    std::int64_t pending = 0;
    for (std::int32_t bundle : sweep.row_bundle) {
      pending += bundle != no_bundle && std::count(computed.begin(), computed.end(), bundle) == 0;
    }
    EXPECT_EQ(report.rows_pending, pending);
    EXPECT_EQ(report.rows_refused, 4);
    expect_results(report.results, sweep, computed);
  }
}

TEST(Merge, IntoAFileElsewhereWritesNothingInTheFolder) {
  const sample::Sweep sweep = sample::sweep();
  const TemporaryFolder folder, elsewhere;
  commit(folder.path(), sweep, {0, 3});
  const auto state = [&] {
    std::map<fs::path, fs::file_time_type> times{{"", fs::last_write_time(folder.path())}};
    for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
      times[entry.path()] = entry.last_write_time();
    return times;
  };
  const auto before = state();
  const fs::path into = elsewhere.path() / "partial.h5";
  EXPECT_EQ(merge(folder.path(), {.partial = true, .into = into}).results, into);
  EXPECT_EQ(state(), before);
  expect_results(into, sweep, {0, 3});
}

TEST(Merge, AFullOneAfterAPartialOneIsTheSameAsAtOnce) {
  const sample::Sweep sweep = sample::sweep();
  const TemporaryFolder at_once, resumed;
  commit(at_once.path(), sweep, {0, 1, 2, 3});
  merge(at_once.path(), {});
  commit(resumed.path(), sweep, {2});
  merge(resumed.path(), {.partial = true});
  commit(resumed.path(), sweep, {3, 1, 0});
  merge(resumed.path(), {});
  EXPECT_TRUE(sample::dump_of(results_file(resumed.path())) ==
              sample::dump_of(results_file(at_once.path())));
}

std::string merge_error(const fs::path& folder) {
  return refusal_message([&] { merge(folder, {}); });
}

TEST(Merge, AFullOneSaysHowManyBundlesAreMissing) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {1, 2});
  const std::string message = merge_error(folder.path());
  EXPECT_THAT(message, HasSubstr("2 of 4 bundles"));
  EXPECT_FALSE(fs::exists(results_file(folder.path())));
}

TEST(Merge, ADamagedSegmentIsNamedAndNeverMerged) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {0, 1, 2, 3});
  const fs::path segment = segment_file(folder.path(), BundleId{2});
  fs::resize_file(segment, fs::file_size(segment) - 8);
  const std::string message = merge_error(folder.path());
  EXPECT_THAT(message, HasSubstr("1 of 4 bundles"));
  EXPECT_THAT(message, HasSubstr("bundle-000002.h5"));
  const MergeReport report = merge(folder.path(), {.partial = true});
  ASSERT_EQ(report.damaged.size(), 1u);
  EXPECT_EQ(report.damaged[0].bundle, BundleId{2});
  expect_results(report.results, sweep, {0, 1, 3});
}

TEST(Merge, ASegmentWithOtherItemsThanPlannedIsDamaged) {
  const sample::Sweep sweep = sample::sweep();
  const auto expect_named = [&](std::vector<std::int64_t> index, const std::string& finding) {
    const TemporaryFolder folder;
    commit(folder.path(), sweep, {0, 2, 3});
    BundleResult result = sample::bundle_result(sweep, 1);
    result.rows.index = index;
    for (Column& column : result.rows.columns) {
      column.values = sample::values_of(column.spec, index);
    }
    write_segment(folder.path(), sweep.fingerprint, result);
    const std::string message = merge_error(folder.path());
    EXPECT_THAT(message, HasSubstr(finding));
  };
  const std::vector<std::int64_t> planned =
      sample::table_of(sweep.row_columns, sweep.row_bundle, 1).index;
  auto index = planned;
  index.back() = 3;  // refused by plan
  expect_named(index, "row 3, which the plan does not give to it");
  index.back() = index.front();
  expect_named(index, "more than once");
  index.pop_back();
  expect_named(index, "it lacks row");
  index.push_back(1000);
  expect_named(index, "row 1000, which the plan does not give to it");
}

TEST(Merge, AFolderWithoutAPlanIsAnInputError) {
  const TemporaryFolder folder;
  EXPECT_THAT(merge_error(folder.path()), HasSubstr("plan.h5"));
}

TEST(Merge, ColumnsInSubgroupsAndEmptySweepsWork) {
  const TemporaryFolder folder;
  sample::Sweep empty;
  empty.prompt_columns = sample::sweep().prompt_columns;
  empty.row_columns = sample::sweep().row_columns;
  sample::write_plan(folder.path(), empty);
  const MergeReport report = merge(folder.path(), {});
  const auto dump = sample::dump_of(report.results);
  EXPECT_TRUE(dump.contains("prompts/metrics/pr"));
  EXPECT_TRUE(dump.contains("rows/step_pr"));
}

TEST(Merge, AnInterruptedOneLeavesTheOlderResults) {
  const TemporaryFolder folder;
  const sample::Sweep sweep = sample::sweep();
  commit(folder.path(), sweep, {0});
  merge(folder.path(), {.partial = true});
  const auto before = sample::dump_of(results_file(folder.path()));
  commit(folder.path(), sweep, {1, 2, 3});
  // "merged" is a name that the merge gives itself, so the fact collides at the very end.
  EXPECT_THROW(merge(folder.path(), {false, {{"merged", "twice"}}}), OutputError);
  EXPECT_TRUE(sample::dump_of(results_file(folder.path())) == before);
  EXPECT_EQ(list_folder(folder.path()).size(), 3u);
}

}  // namespace
}  // namespace rvsweep
