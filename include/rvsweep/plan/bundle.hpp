#pragma once
// The unit of dispatch and of commit: rows that are computed as one batch, with all they need
// beside the model and the sweep's settings, so that the rank that computes it needs no plan.
// `fields` is for its way there, see core/wire.hpp.
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/text/answers.hpp"

namespace rvsweep {

/// Padded sizes of a bundle's batches, see canonical_shapes.hpp.
struct BundleShape {
  std::int64_t contexts = 0;       // prompts prefilled together
  std::int64_t prompt_length = 0;  // columns of the prompt cache
  std::int64_t rows = 0;           // rows decoded together; 0 where only prompts are measured
  // Of a pass with several queries each; 0: all.
  std::int64_t prompts_at_once = 0, rows_at_once = 0;
  // Of long prompts, in columns; else 0.
  std::int64_t slot_columns = 0;  // of all slots together
  std::int64_t longest = 0;       // of the prompts
  std::int64_t scratch = 0;       // of the longest prompt whose cells are not all kept
  // give_reach: last tokens of a prompt that windows of site patches reach, that are captured for
  // these patches, and that windows of spectra reach.
  std::int64_t patched_tokens = 0, captured_tokens = 0, measured_tokens = 0;
};

/// Settles what the arms and windows of a sweep reach, so that a bundle keeps it whatever arms an
/// extension brings. `measured_window`: the longest of spectra; `tokens_after_window`: the most of
/// any prompt.
void give_reach(const std::vector<Arm>& arms, std::int64_t window, std::int64_t measured_window,
                std::int64_t tokens_after_window, BundleShape& shape);

/// A prompt as the model reads it: prefilled once, its cache serves every row that names it.
struct BundleContext {
  PromptIndex prompt;                    // -1: the filler text
  std::vector<std::int32_t> tokens;      // truncated where an arm asks for it
  std::string text;                      // empty where no read-out asks for it
  bool records_prompt = false;           // this bundle stores the prompt's geometry
  std::int64_t tokens_after_window = 0;  // last tokens beyond the end of its windows
  std::int64_t columns = 0;              // of its slot among long prompts: the last are kept
  static auto fields(auto& self) {
    return std::tie(self.prompt, self.tokens, self.text, self.records_prompt,
                    self.tokens_after_window, self.columns);
  }
};

/// Cells that follow from those of a context, or from all prompts of the donor side (mean).
struct DerivedDonor {
  Derivation derivation = Derivation::none;
  std::int32_t of = -1;      // into contexts: gaussian, shuffled, last_row; else -1
  std::int64_t tokens = 0;   // m, the donor's length
  std::int64_t cells = 0;    // shuffled, last_row: the cached cells, which are moved, m'
  std::string pair_id = {};  // keys the random numbers of gaussian and shuffled
  Direction direction = Direction::source_to_base;  // mean: whose donor side is averaged
  bool operator==(const DerivedDonor&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.derivation, self.of, self.tokens, self.cells, self.pair_id,
                    self.direction);
  }
};

/// Who gives to one patch of a row.
struct RowDonor {
  std::int32_t index = -1;   // into contexts, then derived
  ChosenTokens tokens = {};  // for positions=keywords and span:NAME
  static auto fields(auto& self) { return std::tie(self.index, self.tokens); }
};

/// One row of the results. Roles are resolved: base is generated from, donors are patched in.
struct BundleRow {
  RowIndex row;
  ArmIndex arm;
  std::int32_t sample = 0;
  std::uint64_t pair_hash = 0;    // xxh3 of the pair id: keys the row's random numbers
  std::int32_t base = 0;          // into contexts
  std::int32_t reference = -1;    // into contexts: the unpatched run that logits are compared with
  std::int32_t counterpart = -1;  // into contexts: the other prompt of the pair
  std::vector<RowDonor> donors = {};  // by patch of the arm
  PairAnswers answers = {};           // of the row's pair, whoever gives to it
  static auto fields(auto& self) {
    return std::tie(self.row, self.arm, self.sample, self.pair_hash, self.base, self.reference,
                    self.counterpart, self.donors, self.answers);
  }
};

struct Bundle {
  BundleId id;
  BundleShape shape;
  std::vector<BundleContext> contexts;
  std::vector<DerivedDonor> derived;
  std::vector<BundleRow> rows;
  double cost = 0;  // estimated multiply-adds per parameter: tokens fed
  static auto fields(auto& self) {
    return std::tie(self.id, self.shape, self.contexts, self.derived, self.rows, self.cost);
  }
};

/// Columns of the slots of the prompts, padding ones too, and then of the derived donors: those of
/// the bundle, or of long prompts each its own.
std::vector<std::int64_t> slot_columns(const Bundle& bundle);

}  // namespace rvsweep
