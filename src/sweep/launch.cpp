#include "rvsweep/sweep/launch.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "rvsweep/core/cores.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/plan/readout_layers.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

/// Host and CPUs of a rank: "node7: 0 1".
std::string mask_text(const NodeRank& node, const GivenCores& cores) {
  return fmt::format("{}: {}", node.host, fmt::join(cores.mask, " "));
}

}  // namespace

void add_experiment(const SweepSetup& setup, Launch& launch) {
  launch.families = setup.families.text;
  launch.token_sets = setup.token_sets;
  launch.mean_prompts = setup.plan.mean_prompts;
  launch.natural_prompts = setup.plan.natural_prompts;
  launch.direction_files = setup.direction_files;
  for (const auto& [name, fit] : setup.plan.direction_fits)
    launch.direction_prompts[name] = fit.prompts;
  launch.has_answers = setup.plan.has_answers();
}

Launch share_launch(Communicator& communicator, Launch launch) {
  const bool is_root = communicator.rank() == 0;
  Bytes bytes = is_root ? to_bytes(launch) : Bytes();
  communicator.broadcast(bytes, 0);
  return is_root ? launch : from_bytes<Launch>(bytes);
}

int automatic_threads(Communicator& communicator, const NodeRank& node) {
  const GivenCores cores = given_cores(std::getenv);
  const std::string own_mask = mask_text(node, cores);
  const auto masks = communicator.all_gather(own_mask);
  const auto ranks_of_mask = std::count(masks.begin(), masks.end(), own_mask);
  const int own = threads_for_rank(cores, static_cast<int>(ranks_of_mask), node.local_size);
  int least = own;
  for (const auto& text : communicator.all_gather(std::to_string(own)))
    least = std::min(least, std::stoi(text));
  return least;
}

std::string unused_cores(Communicator& communicator, const NodeRank& node) {
  if (launched_ranks(std::getenv) == 0) return "";
  const GivenCores cores = given_cores(std::getenv);
  std::set<std::string> used;
  for (const std::string& mask : communicator.all_gather(mask_text(node, cores)))
    if (const std::string here = node.host + ": "; mask.starts_with(here))
      for (const std::string& cpu : split(mask.substr(here.size()), ' ')) used.insert(cpu);
  const int present = cores_for_node(cores);
  if (std::ssize(used) >= present) return "";
  return fmt::format(
      "{}: the ranks may use {} of {} cores: start them with mpirun --bind-to none (or --map-by "
      "slot:PE={}), or srun --cpus-per-task={}",
      node.host, used.size(), present, std::max(1, present / node.local_size),
      std::max(1, present / node.local_size));
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
  settings.attention_layers = attention_layers(config.readouts, model.n_layers);
  settings.state_distance_layers = state_distance_layers(config.readouts, model.n_layers);
  settings.arms = all_arms(config, model);
  if (config.generation.stop_at_eos) {
    std::set<std::int32_t> stop(model.eos_token_ids.begin(), model.eos_token_ids.end());
    if (const auto id = tokenizer.token_id(model.eos_token)) stop.insert(*id);
    settings.stop_tokens.assign(stop.begin(), stop.end());
  }
  settings.seed = config.seed;
  settings.window = config.window;
  settings.windows = config.windows;
  settings.early_layer = parse_layer(config.early_layer.text, model.n_layers);
  settings.late_layer = parse_layer(config.late_layer.text, model.n_layers);
  return settings;
}

}  // namespace rvsweep
