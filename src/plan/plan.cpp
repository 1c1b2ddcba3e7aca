#include "rvsweep/plan/plan.hpp"

#include <algorithm>
#include <set>

#include "donors.hpp"
#include "packer.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/extend.hpp"

namespace rvsweep {
namespace {

std::vector<PlannedPrompt> plan_prompts(std::vector<Prompt> prompts, const PlanText& text,
                                        const SweepConfig& config, const ModelConfig& model) {
  std::vector<PlannedPrompt> planned;
  planned.reserve(prompts.size());
  for (Prompt& prompt : prompts) {
    PromptEncoding encoded;
    if (!prompt.text.empty()) encoded = text.encode_prompt(prompt.text);
    encoded.encoding.ids.shrink_to_fit();  // kept as long as the sweep runs
    PlannedPrompt p{std::move(prompt), std::move(encoded.encoding.ids), "",
                    PromptIndex(static_cast<std::int32_t>(planned.size()))};
    if (config.window_end == WindowEnd::user_end) p.tokens_after_window = encoded.tokens_after_user;
    const auto n = static_cast<std::int64_t>(p.tokens.size());
    if (n == 0)
      p.refusal = "the prompt is empty";
    else if (n > model.max_length())
      p.refusal = "the prompt of " + std::to_string(n) + " tokens exceeds the model's " +
                  std::to_string(model.max_length()) + " positions";
    else if (const auto n_window = n - p.tokens_after_window; n_window < config.window)
      p.refusal = "the prompt has " + std::to_string(n_window) + " tokens" +
                  (n_window < n ? " up to the user's last" : "") + ", fewer than the window of " +
                  std::to_string(config.window);
    planned.push_back(std::move(p));
  }
  return planned;
}

void plan_rows(Plan& plan, const SweepConfig& config, const ModelConfig& model,
               const Donors& donors) {
  plan.rows.reserve(plan.pairs.size() * plan.arms.size() *
                    static_cast<std::size_t>(config.generation.samples));
  std::vector<std::string> specs;
  for (const ArmSpec& arm : plan.arms) specs.push_back(arm.canonical());
  for (std::int32_t pair = 0; pair < std::ssize(plan.pairs); ++pair) {
    for (std::int32_t a = 0; a < std::ssize(plan.arms); ++a) {
      const ArmSpec& arm = plan.arms[a];
      const Roles roles = donors.roles(arm, PairIndex(pair));
      std::string refusal = refusal_of(arm, {roles.n, roles.m, roles.n_window, roles.m_window},
                                       roles.keyword_tokens, config.generation, model)
                                .value_or("");
      if (refusal.empty()) refusal = roles.refusal;
      for (std::int32_t sample = 0; sample < config.generation.samples; ++sample) {
        const RowId id(xxh3_fields({plan.pairs[pair].id, specs[a], std::to_string(sample)}));
        plan.rows.push_back(
            {id, PairIndex(pair), ArmIndex(a), sample, refusal, RowIndex(std::ssize(plan.rows))});
      }
    }
  }
}

/// Of the directions in which a control averages over donors.
MeanPrompts mean_prompts(const Plan& plan) {
  MeanPrompts prompts;
  for (const Direction direction : {Direction::source_to_base, Direction::base_to_source}) {
    if (std::none_of(plan.arms.begin(), plan.arms.end(), [&](const ArmSpec& arm) {
          return arm.control == Control::mean && arm.direction == direction;
        }))
      continue;
    std::set<std::int32_t> seen;
    for (const PromptPair& pair : plan.pairs) {
      const PromptIndex prompt = donor_side(pair, direction);
      const auto& tokens = plan.prompts[prompt.value].tokens;
      if (!tokens.empty() && seen.insert(prompt.value).second)
        prompts[static_cast<std::size_t>(direction)].push_back(tokens);
    }
  }
  return prompts;
}

std::int64_t layer_of(const ConfigValue& value, const char* key, std::int64_t n_layers) {
  try {
    return parse_layer(value.text, n_layers);
  } catch (const InputError& error) {
    throw InputError(value.where, std::string(key) + ": " + error.what());
  }
}

}  // namespace

std::int64_t Plan::n_refused() const {
  return std::count_if(rows.begin(), rows.end(), [](const auto& r) { return !r.refusal.empty(); });
}

std::vector<ArmSpec> all_arms(const SweepConfig& config, const ModelConfig& model) {
  auto arms = parse_arms(config.arms, model, config.window);
  const auto controls = control_arms(config.controls, arms, model);
  arms.insert(arms.end(), controls.begin(), controls.end());
  return arms;
}

Plan make_plan(const SweepConfig& config, const ModelConfig& model, PromptSet prompts,
               const PlanText& text, const std::string& device, const std::string& dtype,
               const Plan* before) {
  Plan plan;
  plan.early_layer = layer_of(config.early_layer, "model.early_layer", model.n_layers);
  plan.late_layer = layer_of(config.late_layer, "model.late_layer", model.n_layers);
  plan.arms = all_arms(config, model);
  plan.pairs = std::move(prompts.pairs);
  plan.prompts = plan_prompts(std::move(prompts.prompts), text, config, model);
  plan.bundle_rows = config.bundle_rows.value_or(automatic_bundle_rows(model, device, dtype));
  for (const PlannedPrompt& p : plan.prompts)
    plan.tokens_after_window = std::max(plan.tokens_after_window, p.tokens_after_window);
  plan.mean_prompts = mean_prompts(plan);
  const Donors donors(plan, config.seed, text);
  plan_rows(plan, config, model, donors);
  if (before != nullptr) take_over(*before, plan);
  pack_bundles(plan, config, model, donors, before);
  return plan;
}

Bundle complete_bundle(const Plan& plan, BundleId id) {
  Bundle bundle = plan.bundles.at(static_cast<std::size_t>(id.value));
  for (BundleContext& context : bundle.contexts) {
    if (context.prompt.value < 0) continue;  // the filler text is not of the plan's prompts
    const auto number = static_cast<std::size_t>(context.prompt.value);
    const PlannedPrompt& planned =
        plan.prompts.at(plan.prompt_places.empty() ? number : plan.prompt_places.at(number));
    context.tokens.assign(planned.tokens.begin(), planned.tokens.begin() + context.n_tokens);
    context.text = planned.prompt.text;
  }
  return bundle;
}

}  // namespace rvsweep
