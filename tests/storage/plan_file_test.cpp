#include "rvsweep/storage/plan_file.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/layout.hpp"
#include "storage/sample_sweep.hpp"

namespace rvsweep {
namespace {

void expect_equal(const std::vector<ColumnSpec>& read, const std::vector<ColumnSpec>& written) {
  ASSERT_EQ(read.size(), written.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].name, written[i].name);
    EXPECT_EQ(read[i].type, written[i].type);
    EXPECT_EQ(read[i].shape, written[i].shape);
    EXPECT_EQ(read[i].units, written[i].units);
    EXPECT_EQ(read[i].description, written[i].description);
    EXPECT_EQ(read[i].definition, written[i].definition);
  }
}

void expect_round_trip(const StaticSweep& written) {
  const sample::TemporaryFolder folder;
  write_plan_file(folder.path() / "new" / "sweep", written);
  const StaticSweep read = read_plan_file(folder.path() / "new" / "sweep");
  EXPECT_EQ(read.fingerprint, written.fingerprint);
  EXPECT_EQ(read.attributes, written.attributes);
  EXPECT_EQ(read.prompts.id, written.prompts.id);
  EXPECT_EQ(read.prompts.text, written.prompts.text);
  EXPECT_EQ(read.prompts.group, written.prompts.group);
  EXPECT_EQ(read.prompts.reason, written.prompts.reason);
  EXPECT_EQ(read.prompts.tokens, written.prompts.tokens);
  EXPECT_EQ(read.pairs.id, written.pairs.id);
  EXPECT_EQ(read.pairs.source, written.pairs.source);
  EXPECT_EQ(read.pairs.base, written.pairs.base);
  EXPECT_EQ(read.arms.label, written.arms.label);
  EXPECT_EQ(read.arms.kind, written.arms.kind);
  EXPECT_EQ(read.arms.spec, written.arms.spec);
  EXPECT_EQ(read.rows.row_id, written.rows.row_id);
  EXPECT_EQ(read.rows.pair, written.rows.pair);
  EXPECT_EQ(read.rows.arm, written.rows.arm);
  EXPECT_EQ(read.rows.sample, written.rows.sample);
  EXPECT_EQ(read.rows.status, written.rows.status);
  EXPECT_EQ(read.rows.reason, written.rows.reason);
  EXPECT_EQ(read.n_bundles, written.n_bundles);
  EXPECT_EQ(read.row_bundle, written.row_bundle);
  EXPECT_EQ(read.prompt_bundle, written.prompt_bundle);
  expect_equal(read.prompt_columns, written.prompt_columns);
  expect_equal(read.row_columns, written.row_columns);
  EXPECT_EQ(read.segment_fingerprint(), written.segment_fingerprint());
  EXPECT_EQ(read.row_number, written.row_number);
  EXPECT_EQ(read.prompt_number, written.prompt_number);
  ASSERT_EQ(read.generations.size(), written.generations.size());
  for (std::size_t i = 0; i < read.generations.size(); ++i) {
    EXPECT_EQ(read.generations[i].fingerprint, written.generations[i].fingerprint);
    EXPECT_EQ(read.generations[i].config, written.generations[i].config);
    EXPECT_EQ(read.generations[i].pairs, written.generations[i].pairs);
    EXPECT_EQ(read.generations[i].n_prompts, written.generations[i].n_prompts);
    EXPECT_EQ(read.generations[i].n_rows, written.generations[i].n_rows);
  }
}

TEST(PlanFile, KeepsEveryPartOfTheSweep) { expect_round_trip(sample::sweep()); }

TEST(PlanFile, KeepsWhatASweepHasGrownFrom) { expect_round_trip(sample::extended_sweep()); }

TEST(PlanFile, KeepsASweepWithoutPromptsOrRows) {
  StaticSweep empty;
  empty.row_columns = sample::sweep().row_columns;
  expect_round_trip(empty);
}

TEST(PlanFile, RefusesASweepThatContradictsItself) {
  const sample::TemporaryFolder folder;
  const auto expect_refused = [&](auto spoil) {
    StaticSweep sweep = sample::sweep();
    spoil(sweep);
    EXPECT_THROW(write_plan_file(folder.path(), sweep), ContractError);
  };
  expect_refused([](StaticSweep& s) { s.prompts.text.pop_back(); });
  expect_refused([](StaticSweep& s) { s.prompt_bundle.pop_back(); });
  expect_refused([](StaticSweep& s) { s.pairs.base[0] = 5; });
  expect_refused([](StaticSweep& s) { s.arms.spec.pop_back(); });
  expect_refused([](StaticSweep& s) { s.rows.reason.pop_back(); });
  expect_refused([](StaticSweep& s) { s.rows.arm[0] = -1; });
  expect_refused([](StaticSweep& s) { s.row_bundle[0] = s.n_bundles; });
  expect_refused([](StaticSweep& s) { s.attributes[0].second = "one"; });
  EXPECT_FALSE(std::filesystem::exists(plan_file(folder.path())));
}

TEST(PlanFile, MissingOrDamagedIsAnInputError) {
  const sample::TemporaryFolder folder;
  EXPECT_THROW(read_plan_file(folder.path()), InputError);
  write_plan_file(folder.path(), sample::sweep());
  std::filesystem::resize_file(plan_file(folder.path()), 2000);
  EXPECT_THROW(read_plan_file(folder.path()), InputError);
}

TEST(PlanFile, AnUnwritableFolderIsAnOutputError) {
  const sample::TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THROW(write_plan_file(folder.path() / "file" / "sweep", sample::sweep()), OutputError);
}

}  // namespace
}  // namespace rvsweep
