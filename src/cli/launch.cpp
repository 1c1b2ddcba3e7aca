#include "rvsweep/cli/launch.hpp"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

Bytes pack(const Launch& launch) {
  json config = json::object();
  for (const auto& [key, values] : launch.config)
    for (const auto& value : values) config[key].push_back({value.text, value.where});
  const auto packed =
      json::to_msgpack({config, launch.device, launch.dtype, launch.threads, launch.fingerprint,
                        launch.work_left, launch.refusal, launch.exit_code, launch.families,
                        launch.token_sets.recursive, launch.token_sets.task, launch.mean_prompts});
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
  return launch;
}

/// The CPUs that this process may use, as "0 1 5".
std::string affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "";
  std::string cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus += (cpus.empty() ? "" : " ") + std::to_string(cpu);
  return cpus;
}

}  // namespace

Launch share_launch(Communicator& communicator, Launch launch) {
  Bytes bytes = communicator.rank() == 0 ? pack(launch) : Bytes();
  communicator.broadcast(bytes, 0);
  return communicator.rank() == 0 ? launch : unpack(bytes);
}

int automatic_threads(Communicator& communicator, const NodePlace& place) {
  std::map<std::string, int> ranks_of_mask;  // "host: cpus"
  for (const auto& mask : communicator.all_gather(place.host + ": " + affinity()))
    ++ranks_of_mask[mask];
  int least = 1024;
  for (const auto& [mask, ranks] : ranks_of_mask) {
    const auto cpus = 1 + std::count(mask.begin() + mask.find(": ") + 2, mask.end(), ' ');
    least = std::min(least, std::max(1, static_cast<int>(cpus) / ranks));
  }
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
  settings.early_layer = parse_layer(config.early_layer.text, model.n_layers);
  settings.late_layer = parse_layer(config.late_layer.text, model.n_layers);
  return settings;
}

}  // namespace rvsweep
