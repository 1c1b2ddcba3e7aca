#include "rvsweep/sweep/launch.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/cores.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

Bytes pack(const Launch& launch) {
  json config = json::object();
  for (const auto& [key, values] : launch.config)
    for (const auto& value : values) config[key].push_back({value.text, value.where});
  const auto packed = json::to_msgpack(
      {config, launch.device, launch.dtype, launch.threads, launch.fingerprint, launch.work_left,
       launch.refusal, launch.exit_code, launch.families, launch.token_sets.recursive,
       launch.token_sets.task, launch.mean_prompts, launch.tokens_after_window});
  Bytes bytes(packed.size());
  std::memcpy(bytes.data(), packed.data(), packed.size());
  return bytes;
}

Launch unpack(const Bytes& bytes) {
  const json packed = json::from_msgpack(bytes);
  Launch launch;
  for (const auto& [key, values] : packed.at(0).items())
    for (const auto& value : values)
      launch.config[key].push_back(
          {value.at(0).get<std::string>(), value.at(1).get<std::string>()});
  packed.at(1).get_to(launch.device);
  packed.at(2).get_to(launch.dtype);
  packed.at(3).get_to(launch.threads);
  packed.at(4).get_to(launch.fingerprint);
  packed.at(5).get_to(launch.work_left);
  packed.at(6).get_to(launch.refusal);
  packed.at(7).get_to(launch.exit_code);
  packed.at(8).get_to(launch.families);
  packed.at(9).get_to(launch.token_sets.recursive);
  packed.at(10).get_to(launch.token_sets.task);
  packed.at(11).get_to(launch.mean_prompts);
  packed.at(12).get_to(launch.tokens_after_window);
  return launch;
}

}  // namespace

void add_experiment(const SweepSetup& setup, Launch& launch) {
  launch.families = setup.families.text;
  launch.token_sets = setup.token_sets;
  launch.mean_prompts = setup.plan.mean_prompts;
  launch.tokens_after_window = setup.plan.tokens_after_window;
}

Launch share_launch(Communicator& communicator, Launch launch) {
  Bytes bytes = communicator.rank() == 0 ? pack(launch) : Bytes();
  communicator.broadcast(bytes, 0);
  return communicator.rank() == 0 ? launch : unpack(bytes);
}

int automatic_threads(Communicator& communicator, const NodePlace& place) {
  const GivenCores cores = given_cores(std::getenv);
  std::string own_mask = place.host + ":";
  for (const int cpu : cores.mask) own_mask += " " + std::to_string(cpu);
  const auto masks = communicator.all_gather(own_mask);
  const auto ranks_of_mask = std::count(masks.begin(), masks.end(), own_mask);
  const int own = threads_for_rank(cores, static_cast<int>(ranks_of_mask), place.local_size);
  int least = own;
  for (const auto& text : communicator.all_gather(std::to_string(own)))
    least = std::min(least, std::stoi(text));
  return least;
}

SweepSettings sweep_settings(const SweepConfig& config, const ModelConfig& model,
                             const Tokenizer& tokenizer, const Launch& launch) {
  SweepSettings settings;
  settings.generation = config.generation;
  settings.readouts = config.readouts;
  if (!launch.families.empty())
    settings.families = parse_regex_families(launch.families, "readouts.families").families;
  settings.token_sets = launch.token_sets;
  settings.logit_lens_layers = logit_lens_layers(config.readouts, model.n_layers);
  settings.arms = all_arms(config, model);
  if (config.generation.stop_at_eos) {
    std::set<std::int32_t> stop(model.eos_token_ids.begin(), model.eos_token_ids.end());
    if (const auto id = tokenizer.token_id(model.eos_token)) stop.insert(*id);
    settings.stop_tokens.assign(stop.begin(), stop.end());
  }
  settings.seed = config.seed;
  settings.window = config.window;
  settings.tokens_after_window = launch.tokens_after_window;
  settings.early_layer = parse_layer(config.early_layer.text, model.n_layers);
  settings.late_layer = parse_layer(config.late_layer.text, model.n_layers);
  return settings;
}

}  // namespace rvsweep
