#pragma once
// DIR/plan.h5: everything of results.h5 that is known before the first bundle is computed, and
// what each bundle will add. Written at launch, and replaced by one rename when the sweep is
// extended: before it the folder holds the smaller sweep, after it the larger one, and segments
// stay as they are. A million rows have half a gigabyte of texts and tokens: read no more of the
// file than is needed.
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/core/spilled_texts.hpp"
#include "rvsweep/core/text_store.hpp"
#include "rvsweep/plan/plan.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// In row_bundle and prompt_bundle: no bundle computes this item.
inline constexpr std::int32_t no_bundle = -1;

/// A sweep but for its prompts, pairs and rows.
struct SweepFacts {
  /// Hash of everything that decides the results; results.h5 carries it.
  std::uint64_t fingerprint = 0;
  /// Root attributes of results.h5, in order: name, text. `schema_version` is stored as an integer.
  std::vector<std::pair<std::string, std::string>> attributes;

  struct Arms {  // [A]
    std::vector<std::string> label, kind, spec;
  } arms;
  /// Datasets of /prompts and /rows that bundles fill; row_columns include `status` and `reason`.
  std::vector<ColumnSpec> prompt_columns, row_columns;

  /// A smaller sweep that this one extends. Its rows keep the bundles that it planned.
  struct Generation {
    std::uint64_t fingerprint = 0;    // what that sweep's results.h5 carries
    std::string config;               // its merged configuration
    std::vector<std::int32_t> pairs;  // its pairs in its order: indices into /pairs
    std::int64_t n_prompts = 0, n_rows = 0;
    /// PromptPair::arms of `pairs` as they were asked for then; empty where that is as in /pairs.
    std::vector<std::vector<std::string>> arms = {};
  };
  std::vector<Generation> generations;  // oldest first; empty for a sweep never extended

  /// The attribute sweep_fingerprint of segments, which an extension does not change.
  std::uint64_t segment_fingerprint() const {
    return generations.empty() ? fingerprint : generations.front().fingerprint;
  }
};

/// Which bundle computes what. Rows and prompts are in plan order, which an extension changes;
/// segments name them by number, which it keeps (plan.hpp).
struct BundleOfItem {
  std::int32_t n_bundles = 0;
  std::vector<std::int32_t> row_bundle;     // [R] bundle that computes the row, or no_bundle
  std::vector<std::int32_t> prompt_bundle;  // [P] bundle that measures the prompt, or no_bundle
  /// [R], [P] numbers; empty: the index in plan order.
  std::vector<std::int64_t> row_number;
  std::vector<std::int32_t> prompt_number;

  std::int64_t number_of_row(std::size_t row) const {
    return row_number.empty() ? static_cast<std::int64_t>(row) : row_number[row];
  }
  std::int64_t number_of_prompt(std::size_t prompt) const {
    return prompt_number.empty() ? static_cast<std::int64_t>(prompt) : prompt_number[prompt];
  }

  std::int64_t n_prompts() const { return std::ssize(prompt_bundle); }
  std::int64_t n_rows() const { return std::ssize(row_bundle); }
};

/// What is needed to plan a stored sweep again, and to name its rows.
struct StoredSweep : SweepFacts, BundleOfItem {
  struct Prompts {                 // [P]
    TextStore id, group, cluster;  // no clusters: where no prompt has one
    SpilledTexts text;
    TextsOfSome opening, spans;
  } prompts;
  std::string_view cluster(std::size_t prompt) const {
    return prompts.cluster.size() == 0 ? std::string_view() : prompts.cluster[prompt];
  }
  struct Pairs {  // [N]; source and base are indices into prompts
    TextStore id;
    std::vector<std::int32_t> source, base;
    TextStore answer_source, answer_base;  // see answer_json; none: where no pair has one
    TextStore arms;                        // labels, as answers are
  } pairs;
  PromptPair pair(std::size_t place) const;
  struct Rows {  // [R] in plan order; pair and arm are indices
    std::vector<std::uint64_t> row_id;
    std::vector<std::int32_t> pair, arm, sample;
    TextStore reason;  // of rows without a bundle
  } rows;

  Prompt prompt(std::size_t place) const;
};

/// The bundles of a plan, by its items.
BundleOfItem bundle_of_item(const Plan& plan);

/// Creates the sweep folder and its segments folder where missing and writes plan.h5 there; `plan`
/// has its texts. OutputError when that fails; ContractError when `facts` and `plan` do not fit
/// each other.
void write_plan_file(const std::filesystem::path& sweep_folder, const SweepFacts& facts,
                     const Plan& plan);

/// Parts of plan.h5, whose checksum is compared each time. InputError when the folder holds no
/// plan.h5 or a damaged one.
SweepFacts read_sweep_facts(const std::filesystem::path& sweep_folder);
BundleOfItem read_bundle_of_item(const std::filesystem::path& sweep_folder);
StoredSweep read_plan_file(const std::filesystem::path& sweep_folder);

}  // namespace rvsweep
