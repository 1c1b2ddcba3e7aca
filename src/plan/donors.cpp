#include "plan/donors.hpp"

#include <algorithm>
#include <set>

#include "plan/control.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/philox.hpp"
#include "rvsweep/plan/directions.hpp"
#include "rvsweep/text/named_spans.hpp"

namespace rvsweep {
namespace {

/// InputError for a span that no prompt has.
void check_spans(const Plan& plan) {
  std::set<std::string> known;
  for (const auto& [place, spans] : plan.spans)
    for (const std::string& name : span_names(spans)) known.insert(name);
  for (const std::string& name : names_of_spans(plan.arms))
    if (!known.contains(name))
      throw InputError("positions=span:" + name, "no prompt has a span \"" + name + "\"",
                       known.empty() ? "mark parts of the prompts by \"spans\" in prompts.file"
                                     : name_hint(name, std::vector(known.begin(), known.end())));
}

}  // namespace

Donors::Donors(const Plan& plan, std::uint64_t seed, const PlanText& text)
    : plan_(plan), next_(plan.pairs.size()) {
  const auto order = permutation(xxh3_fields({std::to_string(seed), "derangement"}), 0,
                                 static_cast<std::int32_t>(plan.pairs.size()));
  for (std::size_t i = 0; i < order.size(); ++i) next_[order[i]] = order[(i + 1) % order.size()];
  for (std::size_t direction = 0; direction < shortest_.size(); ++direction)
    if (const auto& prompts = plan.mean_prompts[direction]; !prompts.empty())
      shortest_[direction] =
          std::ssize(*std::ranges::min_element(prompts, {}, &std::vector<std::int32_t>::size));
  check_spans(plan);
  for (const std::string& name : names_of_spans(plan.arms))
    for (const auto& [place, spans] : plan.spans)
      span_tokens_[name][static_cast<std::int32_t>(place)] =
          text.span_tokens(name, plan.prompt(place));
  for (const std::set<std::string>& words : word_lists(plan.arms)) {
    auto& of_prompt = keyword_tokens_[words];
    for (std::int32_t p = 0; p < std::ssize(plan.prompts); ++p)
      of_prompt[p] = text.keyword_tokens(words, plan.prompt(p));
    if (!plan.filler.empty())
      of_prompt[filler_prompt.value] = text.keyword_tokens(words, {"", plan.filler, ""});
  }
}

std::int64_t Donors::tokens_after_window(PromptIndex prompt, std::int64_t length) const {
  if (prompt == filler_prompt) return 0;
  const PlannedPrompt& planned = plan_.prompts[prompt.value];
  const std::int64_t cut = planned.n_tokens - length;
  return std::max<std::int64_t>(planned.tokens_after_window - cut, 0);
}

std::int64_t Donors::length(PromptIndex prompt, std::int64_t truncate_at) const {
  const std::int64_t n = plan_.prompts[prompt.value].n_tokens;
  return truncate_at == 0 ? n : std::min(n, truncate_at);
}

/// The bases or sources (as the direction has them) of the pairs that come next, each text once and
/// none the recipient's: the one of the donor's number. same_length: on the donor's side, of as
/// many tokens as the pair's own donor and not its text.
std::optional<PromptIndex> Donors::other(PairIndex pair, const Donor& donor, const Arm& arm,
                                         const Roles& roles) const {
  const bool wants_source =
      (donor.prompt != DonorPrompt::other_base) == (arm.direction == Direction::source_to_base);
  const bool same_length = donor.prompt == DonorPrompt::same_length;
  const auto hash_of = [&](PromptIndex prompt) { return plan_.prompts[prompt.value].text_hash; };
  std::set<std::uint64_t> known{hash_of(roles.base)};
  if (same_length) known.insert(hash_of(roles.counterpart));
  const std::int64_t wanted = std::ssize(known) + donor.number;
  const std::int64_t m = length(roles.counterpart, arm.truncate_at);
  for (std::int32_t p = next_[pair.value]; p != pair.value; p = next_[p]) {
    const PromptIndex prompt = wants_source ? plan_.pairs[p].source : plan_.pairs[p].base;
    if (same_length && length(prompt, arm.truncate_at) != m) continue;
    known.insert(hash_of(prompt));
    if (std::ssize(known) == wanted) return prompt;
  }
  return std::nullopt;
}

Roles Donors::roles(const Arm& arm, PairIndex pair_index) const {
  const PromptPair& pair = plan_.pairs[pair_index.value];
  Roles roles;
  roles.base = arm.direction == Direction::source_to_base ? pair.base : pair.source;
  roles.counterpart = donor_side(pair, arm.direction);
  roles.n = length(roles.base, arm.truncate_at);
  roles.n_window = roles.n - tokens_after_window(roles.base, roles.n);
  for (const Patch& patch : arm.patches)
    roles.donors.push_back(donor_of(patch, arm, roles, pair_index));
  return roles;
}

PatchDonor Donors::donor_of(const Patch& patch, const Arm& arm, const Roles& roles,
                            PairIndex pair) const {
  PatchDonor donor{roles.counterpart, patch.donor.derivation};
  const Positions* const positions = patch.positions();
  const auto is_of = [&](PositionsKind kind) {
    return positions != nullptr && positions->kind == kind;
  };
  const bool wants_keywords = is_of(PositionsKind::keywords),
             wants_span = is_of(PositionsKind::named);
  switch (patch.donor.prompt) {
    case DonorPrompt::pair:
      break;
    case DonorPrompt::self:
      donor.prompt = roles.base;
      donor.refusal = untestable(plan_, patch.donor.direction, plan_.pairs[pair.value]);
      break;
    case DonorPrompt::other_base:
    case DonorPrompt::other_source:
    case DonorPrompt::same_length:
      if (const auto found = other(pair, patch.donor, arm, roles))
        donor.prompt = *found;
      else
        donor.refusal =
            control_name(arm) + " needs another pair with a prompt of its own" +
            (patch.donor.prompt == DonorPrompt::same_length ? " and as many tokens as the donor"
                                                            : "");
      break;
    case DonorPrompt::filler:
      donor.prompt = filler_prompt;
      donor.m = length(roles.counterpart, arm.truncate_at);
      if (donor.m > std::ssize(plan_.filler_tokens))
        donor.refusal = "the filler text has " + std::to_string(plan_.filler_tokens.size()) +
                        " tokens, the donor prompt " + std::to_string(donor.m);
      break;
    case DonorPrompt::donor_side:
      donor.m = donor.m_window = shortest_[static_cast<std::size_t>(arm.direction)];
      if (wants_keywords) donor.refusal = "the mean over prompts has no text and so no keywords";
      if (wants_span) donor.tokens.base = tokens_of_span(positions->name, roles.base);
      return donor;
  }
  if (donor.prompt != filler_prompt) donor.m = length(donor.prompt, arm.truncate_at);
  donor.m_window = donor.m - tokens_after_window(donor.prompt, donor.m);
  if (wants_keywords)
    donor.tokens.donor = keyword_tokens_.at(positions->words).at(donor.prompt.value);
  if (wants_span)
    donor.tokens = {tokens_of_span(positions->name, donor.prompt),
                    tokens_of_span(positions->name, roles.base)};
  return donor;
}

std::vector<std::int32_t> Donors::tokens_of_span(const std::string& name,
                                                 PromptIndex prompt) const {
  const auto& of_prompt = span_tokens_.at(name);
  const auto found = of_prompt.find(prompt.value);
  return found == of_prompt.end() ? std::vector<std::int32_t>() : found->second;
}

}  // namespace rvsweep
