#pragma once
// A sweep description turned into a deterministic list of bundles of rows. Touches no weights.
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/core/spilled_texts.hpp"
#include "rvsweep/core/text_store.hpp"
#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/plan/sweep_config.hpp"
#include "rvsweep/text/prompts.hpp"
#include "rvsweep/tokenizer/chat_template.hpp"
#include "rvsweep/tokenizer/token_store.hpp"

namespace rvsweep {

/// What the plan needs of a tokenizer.
struct PlanText {
  /// A prompt as the model reads it: in the chat template, where there is one. Called by `threads`
  /// threads at once.
  std::function<PromptEncoding(const Prompt& prompt)> encode_prompt;
  /// Text to token ids with the model's special tokens, in no template.
  std::function<std::vector<std::int32_t>(const std::string& text)> encode;
  /// Ascending indices of the tokens of the prompt's text that lie in one of `words`.
  std::function<std::vector<std::int32_t>(const std::set<std::string>& words, const Prompt& prompt)>
      keyword_tokens;
  /// Those of the prompt's text that hold a part of its span of this name.
  std::function<std::vector<std::int32_t>(const std::string& name, const Prompt& prompt)>
      span_tokens;
  std::string filler;  // a neutral text, for the filler control
  int threads = 1;
};

/// A million of them may be kept as long as a sweep runs: what takes more room lies in the plan.
struct PlannedPrompt {
  PromptIndex number;
  std::int32_t n_tokens = 0;
  std::int32_t tokens_after_window = 0;  // tokens of the chat template beyond the window's end
  std::int32_t group = 0;                // into Plan::groups
  std::int32_t cluster = 0;              // into Plan::clusters
  std::int32_t refusal = 0;              // into Plan::refusals: why no geometry can be had
  std::uint64_t text_hash = 0;           // Prompt::text_hash
};

/// Tokens of the distinct donor-side prompts, by direction: the sources, the bases.
using MeanPrompts = std::array<std::vector<std::vector<std::int32_t>>, 2>;

/// Texts that few prompts have, by the prompts' places.
using TextsOfSome = std::map<std::size_t, std::string>;

/// Empty where the prompt has none.
inline std::string text_of(const TextsOfSome& texts, std::size_t place) {
  const auto found = texts.find(place);
  return found == texts.end() ? "" : found->second;
}

/// What a mean difference is fitted on, see directions.hpp.
struct DirectionFit {
  MeanPrompts prompts;          // of A and of B, up to the window's end
  std::set<std::string> units;  // what ties prompts together, of all that are fitted on
};

/// In place of a prompt index: the shipped neutral text.
inline constexpr PromptIndex filler_prompt{-1};

/// The prompt of a pair that gives in a direction.
inline PromptIndex donor_side(const PromptPair& pair, Direction direction) {
  return direction == Direction::source_to_base ? pair.source : pair.base;
}

struct PlannedRow {
  RowId id;  // xxh3 of (pair id, canonical arm, sample)
  PairIndex pair;
  ArmIndex arm;
  std::int32_t sample = 0;
  std::int32_t refusal = 0;  // into Plan::refusals: why the row does not run
  RowIndex number;
};

/// A context of BundleContext but for its tokens and text, which the plan holds.
struct PlannedContext {
  PromptIndex prompt;
  std::int32_t n_tokens = 0;
  std::int32_t tokens_after_window = 0;
  bool records_prompt = false;
  std::int32_t columns = 0;
};

/// A row of BundleRow but for what Plan::rows says of it.
struct PlannedBundleRow {
  RowIndex row;
  // Some 2,000 contexts and 1,000 derived donors are the most that a bundle has.
  std::int16_t base = 0, reference = -1, counterpart = -1;
};

/// A bundle as the plan keeps it; complete_bundle makes it what a rank needs.
struct PlannedBundle {
  BundleId id;
  BundleShape shape;
  std::vector<PlannedContext> contexts;
  std::vector<DerivedDonor> derived;
  std::vector<PlannedBundleRow> rows;
  std::vector<std::int16_t> donors;  // of the rows' patches, row by row, as RowDonor has them
  std::vector<ChosenTokens> tokens;  // by donor; empty where none has any
  double cost = 0;
};

/// Places of a plan's prompts or rows, by number.
template <class Place, class Item>
std::vector<Place> places_by_number(const std::vector<Item>& items) {
  std::vector<Place> places(items.size());
  for (std::size_t place = 0; place < items.size(); ++place)
    places.at(static_cast<std::size_t>(items[place].number.value)) = static_cast<Place>(place);
  return places;
}

/// The place of the item with this number; no `places` where numbers are the places.
template <class Place>
std::size_t place_of(std::int64_t number, const std::vector<Place>& places) {
  const auto at = static_cast<std::size_t>(number);
  return places.empty() ? at : static_cast<std::size_t>(places.at(at));
}

/// Rows lie pair by pair, arm by arm, sample by sample, those of arms that a pair is asked for
/// (arms_of_pairs.hpp); that order is /rows'. Bundles, and with them segments, name prompts and
/// rows by number: the place, unless the plan extends another. Then the items that the other had
/// keep their numbers and new ones count on in plan order.
struct Plan {
  std::vector<PlannedPrompt> prompts;
  TextStore prompt_ids;
  SpilledTexts texts;           // of the prompts; none where they were forgotten
  TextsOfSome openings, spans;  // see Prompt
  TokenStore tokens;            // of the prompts
  std::vector<std::string> groups;
  std::vector<std::string> clusters;
  std::vector<std::string> refusals{""};  // the first: none
  std::vector<PromptPair> pairs;
  std::vector<Arm> arms;  // of the config, then their controls
  std::vector<PlannedRow> rows;
  std::vector<PlannedBundle> bundles;
  std::string filler;  // text of the filler control; else empty
  std::vector<std::int32_t> filler_tokens;
  std::vector<std::int32_t> prompt_places;  // by number, where numbers are not the places
  std::vector<std::int64_t> row_places;     // the same
  MeanPrompts mean_prompts;                 // of the mean control; else empty
  /// Tokens of prompts whose unpatched states rows are compared with (readouts.state_distance): of
  /// unlike texts, chosen by hash, so that it does not matter how they are listed.
  std::vector<std::vector<std::int32_t>> natural_prompts;
  std::map<std::string, DirectionFit> direction_fits;  // by the names of mean differences
  std::int64_t early_layer = 0, late_layer = 0;
  std::int64_t bundle_rows = 0;
  std::int64_t tokens_after_window = 0;  // the most of any prompt

  std::int64_t n_refused() const;
  /// Whether an answer is known to some prompt of a pair.
  bool has_answers() const;
  /// With its texts, which must not be forgotten.
  Prompt prompt(std::size_t place) const;
  /// The cluster of a prompt as its file gives it; empty where it gives none.
  const std::string& cluster(const PlannedPrompt& prompt) const {
    return clusters.at(static_cast<std::size_t>(prompt.cluster));
  }
  /// Why there is no result of a planned prompt or row; empty where there is one.
  const std::string& refusal(const auto& item) const {
    return refusals.at(static_cast<std::size_t>(item.refusal));
  }
};

/// Whether a plan keeps the texts of its prompts. Without them it cannot be written into a folder,
/// and the read-outs `copying` and `reencode` cannot be computed.
enum class Texts { kept, forgotten };

/// The arms of the configuration and then their controls.
std::vector<Arm> all_arms(const SweepConfig& config, const ModelConfig& model);

/// Hands every prompt to the sink, in plan order, and returns the pairs, which name them by place.
using PromptSource = std::function<std::vector<PromptPair>(const PromptSink& sink)>;

/// What a plan is made of; all that is referred to must outlive make_plan.
struct PlanInput {
  const SweepConfig& config;
  const ModelConfig& model;
  const PromptSource& prompts;
  const PlanText& text;
  std::string device, dtype;  // resolved: "cpu", "float32"
  Texts texts = Texts::kept;
  const Plan* before = nullptr;  // the plan of a smaller job, which this one extends
  double device_memory = 0;      // bytes that a bundle and the weights must fit; 0: on a CPU
};

/// Throws InputError for what concerns the whole sweep (arms, layers) and what `prompts` throws;
/// what concerns a row is that row's refusal. Memory concerns the whole sweep. Prompts are
/// tokenised while they come in, so that no more of their texts is held than `texts` asks for and
/// keyword positions need. The bundles of `before` stay first and as they are, and what they lack
/// is packed into new ones. ContractError when a prompt or row of `before` is missing here.
Plan make_plan(const PlanInput& input);

/// A bundle of the plan as a rank needs it: with the tokens of its prompts, and with their texts
/// where the plan still has them.
Bundle complete_bundle(const Plan& plan, BundleId id);

}  // namespace rvsweep
