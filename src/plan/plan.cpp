#include "rvsweep/plan/plan.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>

#include "plan/arm_forms.hpp"
#include "plan/arms_of_pairs.hpp"
#include "plan/control.hpp"
#include "plan/donors.hpp"
#include "plan/extend.hpp"
#include "plan/numbered_texts.hpp"
#include "plan/packer.hpp"
#include "plan/plan_prompts.hpp"
#include "plan/refusal.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/directions.hpp"
#include "rvsweep/plan/memory_budget.hpp"
#include "rvsweep/plan/readout_layers.hpp"

namespace rvsweep {
namespace {

void plan_rows(Plan& plan, const SweepConfig& config, const ModelConfig& model,
               const Donors& donors) {
  plan.rows.reserve(plan.pairs.size() * plan.arms.size() *
                    static_cast<std::size_t>(config.generation.samples));
  NumberedTexts refusals(plan.refusals);
  std::vector<std::string> specs;
  for (const Arm& arm : plan.arms) specs.push_back(arm.canonical());
  const ArmsOfPairs asked(plan, config.prompts_file.string());
  for (std::int32_t pair = 0; pair < std::ssize(plan.pairs); ++pair) {
    for (std::int32_t a = 0; a < std::ssize(plan.arms); ++a) {
      const Arm& arm = plan.arms[a];
      if (!asked.is_asked(a, plan.pairs[pair])) continue;
      const Roles roles = donors.roles(arm, PairIndex(pair));
      const std::int32_t refused =
          refusals.number_of(refusal_of(arm, roles, config.generation, model));
      for (std::int32_t sample = 0; sample < config.generation.samples; ++sample) {
        const RowId id(xxh3_fields({plan.pairs[pair].id, specs[a], std::to_string(sample)}));
        plan.rows.push_back(
            {id, PairIndex(pair), ArmIndex(a), sample, refused, RowIndex(std::ssize(plan.rows))});
      }
    }
  }
}

/// Of the directions in which an arm averages over donors.
MeanPrompts mean_prompts(const Plan& plan, const ModelConfig& model) {
  MeanPrompts prompts;
  for (const Direction direction : {Direction::source_to_base, Direction::base_to_source}) {
    if (std::ranges::none_of(plan.arms, [&](const Arm& arm) {
          return arm.direction == direction && arm.takes_from(DonorPrompt::donor_side);
        }))
      continue;
    std::set<std::int32_t> seen;
    for (const PromptPair& pair : plan.pairs) {
      const PromptIndex prompt = donor_side(pair, direction);
      const std::int64_t n = plan.prompts[prompt.value].n_tokens;
      if (n > 0 && n <= model.max_positions && seen.insert(prompt.value).second)
        prompts[static_cast<std::size_t>(direction)].push_back(plan.tokens[prompt.value]);
    }
  }
  return prompts;
}

std::vector<std::vector<std::int32_t>> natural_prompts_of(const Plan& plan,
                                                          const ModelConfig& model) {
  std::map<std::uint64_t, std::size_t> by_hash;
  for (std::size_t place = 0; place < plan.prompts.size(); ++place)
    if (const std::int64_t n = plan.prompts[place].n_tokens; n > 0 && n <= model.max_positions)
      by_hash.try_emplace(plan.prompts[place].text_hash, place);
  std::vector<std::vector<std::int32_t>> tokens;
  for (const auto& [hash, place] : by_hash) {
    if (std::ssize(tokens) == most_natural_prompts) break;
    tokens.push_back(plan.tokens[place]);
  }
  return tokens;
}

/// Bundles that fit a GPU. A number of rows that was asked for and does not is refused, with the
/// largest that does.
void pack_for_gpu(Plan& plan, const PlanInput& input, const Donors& donors) {
  const auto& [config, model, prompts, text, device, dtype, texts, before, device_memory] = input;
  const BundleLimit limit{
      bundle_needs(model, config, plan.arms, plan.tokens_after_window, device, dtype),
      weight_memory(model, device, dtype), device_memory};
  if (const MemoryBudget empty{limit.weights, {}}; empty.gpu() > device_memory)
    throw InputError(
        "run.device_memory",
        fmt::format("the weights take {:.1f} GB and CUDA about {:.1f} GB, but a GPU "
                    "has {:.1f} GB",
                    limit.weights / 1e9, empty.gpu_overhead() / 1e9, device_memory / 1e9),
        dtype == "float32" ? "use bfloat16 or a larger GPU" : "use a larger GPU");
  const auto pack = [&](std::int64_t rows) {
    plan.bundle_rows = rows;
    plan.bundles = input.before ? input.before->bundles : std::vector<PlannedBundle>();
    return !pack_bundles(plan, input.config, input.model, donors, input.before, &limit);
  };
  if (pack(plan.bundle_rows) || !config.bundle_rows) return;
  std::int64_t rows = *config.bundle_rows;
  do --rows;
  while (rows >= least_bundle_rows && (canonical_rows(rows) != rows || !pack(rows)));
  throw InputError(
      fmt::format("sweep.bundle_rows = {}", *config.bundle_rows),
      fmt::format("so many rows do not fit a GPU of {:.1f} GB", device_memory / 1e9),
      rows < least_bundle_rows ? "leave it to auto" : fmt::format("set {}, or auto", rows));
}

std::int64_t layer_of(const ConfigValue& value, const char* key, std::int64_t n_layers) {
  try {
    return parse_layer(value.text, n_layers);
  } catch (const InputError& error) {
    throw InputError(value.where, std::string(key) + ": " + error.what());
  }
}

}  // namespace

Prompt Plan::prompt(std::size_t place) const {
  return {std::string(prompt_ids[place]),
          texts[place],
          groups[static_cast<std::size_t>(prompts[place].group)],
          text_of(openings, place),
          cluster(prompts[place]),
          text_of(spans, place)};
}

std::int64_t Plan::n_refused() const {
  return std::count_if(rows.begin(), rows.end(), [](const auto& r) { return r.refusal != 0; });
}

bool Plan::has_answers() const {
  return std::ranges::any_of(pairs,
                             [](const PromptPair& pair) { return pair.answers != PairAnswers(); });
}

std::vector<Arm> all_arms(const SweepConfig& config, const ModelConfig& model) {
  auto arms = parse_arms(config.arms, model, config.window);
  const auto controls = control_arms(config.controls, arms, model, config.seed);
  arms.insert(arms.end(), controls.begin(), controls.end());
  std::set<std::string> labels;
  for (const Arm& arm : arms)
    if (!labels.insert(arm.label).second)
      throw InputError("sweep.arm", "\"" + arm.label + "\" is the label of an arm and of a control",
                       "give the arm another label=");
  return arms;
}

Plan make_plan(const PlanInput& input) {
  const auto& [config, model, prompts, text, device, dtype, texts, before, device_memory] = input;
  Plan plan;
  plan.early_layer = layer_of(config.early_layer, "model.early_layer", model.n_layers);
  plan.late_layer = layer_of(config.late_layer, "model.late_layer", model.n_layers);
  plan.arms = all_arms(config, model);
  const bool reads_texts = !word_lists(plan.arms).empty() || !names_of_spans(plan.arms).empty();
  plan_prompts(input, texts == Texts::kept || reads_texts, plan);
  if (std::ranges::any_of(plan.arms,
                          [](const Arm& arm) { return arm.takes_from(DonorPrompt::filler); })) {
    if (text.filler.empty())
      throw InputError("prompts.filler", "is an empty file", "name a text, or leave it to builtin");
    plan.filler = text.filler;
    plan.filler_tokens = text.encode(text.filler);
  }
  plan.bundle_rows = config.bundle_rows.value_or(automatic_bundle_rows(model, device, dtype));
  for (const PlannedPrompt& p : plan.prompts)
    plan.tokens_after_window =
        std::max<std::int64_t>(plan.tokens_after_window, p.tokens_after_window);
  plan.mean_prompts = mean_prompts(plan, model);
  plan.direction_fits = direction_fits(plan, model, config.seed);
  if (!state_distance_layers(config.readouts, model.n_layers).empty())
    plan.natural_prompts = natural_prompts_of(plan, model);
  const Donors donors(plan, config.seed, text);
  plan_rows(plan, config, model, donors);
  if (before != nullptr) keep_numbers_and_bundles(*before, plan);
  if (device_memory == 0)
    pack_bundles(plan, config, model, donors, before);
  else
    pack_for_gpu(plan, input, donors);
  return plan;
}

Bundle complete_bundle(const Plan& plan, BundleId id) {
  const PlannedBundle& planned = plan.bundles.at(static_cast<std::size_t>(id.value));
  Bundle bundle{planned.id, planned.shape, {}, planned.derived, {}, planned.cost};
  for (const PlannedContext& c : planned.contexts) {
    BundleContext context{c.prompt, {}, {}, c.records_prompt, c.tokens_after_window, c.columns};
    if (c.prompt == filler_prompt) {
      context.tokens = plan.filler_tokens;
      context.text = plan.filler;
    } else {
      const std::size_t place = place_of(c.prompt.value, plan.prompt_places);
      context.tokens = plan.tokens[place];
      if (!plan.texts.empty()) context.text = plan.texts[place];
    }
    context.tokens.resize(static_cast<std::size_t>(c.n_tokens));
    bundle.contexts.push_back(std::move(context));
  }
  std::size_t d = 0;  // into planned.donors
  for (const PlannedBundleRow& in_bundle : planned.rows) {
    const PlannedRow& row = plan.rows.at(place_of(in_bundle.row.value, plan.row_places));
    const PromptPair& pair = plan.pairs.at(static_cast<std::size_t>(row.pair.value));
    bundle.rows.push_back({in_bundle.row,
                           row.arm,
                           row.sample,
                           xxh3(pair.id),
                           in_bundle.base,
                           in_bundle.reference,
                           in_bundle.counterpart,
                           {},
                           pair.answers});
    const Arm& arm = plan.arms.at(static_cast<std::size_t>(row.arm.value));
    for (std::size_t patch = 0; patch < arm.patches.size(); ++patch, ++d) {
      bundle.rows.back().donors.push_back({planned.donors.at(d)});
      if (!planned.tokens.empty()) bundle.rows.back().donors.back().tokens = planned.tokens[d];
    }
  }
  return bundle;
}

}  // namespace rvsweep
