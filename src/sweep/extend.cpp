#include "sweep/extend.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <unordered_set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/plan/directions.hpp"
#include "sweep/stored.hpp"

namespace rvsweep {
namespace {

using Generation = SweepFacts::Generation;

/// Places of the pairs by id.
std::map<std::string_view, std::int32_t> places_of_pairs(const Plan& plan) {
  std::map<std::string_view, std::int32_t> places;
  for (std::size_t n = 0; n < plan.pairs.size(); ++n)
    places.emplace(plan.pairs[n].id, static_cast<std::int32_t>(n));
  return places;
}

/// Pairs of `stored` that `asked` lacks or has with other prompts, one line each.
void compare_pairs(const StoredSweep& stored, const Plan& asked, std::vector<std::string>& lines) {
  const auto places = places_of_pairs(asked);
  const auto same = [&](std::int32_t was, PromptIndex is) {
    const Prompt before = stored.prompt(static_cast<std::size_t>(was)),
                 now = asked.prompt(static_cast<std::size_t>(is.value));
    return before.text == now.text && before.group == now.group && before.opening == now.opening &&
           before.cluster == now.cluster && before.spans == now.spans;
  };
  for (std::size_t n = 0; n < stored.pairs.id.size(); ++n) {
    const std::string name = "pair " + std::string(stored.pairs.id[n]);
    const auto found = places.find(stored.pairs.id[n]);
    if (found == places.end()) {
      lines.push_back(name + " is gone");
      continue;
    }
    const PromptPair& pair = asked.pairs[static_cast<std::size_t>(found->second)];
    if (!same(stored.pairs.source[n], pair.source)) lines.push_back(name + " has another source");
    if (!same(stored.pairs.base[n], pair.base)) lines.push_back(name + " has another base");
    if (stored.pair(n).answers != pair.answers) lines.push_back(name + " has other answers");
  }
}

/// Arms that a pair of `stored` was asked for and is no more, one line each.
void compare_rows(const StoredSweep& stored, const Plan& asked, std::vector<std::string>& lines) {
  std::unordered_set<std::uint64_t> ids;
  for (const PlannedRow& row : asked.rows) ids.insert(row.id.value);
  for (std::size_t r = 0; r < stored.rows.row_id.size(); ++r)
    if (stored.rows.sample[r] == 0 && !ids.contains(stored.rows.row_id[r]))
      lines.push_back(fmt::format("pair {} is no more asked for arm {}",
                                  stored.pairs.id[stored.rows.pair[r]],
                                  stored.arms.label[stored.rows.arm[r]]));
}

bool same_pair_ids(const StoredSweep& stored, const Plan& asked) {
  std::size_t same = 0;
  while (same < std::min(stored.pairs.id.size(), asked.pairs.size()) &&
         stored.pairs.id[same] == asked.pairs[same].id)
    ++same;
  return same == stored.pairs.id.size() && same == asked.pairs.size();
}

bool is_fitted(const Arm& arm) {
  return std::ranges::any_of(arm.patches, [](const Patch& patch) {
    return !mean_differences_of(patch.donor.direction).empty();
  });
}

bool takes_donors_of_all_pairs(const Plan& plan, const std::string& spec) {
  const auto arm = std::find_if(plan.arms.begin(), plan.arms.end(),
                                [&](const Arm& a) { return a.canonical() == spec; });
  return arm != plan.arms.end() &&
         (arm->takes_from(DonorPrompt::other_base) || arm->takes_from(DonorPrompt::other_source) ||
          arm->takes_from(DonorPrompt::same_length) || arm->takes_from(DonorPrompt::donor_side) ||
          is_fitted(*arm));
}

/// What is not just more pairs, samples and arms.
std::vector<std::string> obstacles(const StoredSweep& stored, const SweepSetup& setup,
                                   const SweepIdentity& asked) {
  // ConfigLines that choose pairs are judged by the pairs that they give.
  static const std::set<std::string> may_differ{
      "generation.samples", "sweep.arm",           "sweep.control",         "prompts_fingerprint",
      "prompts.pairing",    "prompts.base_groups", "prompts.source_groups", "prompts.pairs",
      "prompts.caliper",    "logprobs_fingerprint"};
  std::vector<std::string> lines;
  for (const Difference& difference : differences(stored_identity(stored), asked)) {
    const bool first_filler = difference.key == "filler_fingerprint" && difference.was.empty();
    if (!first_filler && !may_differ.contains(difference.key)) lines.push_back(difference.text());
  }
  compare_pairs(stored, setup.plan, lines);
  if (setup.plan.has_answers() && stored.pairs.answer_source.size() == 0)
    lines.push_back(
        "no pair had an answer, is now one with: rows have no column for what it gives");
  std::set<std::string> arms;
  for (const Arm& arm : setup.plan.arms) arms.insert(arm.canonical());
  for (std::size_t arm = 0; arm < stored.arms.spec.size(); ++arm)
    if (!arms.contains(stored.arms.spec[arm]))
      lines.push_back("arm " + stored.arms.label[arm] + " (" + stored.arms.spec[arm] + ") is gone");
  const bool same_pairs = same_pair_ids(stored, setup.plan);
  for (std::size_t arm = 0; arm < stored.arms.spec.size() && !same_pairs; ++arm)
    if (takes_donors_of_all_pairs(setup.plan, stored.arms.spec[arm]))
      lines.push_back("arm " + stored.arms.label[arm] +
                      " takes its donors from all pairs, so that further pairs would change it");
  if (!same_pairs && !setup.plan.natural_prompts.empty())
    lines.push_back(
        "readouts.state_distance compares with all prompts, so that further pairs would change it");
  const auto& samples = stored.rows.sample;
  const std::int64_t were = samples.empty() ? 0 : *std::ranges::max_element(samples) + 1;
  if (const auto are = setup.config.generation.samples; are < were)
    lines.push_back(
        Difference{"generation.samples", std::to_string(were), std::to_string(are)}.text());
  if (lines.empty()) compare_rows(stored, setup.plan, lines);
  return lines;
}

[[noreturn]] void refuse(const std::filesystem::path& folder,
                         const std::vector<std::string>& lines) {
  constexpr std::size_t most = 20;  // lines told
  const auto told = std::span(lines).first(std::min(lines.size(), most));
  std::string list = fmt::format("\n  {}", fmt::join(told, "\n  "));
  if (lines.size() > most) list += "\n  and " + std::to_string(lines.size() - most) + " more";
  throw InputError(folder.string(), "holds a sweep that this one does not extend" + list,
                   "an extension only adds pairs, samples and arms; give another --out");
}

/// The generations of `stored` and itself as the last, as the pairs lie in `asked`.
std::vector<Generation> generations_of(const StoredSweep& stored, const Plan& asked) {
  std::vector<Generation> generations = stored.generations;
  Generation last{stored.fingerprint,
                  config_text(stored_identity(stored).config),
                  {},
                  stored.n_prompts(),
                  stored.n_rows()};
  for (std::size_t n = 0; n < stored.pairs.id.size(); ++n) {
    last.pairs.push_back(static_cast<std::int32_t>(n));
    last.arms.push_back(stored.pair(n).arms);
  }
  generations.push_back(std::move(last));
  const auto places = places_of_pairs(asked);
  for (Generation& generation : generations)
    for (std::int32_t& pair : generation.pairs)
      pair = places.at(stored.pairs.id[static_cast<std::size_t>(pair)]);
  return generations;
}

/// The prompts and pairs of a plan that has its texts.
PromptSource prompts_of(const Plan& plan) {
  return [&plan](const PromptSink& sink) {
    for (std::size_t p = 0; p < plan.prompts.size(); ++p) sink(plan.prompt(p));
    return plan.pairs;
  };
}

}  // namespace

std::string first_difference(const StoredSweep& stored, const Plan& asked) {
  std::vector<std::string> lines;
  compare_pairs(stored, asked, lines);
  if (!lines.empty()) return lines.front();
  for (std::size_t n = 0; n < asked.pairs.size(); ++n) {
    const PromptPair& pair = asked.pairs[n];
    if (n >= stored.pairs.id.size() || stored.pairs.id[n] != pair.id)
      return "pair " + pair.id + " is new or lies elsewhere";
    if (stored.pair(n).arms != pair.arms) return "pair " + pair.id + " is asked for other arms";
  }
  if (!stored.generations.empty()) return "";  // its prompts have an order of their own
  for (std::size_t p = 0; p < asked.prompts.size(); ++p)
    if (p >= stored.prompts.id.size() || stored.prompts.id[p] != asked.prompt_ids[p])
      return "prompt " + std::string(asked.prompt_ids[p]) + " is new or lies elsewhere";
  return "";
}

std::uint64_t grown_fingerprint(std::uint64_t fingerprint,
                                const std::vector<Generation>& generations) {
  if (generations.empty()) return fingerprint;
  Hasher hasher;
  hasher.update(hex(fingerprint));
  for (const Generation& generation : generations) hasher.update(hex(generation.fingerprint));
  return hasher.digest();
}

Plan extend_sweep(const std::filesystem::path& folder, SweepSetup& setup,
                  const SweepIdentity& identity, SweepFacts& facts) {
  const StoredSweep stored = read_plan_file(folder);
  if (const auto lines = obstacles(stored, setup, identity); !lines.empty()) refuse(folder, lines);
  const PlanText text = plan_text(setup.config, setup.tokenizer);
  const Plan before = stored_plan(stored, setup.model, text, Texts::forgotten);
  const Plan whole = std::move(setup.plan);
  facts.generations = generations_of(stored, whole);
  facts.fingerprint = grown_fingerprint(facts.fingerprint, facts.generations);
  const PromptSource prompts = prompts_of(whole);
  const auto& [device, dtype, memory] = setup.target;
  return make_plan(
      {setup.config, setup.model, prompts, text, device, dtype, Texts::kept, &before, memory});
}

}  // namespace rvsweep
