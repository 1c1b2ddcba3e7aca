#pragma once
// What rank 0 decides at launch and every rank needs.
#include <string>
#include <vector>

#include "rvsweep/comm/world.hpp"
#include "rvsweep/experiment/sweep_settings.hpp"
#include "rvsweep/plan/config_file.hpp"
#include "rvsweep/sweep/identity.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

struct Launch {
  ConfigValues config;
  std::string device, dtype;
  std::string families;                  // text of the regex families; empty where keywords are off
  TokenSets token_sets;                  // empty where first_token is off
  MeanPrompts mean_prompts;              // empty without a mean control
  std::int64_t tokens_after_window = 0;  // the most of any prompt
  int threads = 1;
  std::uint64_t fingerprint = 0;  // that segments carry
  bool work_left = true;          // some bundle is not committed yet
  std::string refusal;            // rank 0 found the input wrong: every rank ends with `exit_code`
  int exit_code = 0;
};

/// Takes over what the experiment needs of rank 0's files: families, token sets, prompts to
/// average.
void add_experiment(const SweepSetup& setup, Launch& launch);

/// Collective: rank 0's launch on every rank.
Launch share_launch(Communicator& communicator, Launch launch);

/// Collective: threads for each rank where run.threads is auto. A rank gets its share of the CPUs
/// that it was given (affinity mask, Slurm's variables, control group), see core/cores.hpp; the
/// least of all ranks.
int automatic_threads(Communicator& communicator, const NodePlace& place);

/// Settings of the experiment from the merged configuration and the launch; the same on every rank.
/// Rows stop at the eos ids of config.json and generation_config.json and at the tokenizer's eos
/// token.
SweepSettings sweep_settings(const SweepConfig& config, const ModelConfig& model,
                             const Tokenizer& tokenizer, const Launch& launch);

}  // namespace rvsweep
