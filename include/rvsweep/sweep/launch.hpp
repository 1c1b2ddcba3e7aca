#pragma once
// What rank 0 decides at launch and every rank needs.
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "rvsweep/comm/world.hpp"
#include "rvsweep/experiment/sweep_settings.hpp"
#include "rvsweep/plan/config_file.hpp"
#include "rvsweep/sweep/setup.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

struct Launch {
  ConfigValues config;
  std::string device, dtype;
  std::string families;      // text of the regex families; empty where keywords are off
  TokenSets token_sets;      // empty where first_token is off
  MeanPrompts mean_prompts;  // empty without a mean control
  std::vector<std::vector<std::int32_t>> natural_prompts;  // of readouts.state_distance
  DirectionFiles direction_files;                          // of directions that files hold
  std::map<std::string, MeanPrompts> direction_prompts;    // that mean differences are fitted on
  bool has_answers = false;
  int threads = 1;
  std::uint64_t fingerprint = 0;  // attribute written into each segment
  bool work_left = true;          // some bundle is not committed yet
  std::string refusal;            // what rank 0 found wrong with the input: every rank ends
  static auto fields(auto& self) {
    return std::tie(self.config, self.device, self.dtype, self.families, self.token_sets.recursive,
                    self.token_sets.task, self.mean_prompts, self.natural_prompts,
                    self.direction_files, self.direction_prompts, self.has_answers, self.threads,
                    self.fingerprint, self.work_left, self.refusal);
  }
};

/// Fills in what the experiment needs of rank 0's files: families, token sets, directions, prompts
/// to average.
void add_experiment(const SweepSetup& setup, Launch& launch);

/// Collective: rank 0's launch on every rank.
Launch share_launch(Communicator& communicator, Launch launch);

/// Collective: threads for each rank where run.threads is auto. A rank gets its share of the CPUs
/// that it was given (affinity mask, Slurm's variables, control group), see core/cores.hpp; the
/// least of all ranks.
int automatic_threads(Communicator& communicator, const NodeRank& node);

/// Collective: that the ranks of this node may use fewer cores than there are for them, and what to
/// do; "" where they may use all. mpirun binds one or two ranks to one core each.
std::string unused_cores(Communicator& communicator, const NodeRank& node);

/// Settings of the experiment from the merged configuration and the launch; the same on every rank.
/// Rows stop at the eos ids of config.json and generation_config.json and at the tokenizer's eos
/// token.
SweepSettings sweep_settings(const SweepConfig& config, const ModelConfig& model,
                             const Tokenizer& tokenizer, const Launch& launch);

}  // namespace rvsweep
