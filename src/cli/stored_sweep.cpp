#include "rvsweep/cli/stored_sweep.hpp"

#include <optional>

#include "rvsweep/cli/sweep_setup.hpp"

namespace rvsweep {
namespace {

using Generation = StaticSweep::Generation;

/// Those that a generation had: its prompts are the first by number.
PromptSet prompts_of(const StaticSweep& sweep, const Generation& generation) {
  const PromptSet all = stored_prompts(sweep);
  PromptSet set;
  set.prompts.resize(static_cast<std::size_t>(generation.n_prompts));
  for (std::size_t place = 0; place < all.prompts.size(); ++place)
    if (const auto number = sweep.number_of_prompt(place); number < generation.n_prompts)
      set.prompts[static_cast<std::size_t>(number)] = all.prompts[place];
  const auto renumbered = [&](PromptIndex place) {
    const auto number = sweep.number_of_prompt(static_cast<std::size_t>(place.value));
    return PromptIndex(static_cast<std::int32_t>(number));
  };
  for (const std::int32_t place : generation.pairs) {
    const PromptPair& pair = all.pairs.at(static_cast<std::size_t>(place));
    set.pairs.push_back({pair.id, renumbered(pair.source), renumbered(pair.base)});
  }
  return set;
}

}  // namespace

std::uint64_t stored_prompts_fingerprint(const StaticSweep& sweep) {
  return std::stoull(attribute(sweep, "prompts_fingerprint"), nullptr, 16);
}

PromptSet stored_prompts(const StaticSweep& sweep) {
  PromptSet set;
  set.fingerprint = stored_prompts_fingerprint(sweep);
  for (std::size_t p = 0; p < sweep.prompts.id.size(); ++p)
    set.prompts.push_back({sweep.prompts.id[p], sweep.prompts.text[p], sweep.prompts.group[p]});
  for (std::size_t n = 0; n < sweep.pairs.id.size(); ++n)
    set.pairs.push_back(
        {sweep.pairs.id[n], PromptIndex(sweep.pairs.source[n]), PromptIndex(sweep.pairs.base[n])});
  return set;
}

Plan stored_plan(const StaticSweep& stored, const ModelConfig& model, const PlanText& text) {
  std::optional<Plan> plan;
  const auto add = [&](const std::string& config, const PromptSet& prompts) {
    plan = make_plan(parse_sweep_config(read_config_text(config, "the stored configuration")),
                     model, prompts, text, attribute(stored, "device_type"),
                     attribute(stored, "dtype"), plan ? &*plan : nullptr);
  };
  for (const Generation& generation : stored.generations)
    add(generation.config, prompts_of(stored, generation));
  add(attribute(stored, "config"), stored_prompts(stored));
  return std::move(*plan);
}

}  // namespace rvsweep
