#pragma once
// Who gives to whom: the base of every (pair, arm) and the donor of each of its patches.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// The donor of one patch of a row.
struct PatchDonor {
  PromptIndex prompt = {};  // filler_prompt for the filler; not read for zero and mean
  Derivation derivation = Derivation::none;
  std::int64_t m = 0;         // its tokens, truncated where the arm says so
  std::int64_t m_window = 0;  // those up to the window's end
  ChosenTokens tokens = {};   // for positions=keywords and span:NAME
  std::string refusal = {};   // why there is none; empty where there is
};

/// Base and donors of a row, its direction resolved.
struct Roles {
  PromptIndex base, counterpart;     // the recipient's prompt and the pair's other one
  std::int64_t n = 0, n_window = 0;  // of base, as m and m_window of a donor
  std::vector<PatchDonor> donors;    // by patch of the arm
};

class Donors {
 public:
  /// `plan` has its prompts, filler, pairs, arms and mean_prompts and must outlive the object.
  Donors(const Plan& plan, std::uint64_t seed, const PlanText& text);

  Roles roles(const Arm& arm, PairIndex pair) const;
  /// How many of the prompt's first `length` tokens lie beyond the window's end.
  std::int64_t tokens_after_window(PromptIndex prompt, std::int64_t length) const;

 private:
  PatchDonor donor_of(const Patch& patch, const Arm& arm, const Roles& roles, PairIndex pair) const;
  std::optional<PromptIndex> other(PairIndex pair, const Donor& donor, const Arm& arm,
                                   const Roles& roles) const;
  std::int64_t length(PromptIndex prompt, std::int64_t truncate_at) const;

  std::vector<std::int32_t> tokens_of_span(const std::string& name, PromptIndex prompt) const;

  const Plan& plan_;
  std::vector<std::int32_t> next_;          // by pair: the one after it in a random cyclic order
  std::array<std::int64_t, 2> shortest_{};  // tokens of the shortest of mean_prompts, by direction
  /// By word list and prompt.
  std::map<std::set<std::string>, std::map<std::int32_t, std::vector<std::int32_t>>>
      keyword_tokens_;
  /// By name and prompt, of those that have it.
  std::map<std::string, std::map<std::int32_t, std::vector<std::int32_t>>> span_tokens_;
};

}  // namespace rvsweep
