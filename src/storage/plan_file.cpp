#include "rvsweep/storage/plan_file.hpp"

#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/plan_checks.hpp"
#include "storage/plan_layout.hpp"

namespace rvsweep {

Prompt StoredSweep::prompt(std::size_t place) const {
  return {std::string(prompts.id[place]),    prompts.text[place],
          std::string(prompts.group[place]), text_of(prompts.opening, place),
          std::string(cluster(place)),       text_of(prompts.spans, place)};
}

PromptPair StoredSweep::pair(std::size_t place) const {
  const auto texts = [&](const TextStore& lists) {
    return lists.size() == 0 ? Answer() : parse_answer(std::string(lists[place]), "plan.h5");
  };
  return {std::string(pairs.id[place]),
          PromptIndex(pairs.source[place]),
          PromptIndex(pairs.base[place]),
          {texts(pairs.answer_source), texts(pairs.answer_base)},
          texts(pairs.arms)};
}

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
  if (plan.row_places.empty()) return items;
  for (const PlannedRow& row : plan.rows) items.row_number.push_back(row.number.value);
  for (const PlannedPrompt& prompt : plan.prompts)
    items.prompt_number.push_back(prompt.number.value);
  return items;
}

void write_plan_file(const std::filesystem::path& sweep_folder, const SweepFacts& facts,
                     const Plan& plan) {
  expect_sound(facts);
  expect_sound(facts, plan);
  const BundleOfItem items = bundle_of_item(plan);
  expect_sound(items, !facts.generations.empty());
  create_folder(segments_folder(sweep_folder));
  write_checked_file(plan_file(sweep_folder), FileKind::plan,
                     [&](const h5::Handle& file) { write_plan(file, facts, plan, items); });
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
  read_items(plan_file(sweep_folder), plan.file, sweep);
  return sweep;
}

}  // namespace rvsweep
