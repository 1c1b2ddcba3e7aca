#pragma once
// From a configuration to a plan and to the identity that a sweep folder keeps.
#include <string>

#include "rvsweep/model/weight_source.hpp"
#include "rvsweep/plan/plan.hpp"
#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/text/regex_families.hpp"
#include "rvsweep/text/token_sets.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// Everything that is known before weights are read.
struct SweepSetup {
  SweepConfig config;
  ModelConfig model;
  WeightSource weights;
  Tokenizer tokenizer;
  std::uint64_t prompts_fingerprint = 0;
  RegexFamilies families;  // none where keywords are off
  TokenSets token_sets;    // empty where first_token is off
  /// Name and xxh3 of the content of every further file that decides results.
  std::vector<std::pair<std::string, std::string>> file_fingerprints;
  std::string device, dtype;  // resolved
  Plan plan;
};

/// `device` and `dtype` override what the configuration says (a resumed sweep keeps its own);
/// empty: resolve the configuration's. With `stored`, prompts and plan are that sweep's and no
/// prompts file is read. A plan without texts is for looking at, see plan.hpp. Throws InputError
/// for all that is wrong with the input.
SweepSetup prepare_sweep(const ConfigValues& values, std::string device = "",
                         std::string dtype = "", const StoredSweep* stored = nullptr,
                         Texts texts = Texts::kept);

/// Whether a read-out of the configuration needs the texts of prompts.
Texts texts_needed(const ReadoutsConfig& readouts);

/// What plans need of the tokenizer, which must outlive it, and of the files that `config` names.
PlanText plan_text(const SweepConfig& config, const Tokenizer& tokenizer);

/// The arithmetic that a sweep's bits depend on, beside its configuration.
struct ArithmeticIdentity {
  std::string device, hardware, dtype;
  int threads = 1;
};

/// The identity as root attributes and the fingerprint over all that decides a row; nothing else of
/// the sweep.
SweepFacts sweep_identity(const SweepSetup& setup, const ArithmeticIdentity& identity,
                          const std::string& model_fingerprint);

/// The same with the arms and with the columns that bundles fill.
SweepFacts sweep_facts(const SweepSetup& setup, const ArithmeticIdentity& identity,
                       const std::string& model_fingerprint);

/// What differs between the sweep of a folder and the one asked for, one line each; empty where
/// nothing does. The [run] section of the configuration is left to the identity attributes.
std::vector<std::string> differences(const SweepFacts& stored, const SweepFacts& asked);

/// The value of a root attribute; empty where there is none.
std::string attribute(const SweepFacts& facts, const std::string& name);

}  // namespace rvsweep
