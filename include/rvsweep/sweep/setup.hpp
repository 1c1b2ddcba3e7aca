#pragma once
// From a configuration to a plan, before weights are read.
#include <string>

#include "rvsweep/experiment/directions.hpp"
#include "rvsweep/model/weight_source.hpp"
#include "rvsweep/plan/plan.hpp"
#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/sweep/identity.hpp"
#include "rvsweep/text/regex_families.hpp"
#include "rvsweep/text/token_sets.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// What a sweep is planned for.
struct Target {
  std::string device = {}, dtype = {};  // "cpu", "float32"
  double memory = 0;                    // bytes of a GPU that a bundle may fill; 0 on a CPU
};

struct SweepSetup {
  SweepConfig config;
  ModelConfig model;
  WeightSource weights;
  Tokenizer tokenizer;
  RegexFamilies families;  // none where keywords are off
  TokenSets token_sets;    // empty where first_token is off
  FileFingerprints files;
  Target target;  // resolved
  Plan plan;
  DirectionFiles direction_files;
};

/// `target` overrides what the configuration says (a resumed sweep keeps its own); its empty fields
/// are resolved from the configuration. With `stored`, prompts and plan are that sweep's and no
/// prompts file is read. A plan without texts is for looking at, see plan.hpp. Throws InputError
/// for all that is wrong with the input.
SweepSetup prepare_sweep(const ConfigValues& values, Target target = {},
                         const StoredSweep* stored = nullptr, Texts texts = Texts::kept);

/// Whether a read-out of the configuration needs the texts of prompts.
Texts texts_needed(const ReadoutsConfig& readouts);

/// What plans need of the tokenizer, which must outlive it, and of the files that `config` names.
PlanText plan_text(const SweepConfig& config, const Tokenizer& tokenizer);

/// On this machine, with `threads` a rank. The model's fingerprints, which take reading every byte
/// of the weights, are left empty.
SweepIdentity identity_of(const SweepSetup& setup, int threads);

/// Fills them in.
void add_model_fingerprint(const SweepSetup& setup, SweepIdentity& identity);

/// What plan.h5 holds beside prompts, pairs and rows: the identity, the arms, and the columns that
/// bundles fill.
SweepFacts facts_of(const SweepSetup& setup, const SweepIdentity& identity);

}  // namespace rvsweep
