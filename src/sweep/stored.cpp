#include "sweep/stored.hpp"

#include <optional>

#include "rvsweep/sweep/identity.hpp"

namespace rvsweep {
namespace {

using Generation = SweepFacts::Generation;

/// All prompts and pairs, in their order.
PromptSource all_prompts(const StoredSweep& sweep) {
  return [&sweep](const PromptSink& sink) {
    for (std::size_t p = 0; p < sweep.prompts.id.size(); ++p) sink(sweep.prompt(p));
    std::vector<PromptPair> pairs;
    for (std::size_t n = 0; n < sweep.pairs.id.size(); ++n) pairs.push_back(sweep.pair(n));
    return pairs;
  };
}

/// Those that a generation had: its prompts are the first by number.
PromptSource prompts_of(const StoredSweep& sweep, const Generation& generation) {
  return [&](const PromptSink& sink) {
    std::vector<std::size_t> places(static_cast<std::size_t>(generation.n_prompts));
    for (std::size_t place = 0; place < sweep.prompts.id.size(); ++place)
      if (const auto number = sweep.number_of_prompt(place); number < generation.n_prompts)
        places[static_cast<std::size_t>(number)] = place;
    for (const std::size_t place : places) sink(sweep.prompt(place));
    const auto renumbered = [&](PromptIndex place) {
      const auto number = sweep.number_of_prompt(static_cast<std::size_t>(place.value));
      return PromptIndex(static_cast<std::int32_t>(number));
    };
    std::vector<PromptPair> pairs;
    for (std::size_t n = 0; n < generation.pairs.size(); ++n) {
      PromptPair pair = sweep.pair(static_cast<std::size_t>(generation.pairs[n]));
      if (!generation.arms.empty()) pair.arms = generation.arms.at(n);
      pair.source = renumbered(pair.source);
      pair.base = renumbered(pair.base);
      pairs.push_back(std::move(pair));
    }
    return pairs;
  };
}

}  // namespace

Plan stored_plan(const StoredSweep& stored, const ModelConfig& model, const PlanText& text,
                 Texts texts) {
  const SweepIdentity identity = stored_identity(stored);
  std::optional<Plan> plan;
  const auto add = [&](const std::string& written, const PromptSource& prompts, Texts kept) {
    const SweepConfig config =
        parse_sweep_config(read_config_text(written, "the stored configuration"));
    plan = make_plan({config, model, prompts, text, identity.device, identity.dtype, kept,
                      plan ? &*plan : nullptr, static_cast<double>(identity.device_memory)});
  };
  for (const Generation& generation : stored.generations)
    add(generation.config, prompts_of(stored, generation), Texts::forgotten);
  add(config_text(identity.config), all_prompts(stored), texts);
  return std::move(*plan);
}

}  // namespace rvsweep
