#pragma once
// DIR/plan.h5: everything of results.h5 that is known before the first bundle is computed, and
// what each bundle will add. Written at launch, and replaced by one rename when the sweep is
// extended: before it the folder holds the smaller sweep, after it the larger one, and segments
// stay as they are.
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// In `row_bundle` and `prompt_bundle`: no bundle computes this item.
inline constexpr std::int32_t no_bundle = -1;

struct StaticSweep {
  /// Hash of everything that decides the results; results.h5 carries it.
  std::uint64_t fingerprint = 0;
  /// Root attributes of results.h5, in order: name, text. `schema_version` is stored as an integer.
  std::vector<std::pair<std::string, std::string>> attributes;

  struct Prompts {  // [P]
    std::vector<std::string> id, text, group;
    std::vector<std::string> reason;  // why a prompt has no geometry; empty where it has
    std::vector<std::vector<std::int32_t>> tokens;  // /prompts/n_tokens follows from it
  } prompts;
  struct Pairs {  // [N]; source and base are indices into prompts
    std::vector<std::string> id;
    std::vector<std::int32_t> source, base;
  } pairs;
  struct Arms {  // [A]
    std::vector<std::string> label, kind, spec;
  } arms;
  struct Rows {  // [R] in plan order; pair and arm are indices
    std::vector<std::uint64_t> row_id;
    std::vector<std::int32_t> pair, arm, sample;
    std::vector<std::int8_t> status;  // RowStatus; what a row without a bundle ends as
    std::vector<std::string> reason;  // for rows without a bundle
  } rows;

  std::int32_t n_bundles = 0;
  std::vector<std::int32_t> row_bundle;     // [R] bundle that computes the row, or no_bundle
  std::vector<std::int32_t> prompt_bundle;  // [P] bundle that measures the prompt, or no_bundle
  /// Datasets of /prompts and /rows that bundles fill; row_columns include `status` and `reason`.
  std::vector<ColumnSpec> prompt_columns, row_columns;

  /// A smaller sweep that this one extends. Its rows keep the bundles that it planned.
  struct Generation {
    std::uint64_t fingerprint = 0;    // what that sweep's results.h5 carries
    std::string config;               // its merged configuration
    std::vector<std::int32_t> pairs;  // its pairs in its order: places in `pairs`
    std::int64_t n_prompts = 0, n_rows = 0;
  };
  std::vector<Generation> generations;  // oldest first; empty for a sweep never extended
  /// [R], [P] numbers by which segments name rows and prompts, as in plan.hpp; empty: the places.
  std::vector<std::int64_t> row_number;
  std::vector<std::int32_t> prompt_number;

  /// What segments carry: it stays when the sweep is extended.
  std::uint64_t segment_fingerprint() const {
    return generations.empty() ? fingerprint : generations.front().fingerprint;
  }
  std::int64_t number_of_row(std::size_t place) const {
    return row_number.empty() ? static_cast<std::int64_t>(place) : row_number[place];
  }
  std::int64_t number_of_prompt(std::size_t place) const {
    return prompt_number.empty() ? static_cast<std::int64_t>(place) : prompt_number[place];
  }

  std::int64_t n_prompts() const { return static_cast<std::int64_t>(prompts.id.size()); }
  std::int64_t n_rows() const { return static_cast<std::int64_t>(rows.row_id.size()); }
};

/// Creates the sweep folder and its segments folder where missing and writes plan.h5 there.
/// OutputError when that fails; ContractError when the columns of `sweep` do not fit each other.
void write_plan_file(const std::filesystem::path& sweep_folder, const StaticSweep& sweep);

/// InputError when the folder holds no plan.h5 or a damaged one.
StaticSweep read_plan_file(const std::filesystem::path& sweep_folder);

}  // namespace rvsweep
