#include "rvsweep/cli/extension.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "rvsweep/cli/stored_sweep.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

using Generation = StaticSweep::Generation;

/// Pairs of `stored` that `asked` lacks or has with other prompts, one line each.
void compare_pairs(const StaticSweep& stored, const StaticSweep& asked,
                   std::vector<std::string>& lines) {
  std::map<std::string, std::size_t> places;
  for (std::size_t n = 0; n < asked.pairs.id.size(); ++n) places.emplace(asked.pairs.id[n], n);
  const auto same = [&](std::int32_t was, std::int32_t is) {
    const auto w = static_cast<std::size_t>(was), i = static_cast<std::size_t>(is);
    return stored.prompts.text[w] == asked.prompts.text[i] &&
           stored.prompts.group[w] == asked.prompts.group[i];
  };
  for (std::size_t n = 0; n < stored.pairs.id.size(); ++n) {
    const auto found = places.find(stored.pairs.id[n]);
    if (found == places.end()) {
      lines.push_back("pair " + stored.pairs.id[n] + " is gone");
      continue;
    }
    const std::string name = "pair " + stored.pairs.id[n] + " has another ";
    if (!same(stored.pairs.source[n], asked.pairs.source[found->second]))
      lines.push_back(name + "source");
    if (!same(stored.pairs.base[n], asked.pairs.base[found->second]))
      lines.push_back(name + "base");
  }
}

bool takes_donors_of_all_pairs(const Plan& plan, const std::string& spec) {
  const auto arm = std::find_if(plan.arms.begin(), plan.arms.end(),
                                [&](const ArmSpec& a) { return a.canonical() == spec; });
  return arm != plan.arms.end() &&
         (arm->control == Control::other_base || arm->control == Control::other_source ||
          arm->control == Control::mean);
}

/// What is not just more pairs, samples and arms.
std::vector<std::string> obstacles(const StaticSweep& stored, const SweepSetup& setup,
                                   const StaticSweep& asked) {
  std::vector<std::string> lines;
  for (const auto& line : differences(stored, asked)) {
    const auto concerns = [&](const char* name) { return line.starts_with(name); };
    // Settings that choose pairs are judged by the pairs that they give.
    if (!concerns("generation.samples ") && !concerns("sweep.arm ") &&
        !concerns("sweep.control ") && !concerns("prompts_fingerprint ") &&
        !concerns("prompts.pairing ") && !concerns("prompts.source_groups ") &&
        !concerns("prompts.base_groups ") && !concerns("prompts.pairs "))
      lines.push_back(line);
  }
  compare_pairs(stored, asked, lines);
  const std::set<std::string> arms(asked.arms.spec.begin(), asked.arms.spec.end());
  for (std::size_t arm = 0; arm < stored.arms.spec.size(); ++arm)
    if (!arms.contains(stored.arms.spec[arm]))
      lines.push_back("arm " + stored.arms.label[arm] + " (" + stored.arms.spec[arm] + ") is gone");
  const bool same_pairs = stored.pairs.id == asked.pairs.id;
  for (std::size_t arm = 0; arm < stored.arms.spec.size() && !same_pairs; ++arm)
    if (takes_donors_of_all_pairs(setup.plan, stored.arms.spec[arm]))
      lines.push_back("arm " + stored.arms.label[arm] +
                      " takes its donors from all pairs, so that further pairs would change it");
  const auto samples = [](const StaticSweep& sweep) {
    return *std::max_element(sweep.rows.sample.begin(), sweep.rows.sample.end()) + 1;
  };
  if (samples(asked) < samples(stored))
    lines.push_back("generation.samples was \"" + std::to_string(samples(stored)) +
                    "\", is now \"" + std::to_string(samples(asked)) + "\"");
  return lines;
}

/// The generations of `stored` and itself as the last, as the pairs lie in `asked`.
std::vector<Generation> generations_of(const StaticSweep& stored, const StaticSweep& asked) {
  std::vector<Generation> generations = stored.generations;
  Generation last{
      stored.fingerprint, attribute(stored, "config"), {}, stored.n_prompts(), stored.n_rows()};
  for (std::size_t n = 0; n < stored.pairs.id.size(); ++n)
    last.pairs.push_back(static_cast<std::int32_t>(n));
  generations.push_back(std::move(last));
  std::map<std::string, std::int32_t> places;
  for (std::size_t n = 0; n < asked.pairs.id.size(); ++n)
    places.emplace(asked.pairs.id[n], static_cast<std::int32_t>(n));
  for (Generation& generation : generations)
    for (std::int32_t& pair : generation.pairs)
      pair = places.at(stored.pairs.id[static_cast<std::size_t>(pair)]);
  return generations;
}

}  // namespace

std::uint64_t grown_fingerprint(std::uint64_t fingerprint,
                                const std::vector<Generation>& generations) {
  if (generations.empty()) return fingerprint;
  Hasher hasher;
  hasher.update(hex(fingerprint));
  for (const Generation& generation : generations) hasher.update(hex(generation.fingerprint));
  return hasher.digest();
}

Plan extend_sweep(const std::filesystem::path& folder, const StaticSweep& stored,
                  const SweepSetup& setup, StaticSweep& asked) {
  if (const auto lines = obstacles(stored, setup, asked); !lines.empty()) {
    constexpr std::size_t most = 20;  // lines told
    std::string list;
    for (std::size_t n = 0; n < std::min(lines.size(), most); ++n) list += "\n  " + lines[n];
    if (lines.size() > most) list += "\n  and " + std::to_string(lines.size() - most) + " more";
    throw InputError(folder.string(), "holds a sweep that this one does not extend" + list,
                     "an extension only adds pairs, samples and arms; give another --out");
  }
  const PlanText text = plan_text(setup.config, setup.tokenizer);
  const Plan before = stored_plan(stored, setup.model, text);
  Plan plan = make_plan(setup.config, setup.model, stored_prompts(asked), text, setup.device,
                        setup.dtype, &before);
  asked.generations = generations_of(stored, asked);
  asked.fingerprint = grown_fingerprint(asked.fingerprint, asked.generations);
  set_bundles(plan, asked);
  return plan;
}

}  // namespace rvsweep
