#pragma once
// Who gives to whom: the base and donor of every (pair, arm), controls included.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Base and donor of a row, its direction resolved.
struct Roles {
  PromptIndex base, counterpart;  // the recipient's prompt and the pair's other one
  PromptIndex donor;              // filler_prompt for the filler; of patched arms
  Derivation derivation = Derivation::none;
  std::int64_t n = 0, m = 0;  // tokens of base and donor, truncated where the arm says so
  std::int64_t n_window = 0, m_window = 0;   // those up to the window's end
  std::vector<std::int32_t> keyword_tokens;  // of the donor, for positions=keywords
  std::string refusal;                       // why the control has no donor
};

class Donors {
 public:
  /// `plan` has its prompts, filler, pairs and arms and must outlive the object.
  Donors(const Plan& plan, std::uint64_t seed, const PlanText& text);

  Roles roles(const ArmSpec& arm, PairIndex pair) const;
  /// How many of those first `length` tokens come behind the user's text.
  std::int64_t tokens_after_window(PromptIndex prompt, std::int64_t length) const;

 private:
  std::optional<PromptIndex> other(PairIndex pair, DonorPrompt which, Direction direction,
                                   PromptIndex recipient) const;
  std::int64_t length(PromptIndex prompt, std::int64_t truncate_at) const;

  const Plan& plan_;
  std::vector<std::int32_t> order_, place_;  // a random cyclic order of the pairs, and its inverse
  std::array<std::int64_t, 2> shortest_{};   // tokens of the shortest donor prompt, by direction
  std::map<std::string, std::map<std::int32_t, std::vector<std::int32_t>>> keyword_tokens_;
};

}  // namespace rvsweep
