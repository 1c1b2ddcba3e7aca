#pragma once
// A sweep description turned into a deterministic list of bundles of rows. Touches no weights.
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/plan/sweep_config.hpp"
#include "rvsweep/text/chat_template.hpp"
#include "rvsweep/text/prompts.hpp"

namespace rvsweep {

/// What the plan needs of a tokenizer.
struct PlanText {
  /// A prompt as the model reads it: in the chat template, where there is one.
  std::function<PromptEncoding(const std::string& text)> encode_prompt;
  /// Text to token ids with the model's special tokens, in no template.
  std::function<std::vector<std::int32_t>(const std::string& text)> encode;
  /// Ascending indices of the tokens of the prompt `text` that lie in a word that `file` lists.
  /// Throws InputError naming the file.
  std::function<std::vector<std::int32_t>(const std::string& file, const std::string& text)>
      keyword_tokens;
  std::string filler;  // a neutral text, for the filler control
};

struct PlannedPrompt {
  Prompt prompt;
  std::vector<std::int32_t> tokens;
  std::string refusal;  // why no geometry can be had; empty where it can
  PromptIndex number;
  std::int64_t tokens_after_window = 0;  // tokens of the chat template beyond the window's end
};

/// Tokens of the distinct donor-side prompts, by direction: the sources, the bases.
using MeanPrompts = std::array<std::vector<std::vector<std::int32_t>>, 2>;

/// The prompt of a pair that gives in a direction.
inline PromptIndex donor_side(const PromptPair& pair, Direction direction) {
  return direction == Direction::source_to_base ? pair.source : pair.base;
}

struct PlannedRow {
  RowId id;  // xxh3 of (pair id, canonical arm, sample)
  PairIndex pair;
  ArmIndex arm;
  std::int32_t sample = 0;
  std::string refusal;  // empty: the row runs
  RowIndex number;
};

/// Rows lie pair by pair, arm by arm, sample by sample; that order is /rows'. Bundles, and with
/// them segments, name prompts and rows by number: the place, unless the plan extends another. Then
/// the items that the other had keep their numbers and new ones count on in plan order.
struct Plan {
  std::vector<PlannedPrompt> prompts;
  std::vector<PromptPair> pairs;
  std::vector<ArmSpec> arms;  // of the config, then their controls
  std::vector<PlannedRow> rows;
  std::vector<Bundle> bundles;              // without what `prompts` holds, see complete_bundle
  std::vector<std::int32_t> prompt_places;  // by number, where numbers are not the places
  MeanPrompts mean_prompts;                 // of the mean control; else empty
  std::int64_t early_layer = 0, late_layer = 0;
  std::int64_t bundle_rows = 0;
  std::int64_t tokens_after_window = 0;  // the most of any prompt

  std::int64_t n_refused() const;
};

/// The arms of the configuration and then their controls.
std::vector<ArmSpec> all_arms(const SweepConfig& config, const ModelConfig& model);

/// `device` and `dtype` are resolved names ("cpu", "float32"). Throws InputError for what concerns
/// the whole sweep (arms, layers); what concerns a row is that row's refusal.
/// With `before`, the plan of a smaller job, the result extends it: its bundles stay first and as
/// they are, and what they lack is packed into new ones. ContractError when a prompt or row of
/// `before` is missing here.
Plan make_plan(const SweepConfig& config, const ModelConfig& model, PromptSet prompts,
               const PlanText& text, const std::string& device, const std::string& dtype,
               const Plan* before = nullptr);

/// A bundle of the plan as a rank needs it: with the tokens and texts of its prompts.
Bundle complete_bundle(const Plan& plan, BundleId id);

/// Tokens of base and donor, and how many of them lie up to the window's end.
struct RowLengths {
  std::int64_t n = 0, m = 0;
  std::int64_t n_window = 0, m_window = 0;
};

/// Why `arm` cannot run with prompts of these lengths; none where it can. `keyword_tokens`: the
/// donor's, for positions=keywords.
std::optional<std::string> refusal_of(const ArmSpec& arm, const RowLengths& lengths,
                                      const std::vector<std::int32_t>& keyword_tokens,
                                      const GenerationConfig& generation, const ModelConfig& model);

}  // namespace rvsweep
