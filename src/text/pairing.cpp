#include "rvsweep/text/pairing.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/philox.hpp"
#include "text/length_matching.hpp"

namespace rvsweep {
namespace {

using IndexPair = std::pair<std::int32_t, std::int32_t>;  // source, base: indices into the bank
using Members = std::map<std::string, std::vector<std::int32_t>>;  // indices, by group

/// The groups that `wanted` names, each once.
Members choose_groups(const Members& all, const GroupNames& wanted) {
  std::vector<std::string> known;
  for (const auto& [name, members] : all) known.push_back(name);
  Members chosen;
  for (const std::string& name : wanted.names) {
    bool found = false;
    for (const auto& [group, members] : all)
      if (stands_for(name, group)) {
        chosen.emplace(group, members);
        found = true;
      }
    if (!found)
      throw InputError(wanted.where, "the bank has no group \"" + name + "\"",
                       name_hint(name.substr(0, name.find('*')), known));
  }
  return chosen;
}

std::vector<std::int32_t> all_of(const Members& groups) {
  std::vector<std::int32_t> prompts;
  for (const auto& [name, members] : groups)
    prompts.insert(prompts.end(), members.begin(), members.end());
  return prompts;
}

std::vector<IndexPair> random_pairs(const PromptBank& bank, const Pairing& pairing,
                                    const Members& source_groups, const Members& base_groups,
                                    const std::string& seed) {
  const auto id = [&](std::int32_t prompt) { return bank.prompts[prompt].id; };
  /// The `count` of `prompts` with the smallest draws, ascending.
  const auto first_drawn = [&](const char* use, const std::string& key,
                               const std::vector<std::int32_t>& prompts, std::int64_t count) {
    std::vector<std::pair<double, std::int32_t>> drawn;
    for (const std::int32_t prompt : prompts)
      drawn.emplace_back(uniform_pair(xxh3_fields({seed, use, key}), xxh3(id(prompt)))[0], prompt);
    std::partial_sort(drawn.begin(), drawn.begin() + count, drawn.end());
    std::vector<std::int32_t> first;
    for (std::int64_t n = 0; n < count; ++n) first.push_back(drawn[n].second);
    return first;
  };
  const auto bases = all_of(base_groups);
  const std::int64_t per_source = pairing.bases_per_source;
  if (per_source > std::ssize(bases))
    throw InputError(pairing.where,
                     fmt::format("prompts.pairing = random:{} wants more bases than the {} of "
                                 "prompts.base_groups",
                                 per_source, bases.size()),
                     "write a smaller number, or cross for all");
  auto sources = all_of(source_groups);
  sources = first_drawn("source", "", sources, std::ssize(sources));
  std::vector<std::vector<std::int32_t>> partners;
  for (const std::int32_t source : sources)
    partners.push_back(first_drawn("base", id(source), bases, per_source));
  std::vector<IndexPair> pairs;
  for (std::int64_t turn = 0; turn < per_source; ++turn)
    for (std::size_t s = 0; s < sources.size(); ++s)
      pairs.emplace_back(sources[s], partners[s][turn]);
  if (pairing.pairs > 0 && pairing.pairs < std::ssize(pairs)) pairs.resize(pairing.pairs);
  return pairs;
}

std::vector<IndexPair> length_matched(
    const PromptBank& bank, const Pairing& pairing, const Members& sources, const Members& bases,
    std::uint64_t seed, const std::function<std::int64_t(const Prompt&)>& token_length) {
  const auto candidates = [&](const Members& groups) {
    std::vector<std::vector<Candidate>> all;
    for (const auto& [name, members] : groups) {
      auto& group = all.emplace_back();
      for (const std::int32_t index : members) {
        const Prompt& prompt = bank.prompts[index];
        group.push_back({index, token_length(prompt),
                         xxh3_fields({std::to_string(seed), "length", prompt.id})});
      }
    }
    return all;
  };
  const auto n_sources = std::ssize(all_of(sources)), n_bases = std::ssize(all_of(bases));
  const bool bases_are_fewer = n_bases < n_sources;
  std::int64_t total = std::min(n_sources, n_bases);
  if (pairing.pairs > 0) total = std::min(total, pairing.pairs);
  auto few = candidates(bases_are_fewer ? bases : sources);
  auto many = candidates(bases_are_fewer ? sources : bases);
  auto pairs = match_lengths(std::move(few), std::move(many), total, seed);
  if (bases_are_fewer)
    for (auto& [first, second] : pairs) std::swap(first, second);
  return pairs;
}

/// The standard deviation of some values; 1 where they are all alike.
double spread(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares > 0 ? std::sqrt(squares / static_cast<double>(values.size() - 1)) : 1;
}

std::vector<IndexPair> matched(const PromptBank& bank, const Pairing& pairing,
                               const std::vector<std::int32_t>& sources,
                               const std::vector<std::int32_t>& bases,
                               const PromptMeasures& measures) {
  std::map<std::int32_t, std::array<double, 2>> of_prompt;  // tokens, log-probability
  std::array<std::vector<double>, 2> all;
  for (const auto* side : {&sources, &bases})
    for (const std::int32_t prompt : *side) {
      const Prompt& one = bank.prompts[prompt];
      of_prompt[prompt] = {static_cast<double>(measures.tokens(one)), measures.logprob(one)};
      for (std::size_t m = 0; m < all.size(); ++m) all[m].push_back(of_prompt[prompt][m]);
    }
  const std::array scale{spread(all[0]), spread(all[1])};
  std::vector<std::tuple<double, std::int32_t, std::int32_t>> candidates;  // squared distance
  for (const std::int32_t source : sources)
    for (const std::int32_t base : bases) {
      const auto &a = of_prompt[source], &b = of_prompt[base];
      const double tokens = std::abs(a[0] - b[0]) / scale[0],
                   logprob = std::abs(a[1] - b[1]) / scale[1];
      if (tokens <= pairing.caliper && logprob <= pairing.caliper)
        candidates.emplace_back(tokens * tokens + logprob * logprob, source, base);
    }
  std::ranges::sort(candidates);
  std::set<std::int32_t> taken;
  std::vector<IndexPair> pairs;
  for (const auto& [distance, source, base] : candidates) {
    if (pairing.pairs > 0 && std::ssize(pairs) == pairing.pairs) break;
    if (taken.contains(source) || taken.contains(base)) continue;
    taken.insert({source, base});
    pairs.emplace_back(source, base);
  }
  if (pairs.empty())
    throw InputError(pairing.where,
                     fmt::format("no two prompts are within prompts.caliper = {} standard "
                                 "deviations of length and log-probability",
                                 pairing.caliper),
                     "widen it, or name other groups");
  return pairs;
}

/// The pairs' own prompts, in the order of the bank.
PromptSet prompt_set(const PromptBank& bank, const std::vector<IndexPair>& pairs) {
  std::map<std::int32_t, PromptIndex> index_in_set;  // by index into the bank
  for (const auto& [source, base] : pairs) {
    index_in_set[source];
    index_in_set[base];
  }
  PromptSet set;
  set.fingerprint = bank.fingerprint;
  for (auto& [in_bank, index] : index_in_set) {
    index = PromptIndex(static_cast<std::int32_t>(set.prompts.size()));
    set.prompts.push_back(bank.prompts[in_bank]);
  }
  for (const auto& [source, base] : pairs) {
    const PromptIndex s = index_in_set.at(source), b = index_in_set.at(base);
    set.pairs.push_back({set.prompts[s.value].id + "~" + set.prompts[b.value].id,
                         s,
                         b,
                         {bank.answers[source], bank.answers[base]}});
  }
  return set;
}

}  // namespace

bool stands_for(std::string_view name, std::string_view group) {
  return name.ends_with('*') ? group.starts_with(name.substr(0, name.size() - 1)) : group == name;
}

PromptSet pair_bank(const PromptBank& bank, const Pairing& pairing, std::uint64_t seed,
                    const PromptMeasures& measures) {
  RVSWEEP_EXPECT(pairing.kind != PairingKind::listed, "the pairing is one of a bank");
  Members all;
  for (std::size_t i = 0; i < bank.prompts.size(); ++i)
    all[bank.prompts[i].group].push_back(static_cast<std::int32_t>(i));
  const Members sources = choose_groups(all, pairing.sources);
  const Members bases = choose_groups(all, pairing.bases);
  for (const auto& [name, members] : sources)
    if (bases.contains(name))
      throw InputError(pairing.bases.where, "the group \"" + name + "\" is on both sides",
                       "name it in prompts.source_groups or prompts.base_groups alone");
  std::vector<IndexPair> pairs;
  if (pairing.kind == PairingKind::cross)
    for (const std::int32_t source : all_of(sources))
      for (const std::int32_t base : all_of(bases)) pairs.emplace_back(source, base);
  else if (pairing.kind == PairingKind::random)
    pairs = random_pairs(bank, pairing, sources, bases, std::to_string(seed));
  else if (pairing.kind == PairingKind::matched)
    pairs = matched(bank, pairing, all_of(sources), all_of(bases), measures);
  else
    pairs = length_matched(bank, pairing, sources, bases, seed, measures.tokens);
  std::sort(pairs.begin(), pairs.end());
  PromptSet set = prompt_set(bank, pairs);
  set.most_pairs = std::min(std::ssize(all_of(sources)), std::ssize(all_of(bases)));
  return set;
}

}  // namespace rvsweep
