#include "rvsweep/plan/plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/extend.hpp"

namespace rvsweep {
namespace {

/// How many of n tokens an arm sees.
std::int64_t cut_length(std::int64_t n, std::int64_t truncate_at) {
  return truncate_at == 0 ? n : std::min(n, truncate_at);
}

/// Base and donor of an arm, its direction resolved; an unpatched arm has no donor.
struct Roles {
  PromptIndex base;
  std::optional<PromptIndex> donor;
};

Roles roles_of(const ArmSpec& arm, const PromptPair& pair) {
  if (arm.kind == ArmKind::base) return {pair.base, std::nullopt};
  if (arm.kind == ArmKind::source) return {pair.source, std::nullopt};
  return arm.direction == Direction::source_to_base ? Roles{pair.base, pair.source}
                                                    : Roles{pair.source, pair.base};
}

std::vector<PlannedPrompt> plan_prompts(const PromptSet& set, const Encode& encode,
                                        const SweepConfig& config, const ModelConfig& model) {
  std::vector<PlannedPrompt> planned;
  for (const Prompt& prompt : set.prompts) {
    PlannedPrompt p{prompt, prompt.text.empty() ? std::vector<std::int32_t>() : encode(prompt.text),
                    "", PromptIndex(static_cast<std::int32_t>(planned.size()))};
    const auto n = static_cast<std::int64_t>(p.tokens.size());
    if (n == 0)
      p.refusal = "the prompt is empty";
    else if (n > model.max_length())
      p.refusal = "the prompt of " + std::to_string(n) + " tokens exceeds the model's " +
                  std::to_string(model.max_length()) + " positions";
    else if (n < config.window)
      p.refusal = "the prompt has " + std::to_string(n) + " tokens, fewer than the window of " +
                  std::to_string(config.window);
    planned.push_back(std::move(p));
  }
  return planned;
}

/// Lays pairs out in bundles, pairs of like length together. Rows of the plan `before` have theirs.
class Packer {
 public:
  Packer(Plan& plan, const SweepConfig& config, const ModelConfig& model, const Plan* before)
      : plan_(plan), config_(config), max_length_(model.max_length()) {
    if (before == nullptr) return;
    rows_before_ = std::ssize(before->rows);
    for (const PlannedPrompt& prompt : before->prompts) recorded_.insert(prompt.number);
  }

  void pack() {
    std::map<std::int64_t, std::vector<std::int32_t>> pairs_of_length;
    for (std::int32_t pair = 0; pair < std::ssize(plan_.pairs); ++pair)
      pairs_of_length[padded_length(pair)].push_back(pair);
    for (const auto& [length, pairs] : pairs_of_length) {
      length_ = length;
      for (const std::int32_t pair : pairs) add_pair(pair);
      close();
    }
  }

 private:
  bool usable(PromptIndex prompt) const {
    const auto n = std::ssize(plan_.prompts[prompt.value].tokens);
    return n > 0 && n <= max_length_;
  }

  /// Holds the pair's prompts: whole where they are usable, and as its runnable rows see them.
  std::int64_t padded_length(std::int32_t pair_index) const {
    const PromptPair& pair = plan_.pairs[pair_index];
    std::int64_t longest = config_.window;
    const auto hold = [&](PromptIndex prompt, std::int64_t truncate_at) {
      const auto n = std::ssize(plan_.prompts[prompt.value].tokens);
      longest = std::max(longest, cut_length(n, truncate_at));
    };
    for (const PromptIndex prompt : {pair.source, pair.base})
      if (usable(prompt)) hold(prompt, 0);
    for (const std::int64_t row : runnable_rows(pair_index)) {
      const ArmSpec& arm = plan_.arms[plan_.rows[row].arm.value];
      const Roles roles = roles_of(arm, pair);
      hold(roles.base, arm.truncate_at);
      if (roles.donor) hold(*roles.donor, arm.truncate_at);
    }
    return canonical_length(longest);
  }

  std::vector<std::int64_t> runnable_rows(std::int32_t pair) const {
    const auto per_pair = std::ssize(plan_.arms) * config_.generation.samples;
    std::vector<std::int64_t> rows;
    for (std::int64_t row = pair * per_pair; row < (pair + 1) * per_pair; ++row)
      if (plan_.rows[row].refusal.empty() && plan_.rows[row].number.value >= rows_before_)
        rows.push_back(row);
    return rows;
  }

  /// Contexts that a pair may add to a bundle: both prompts, whole and cut.
  std::int64_t contexts_per_pair() const {
    const bool cuts = std::any_of(plan_.arms.begin(), plan_.arms.end(),
                                  [](const ArmSpec& arm) { return arm.truncate_at != 0; });
    return cuts ? 4 : 2;
  }

  std::int32_t context(PromptIndex prompt, std::int64_t truncate_at) {
    const PlannedPrompt& planned = plan_.prompts[prompt.value];
    auto tokens = planned.tokens;
    tokens.resize(cut_length(std::ssize(tokens), truncate_at));
    const bool whole = tokens.size() == planned.tokens.size();
    auto& contexts = bundle_.contexts;
    for (std::int32_t i = 0; i < std::ssize(contexts); ++i)
      if (contexts[i].prompt == planned.number && contexts[i].tokens.size() == tokens.size())
        return i;
    // A prompt's geometry is stored by the first bundle that holds all of it.
    const bool records = whole && recorded_.insert(planned.number).second;
    contexts.push_back({planned.number, std::move(tokens), planned.prompt.text, records});
    return static_cast<std::int32_t>(contexts.size()) - 1;
  }

  bool is_recorded(PromptIndex prompt) const {
    return recorded_.contains(plan_.prompts[prompt.value].number);
  }

  void add_pair(std::int32_t pair_index) {
    const PromptPair& pair = plan_.pairs[pair_index];
    const auto runnable = runnable_rows(pair_index);
    if (runnable.empty() && is_recorded(pair.source) && is_recorded(pair.base)) return;
    const auto room = plan_.bundle_rows - std::ssize(bundle_.rows);
    if (room < std::min<std::int64_t>(std::ssize(runnable), plan_.bundle_rows) ||
        std::ssize(bundle_.contexts) + contexts_per_pair() > 2 * plan_.bundle_rows)
      close();
    for (const PromptIndex prompt : {pair.source, pair.base})
      if (usable(prompt) && !is_recorded(prompt)) context(prompt, 0);
    for (const std::int64_t row : runnable) {
      if (std::ssize(bundle_.rows) == plan_.bundle_rows) close();
      add_row(row, pair);
    }
  }

  void add_row(std::int64_t index, const PromptPair& pair) {
    const PlannedRow& planned = plan_.rows[index];
    const ArmSpec& arm = plan_.arms[planned.arm.value];
    const Roles roles = roles_of(arm, pair);
    BundleRow row;
    row.row = planned.number;
    row.arm = planned.arm;
    row.sample = planned.sample;
    row.pair_hash = xxh3(pair.id);
    row.base = context(roles.base, arm.truncate_at);
    if (roles.donor) row.donor = context(*roles.donor, arm.truncate_at);
    bundle_.rows.push_back(row);
  }

  void close() {
    if (bundle_.contexts.empty()) return;
    bundle_.id = BundleId(static_cast<std::int32_t>(plan_.bundles.size()));
    const auto n_rows = std::ssize(bundle_.rows);
    bundle_.shape = {canonical_rows(std::ssize(bundle_.contexts)), length_,
                     n_rows == 0 ? 0 : canonical_rows(n_rows)};
    bundle_.cost = static_cast<double>(bundle_.shape.contexts * length_ +
                                       bundle_.shape.rows * config_.generation.max_new_tokens *
                                           (config_.readouts.reencode ? 2 : 1));
    plan_.bundles.push_back(std::move(bundle_));
    bundle_ = {};
  }

  Plan& plan_;
  const SweepConfig& config_;
  std::int64_t max_length_;
  std::int64_t length_ = 0;
  Bundle bundle_;
  std::set<PromptIndex> recorded_;  // by number
  std::int64_t rows_before_ = 0;
};

void plan_rows(Plan& plan, const SweepConfig& config, const ModelConfig& model) {
  const auto n_tokens = [&](PromptIndex prompt, const ArmSpec& arm) {
    return cut_length(std::ssize(plan.prompts[prompt.value].tokens), arm.truncate_at);
  };
  std::vector<std::string> specs;
  for (const ArmSpec& arm : plan.arms) specs.push_back(arm.canonical());
  for (std::size_t pair = 0; pair < plan.pairs.size(); ++pair) {
    for (std::size_t a = 0; a < plan.arms.size(); ++a) {
      const ArmSpec& arm = plan.arms[a];
      const Roles roles = roles_of(arm, plan.pairs[pair]);
      const auto refusal =
          refusal_of(arm, n_tokens(roles.base, arm), roles.donor ? n_tokens(*roles.donor, arm) : 0,
                     config.generation, model);
      for (std::int32_t sample = 0; sample < config.generation.samples; ++sample) {
        const RowId id(xxh3_fields({plan.pairs[pair].id, specs[a], std::to_string(sample)}));
        plan.rows.push_back({id, PairIndex(static_cast<std::int32_t>(pair)),
                             ArmIndex(static_cast<std::int32_t>(a)), sample, refusal.value_or(""),
                             RowIndex(std::ssize(plan.rows))});
      }
    }
  }
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

Plan make_plan(const SweepConfig& config, const ModelConfig& model, const PromptSet& prompts,
               const Encode& encode, const std::string& device, const std::string& dtype,
               const Plan* before) {
  Plan plan;
  plan.early_layer = layer_of(config.early_layer, "model.early_layer", model.n_layers);
  plan.late_layer = layer_of(config.late_layer, "model.late_layer", model.n_layers);
  plan.arms = parse_arms(config.arms, model.n_layers, config.window);
  plan.pairs = prompts.pairs;
  plan.prompts = plan_prompts(prompts, encode, config, model);
  plan.bundle_rows = config.bundle_rows.value_or(automatic_bundle_rows(model, device, dtype));
  plan_rows(plan, config, model);
  if (before != nullptr) take_over(*before, plan);
  Packer(plan, config, model, before).pack();
  return plan;
}

}  // namespace rvsweep
