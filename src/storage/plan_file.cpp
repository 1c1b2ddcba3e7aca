#include "rvsweep/storage/plan_file.hpp"

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/plan_content.hpp"
#include "storage/static_tables.hpp"

namespace rvsweep {
namespace {

bool all_between(const std::vector<std::int32_t>& values, std::int64_t low, std::int64_t end) {
  for (std::int32_t value : values) {
    if (value < low || value >= end) return false;
  }
  return true;
}

void expect_sound(const std::vector<SweepFacts::Generation>& generations, std::int64_t n_pairs,
                  std::int64_t n_prompts) {
  for (const auto& generation : generations) {
    RVSWEEP_EXPECT(all_between(generation.pairs, 0, n_pairs) && generation.n_prompts <= n_prompts,
                   "an extended sweep holds the pairs and prompts of the smaller one");
  }
}

void expect_sound(const SweepFacts& facts, const Plan& plan) {
  const std::int64_t n_prompts = std::ssize(plan.prompts), n_pairs = std::ssize(plan.pairs);
  const auto is_place = [](std::int32_t value, std::int64_t end) {
    return value >= 0 && value < end;
  };
  RVSWEEP_EXPECT(plan.texts.size() == plan.prompts.size() &&
                     plan.prompt_ids.size() == plan.prompts.size() &&
                     plan.tokens.size() == plan.prompts.size(),
                 "the columns of /prompts have one length");
  for (const PromptPair& pair : plan.pairs) {
    RVSWEEP_EXPECT(is_place(pair.source.value, n_prompts) && is_place(pair.base.value, n_prompts),
                   "/pairs names existing prompts");
  }
  for (const PlannedRow& row : plan.rows) {
    RVSWEEP_EXPECT(
        is_place(row.pair.value, n_pairs) && is_place(row.arm.value, std::ssize(facts.arms.label)),
        "/rows names existing pairs and arms");
  }
  expect_sound(facts.generations, n_pairs, n_prompts);
}

void expect_sound(const StoredSweep& sweep) {
  const auto& [id, group, text] = sweep.prompts;
  const std::int64_t n_prompts = sweep.n_prompts(), n_pairs = std::ssize(sweep.pairs.source);
  RVSWEEP_EXPECT(text.size() == id.size() && group.size() == id.size() &&
                     sweep.prompt_bundle.size() == id.size(),
                 "the columns of /prompts have one length");
  const auto& pairs = sweep.pairs;
  RVSWEEP_EXPECT(pairs.source.size() == pairs.id.size() && pairs.base.size() == pairs.id.size() &&
                     all_between(pairs.source, 0, n_prompts) &&
                     all_between(pairs.base, 0, n_prompts),
                 "/pairs names existing prompts");
  const auto& rows = sweep.rows;
  const std::size_t n_rows = rows.row_id.size();
  RVSWEEP_EXPECT(rows.pair.size() == n_rows && rows.arm.size() == n_rows &&
                     rows.sample.size() == n_rows && rows.reason.size() == n_rows &&
                     sweep.row_bundle.size() == n_rows,
                 "the columns of /rows have one length");
  RVSWEEP_EXPECT(
      all_between(rows.pair, 0, n_pairs) && all_between(rows.arm, 0, std::ssize(sweep.arms.label)),
      "/rows names existing pairs and arms");
  expect_sound(sweep.generations, n_pairs, n_prompts);
}

}  // namespace

BundleOfItem bundle_of_item(const Plan& plan) {
  BundleOfItem items;
  items.n_bundles = static_cast<std::int32_t>(plan.bundles.size());
  items.row_bundle.assign(plan.rows.size(), no_bundle);
  items.prompt_bundle.assign(plan.prompts.size(), no_bundle);
  for (const PlannedBundle& bundle : plan.bundles) {
    for (const PlannedBundleRow& row : bundle.rows)
      items.row_bundle.at(place_of(row.row.value, plan.row_places)) = bundle.id.value;
    for (const PlannedContext& context : bundle.contexts)
      if (context.records_prompt)
        items.prompt_bundle.at(place_of(context.prompt.value, plan.prompt_places)) =
            bundle.id.value;
  }
  if (plan.row_places.empty()) return items;  // numbers are the places
  for (const PlannedRow& row : plan.rows) items.row_number.push_back(row.number.value);
  for (const PlannedPrompt& prompt : plan.prompts)
    items.prompt_number.push_back(prompt.number.value);
  return items;
}

void write_plan_file(const std::filesystem::path& sweep_folder, const SweepFacts& facts,
                     const Plan& plan) {
  expect_sound(facts, plan);
  const BundleOfItem items = bundle_of_item(plan);
  create_folder(segments_folder(sweep_folder));
  write_checked_file(plan_file(sweep_folder), FileKind::plan, [&](const h5::Handle& file) {
    write_sweep_facts(file, facts, items.n_bundles);
    write_static_tables(file, facts, plan);
    write_bundle_of_item(file, items, !facts.generations.empty());
  });
}

SweepFacts read_sweep_facts(const std::filesystem::path& sweep_folder) {
  return open_plan(sweep_folder).facts;
}

BundleOfItem read_bundle_of_item(const std::filesystem::path& sweep_folder) {
  return open_plan(sweep_folder).items;
}

StoredSweep read_plan_file(const std::filesystem::path& sweep_folder) {
  OpenPlan plan = open_plan(sweep_folder);
  StoredSweep sweep{std::move(plan.facts), std::move(plan.items), {}, {}, {}};
  try {
    read_items(plan.file, sweep);
    expect_sound(sweep);
  } catch (const OutputError&) {  // of the folder for temporary files
    throw;
  } catch (const std::exception& error) {
    throw not_of_this_version(plan_file(sweep_folder), error);
  }
  return sweep;
}

}  // namespace rvsweep
