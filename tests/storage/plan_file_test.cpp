#include "rvsweep/storage/plan_file.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/h5_column.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

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

void expect_equal(const SweepFacts& read, const SweepFacts& written) {
  EXPECT_EQ(read.fingerprint, written.fingerprint);
  EXPECT_EQ(read.attributes, written.attributes);
  EXPECT_EQ(read.arms.label, written.arms.label);
  EXPECT_EQ(read.arms.kind, written.arms.kind);
  EXPECT_EQ(read.arms.spec, written.arms.spec);
  expect_equal(read.prompt_columns, written.prompt_columns);
  expect_equal(read.row_columns, written.row_columns);
  EXPECT_EQ(read.segment_fingerprint(), written.segment_fingerprint());
  ASSERT_EQ(read.generations.size(), written.generations.size());
  for (std::size_t i = 0; i < read.generations.size(); ++i) {
    EXPECT_EQ(read.generations[i].fingerprint, written.generations[i].fingerprint);
    EXPECT_EQ(read.generations[i].config, written.generations[i].config);
    EXPECT_EQ(read.generations[i].pairs, written.generations[i].pairs);
    EXPECT_EQ(read.generations[i].n_prompts, written.generations[i].n_prompts);
    EXPECT_EQ(read.generations[i].n_rows, written.generations[i].n_rows);
    EXPECT_EQ(read.generations[i].arms, written.generations[i].arms);
  }
}

void expect_equal(const BundleOfItem& read, const BundleOfItem& written) {
  EXPECT_EQ(read.n_bundles, written.n_bundles);
  EXPECT_EQ(read.row_bundle, written.row_bundle);
  EXPECT_EQ(read.prompt_bundle, written.prompt_bundle);
  EXPECT_EQ(read.row_number, written.row_number);
  EXPECT_EQ(read.prompt_number, written.prompt_number);
}

template <class Store>
std::vector<std::string> all_of(const Store& store) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < store.size(); ++i) texts.emplace_back(store[i]);
  return texts;
}

void expect_round_trip(const sample::Sweep& written) {
  const TemporaryFolder parent;
  const auto folder = parent.path() / "new" / "sweep";
  sample::write_plan(folder, written);
  expect_equal(read_sweep_facts(folder), written);
  expect_equal(read_bundle_of_item(folder), written);
  const StoredSweep read = read_plan_file(folder);
  expect_equal(static_cast<const SweepFacts&>(read), written);
  expect_equal(static_cast<const BundleOfItem&>(read), written);
  EXPECT_EQ(all_of(read.prompts.id), written.prompts.id);
  EXPECT_EQ(all_of(read.prompts.text), written.prompts.text);
  EXPECT_EQ(all_of(read.prompts.group), written.prompts.group);
  for (std::size_t p = 0; p < written.prompts.cluster.size(); ++p)
    EXPECT_EQ(read.cluster(p), written.prompts.cluster[p]);
  EXPECT_EQ(all_of(read.pairs.id), written.pairs.id);
  EXPECT_EQ(read.pairs.source, written.pairs.source);
  EXPECT_EQ(read.pairs.base, written.pairs.base);
  for (std::size_t n = 0; n < written.pairs.answers.size(); ++n)
    EXPECT_EQ(read.pair(n).answers, written.pairs.answers[n]);
  for (std::size_t n = 0; n < written.pairs.arms.size(); ++n)
    EXPECT_EQ(read.pair(n).arms, written.pairs.arms[n]);
  EXPECT_EQ(read.rows.row_id, written.rows.row_id);
  EXPECT_EQ(read.rows.pair, written.rows.pair);
  EXPECT_EQ(read.rows.arm, written.rows.arm);
  EXPECT_EQ(read.rows.sample, written.rows.sample);
  EXPECT_EQ(all_of(read.rows.reason), written.rows.reason);
  // What nobody reads back, but merge copies.
  const h5::Handle file = h5::open_file(plan_file(folder));
  const auto column = [&](const char* group, const char* name, ColumnType type) {
    return h5::read_column(h5::open_group(file, group), {name, type, {}, "", "", ""});
  };
  EXPECT_EQ(column("prompts", "reason", ColumnType::utf8), ColumnValues(written.prompts.reason));
  EXPECT_EQ(column("rows", "status", ColumnType::status), ColumnValues(written.rows.status));
  const ColumnSpec tokens{"prompts/tokens", ColumnType::int32_list, {}, "", "", ""};
  EXPECT_EQ(h5::read_values<std::vector<std::int32_t>>(file, tokens), written.prompts.tokens);
}

TEST(PlanFile, KeepsEveryPartOfTheSweep) { expect_round_trip(sample::sweep()); }

TEST(PlanFile, HasNoClustersWhereNoPromptHasOne) {
  sample::Sweep sweep = sample::sweep();
  sweep.prompts.cluster.assign(sweep.prompts.id.size(), "");
  const TemporaryFolder folder;
  sample::write_plan(folder.path(), sweep);
  EXPECT_EQ(read_plan_file(folder.path()).prompts.cluster.size(), 0u);
  EXPECT_EQ(read_plan_file(folder.path()).cluster(1), "");
}

TEST(PlanFile, HasNoListsOfArmsWhereNoPairHasOne) {
  sample::Sweep sweep = sample::sweep();
  sweep.pairs.arms.assign(sweep.pairs.id.size(), {});
  const TemporaryFolder folder;
  sample::write_plan(folder.path(), sweep);
  EXPECT_EQ(read_plan_file(folder.path()).pairs.arms.size(), 0u);
  EXPECT_TRUE(read_plan_file(folder.path()).pair(1).arms.empty());
}

TEST(PlanFile, HasNoAnswersWhereNoPairHasOne) {
  sample::Sweep sweep = sample::sweep();
  sweep.pairs.answers.assign(sweep.pairs.id.size(), {});
  const TemporaryFolder folder;
  sample::write_plan(folder.path(), sweep);
  EXPECT_EQ(read_plan_file(folder.path()).pairs.answer_base.size(), 0u);
  EXPECT_EQ(read_plan_file(folder.path()).pair(1).answers, PairAnswers());
  const h5::Handle file = h5::open_file(plan_file(folder.path()));
  EXPECT_FALSE(h5::has_dataset(h5::open_group(file, "pairs"), "answer_source"));
}

TEST(PlanFile, KeepsWhatASweepHasGrownFrom) { expect_round_trip(sample::extended_sweep()); }

TEST(PlanFile, KeepsASweepWithoutPromptsOrRows) {
  sample::Sweep empty;
  empty.row_columns = sample::sweep().row_columns;
  expect_round_trip(empty);
}

TEST(PlanFile, RefusesASweepThatContradictsItself) {
  const TemporaryFolder folder;
  const auto expect_refused = [&](auto spoil) {
    sample::Sweep facts = sample::sweep();
    Plan plan = sample::plan_of(facts);
    spoil(facts, plan);
    EXPECT_THROW(write_plan_file(folder.path(), facts, plan), ContractError);
  };
  using Facts = SweepFacts;
  expect_refused([](Facts&, Plan& p) { p.texts = {}; });
  expect_refused([](Facts&, Plan& p) { p.prompts.pop_back(); });
  expect_refused([](Facts&, Plan& p) { p.pairs[0].base = PromptIndex(5); });
  expect_refused([](Facts& s, Plan&) { s.arms.spec.pop_back(); });
  expect_refused([](Facts&, Plan& p) { p.rows[0].arm = ArmIndex(-1); });
  expect_refused([](Facts&, Plan& p) { p.bundles[0].id = BundleId(4); });
  expect_refused([](Facts& s, Plan&) { s.generations.emplace_back(); });
  expect_refused([](Facts& s, Plan&) { s.attributes[0].second = "one"; });
  EXPECT_FALSE(std::filesystem::exists(plan_file(folder.path())));
}

TEST(PlanFile, MissingOrDamagedIsAnInputError) {
  const TemporaryFolder folder;
  EXPECT_THROW(read_plan_file(folder.path()), InputError);
  sample::write_plan(folder.path(), sample::sweep());
  std::filesystem::resize_file(plan_file(folder.path()), 2000);
  EXPECT_THROW(read_plan_file(folder.path()), InputError);
}

TEST(PlanFile, AnUnwritableFolderIsAnOutputError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THROW(sample::write_plan(folder.path() / "file" / "sweep", sample::sweep()), OutputError);
}

}  // namespace
}  // namespace rvsweep
