#include "rvsweep/sweep/setup.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "rvsweep/core/builtin_files.hpp"
#include "rvsweep/core/cores.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/version.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/text/keyword_tokens.hpp"
#include "sweep/stored.hpp"

namespace rvsweep {
namespace {

RegexFamilies read_families(const ReadoutsConfig& readouts) {
  if (!readouts.keywords) return {};
  const std::string name = "regex_families.json";
  return parse_regex_families(builtin_or_file(readouts.families, name, "readouts.families"),
                              readouts.families == "builtin" ? name : readouts.families);
}

TokenSets read_token_sets(const SweepConfig& config, const Tokenizer& tokenizer) {
  if (!config.readouts.first_token) return {};
  const std::string name = "token_sets.json";
  return parse_token_sets(builtin_or_file(config.token_sets, name, "readouts.token_sets"),
                          config.token_sets == "builtin" ? name : config.token_sets, tokenizer);
}

/// Of token sets, filler and word lists.
void add_fingerprints(const SweepConfig& config, const TokenSets& sets, const PlanText& text,
                      const Plan& plan, FileFingerprints& files) {
  if (config.readouts.first_token) {
    std::string ids;
    for (const auto& set : {sets.recursive, sets.task})
      for (const std::int64_t id : set) ids += std::to_string(id) + (id == set.back() ? ";" : ",");
    files.token_sets = hex(xxh3(ids));
  }
  if (std::any_of(plan.arms.begin(), plan.arms.end(),
                  [](const Arm& arm) { return arm.takes_from(DonorPrompt::filler); }))
    files.filler = hex(xxh3(text.filler));
  const std::set<std::string> word_lists = keyword_files(plan.arms);
  std::string words;
  for (const std::string& file : word_lists)
    for (const std::string& word : read_word_list(file)) words += word + "\n";
  if (!word_lists.empty()) files.keywords = hex(xxh3(words));
}

/// The prompts file, a bank paired under the tokens that its rows will have; prompts go to `sink`.
PromptSet read_pairs(const SweepConfig& config, const PlanText& text, const PromptSink& sink) {
  if (config.pairing.kind == PairingKind::listed) return read_prompts(config.prompts_file, sink);
  PromptSet set = pair_bank(read_bank(config.prompts_file), config.pairing, config.seed,
                            [&](const std::string& prompt) {
                              return std::ssize(text.encode_prompt(prompt).encoding.ids);
                            });
  for (Prompt& prompt : set.prompts) sink(std::move(prompt));
  set.prompts.clear();
  return set;
}

/// Only a folder put together by hand, for drawn weights, may have another model's tokenizer.
void check_vocabulary(const Plan& plan, const ModelConfig& model) {
  for (std::size_t p = 0; p < plan.prompts.size(); ++p)
    for (const std::int32_t token : plan.tokens[p])
      if (token >= model.vocab_size)
        throw InputError("prompt " + std::string(plan.prompt_ids[p]),
                         "has token " + std::to_string(token) +
                             ", but the model's vocabulary ends at " +
                             std::to_string(model.vocab_size - 1),
                         "config.json and tokenizer.json must belong together");
}

}  // namespace

PlanText plan_text(const SweepConfig& config, const Tokenizer& tokenizer) {
  PlanText text;
  const ChatTemplate* chat = find_chat_template(config.chat_template);
  if (chat != nullptr) check_chat_template(*chat, tokenizer);
  text.encode_prompt = [&tokenizer, chat](const std::string& prompt) {
    return encode_prompt(tokenizer, chat, prompt);
  };
  text.encode = [&tokenizer](const std::string& words) { return tokenizer.encode(words); };
  text.keyword_tokens = [&tokenizer, chat](const std::string& file, const std::string& prompt) {
    return keyword_tokens(prompt, encode_prompt(tokenizer, chat, prompt).encoding.spans,
                          read_word_list(file));
  };
  text.filler = builtin_or_file(config.filler, "filler.txt", "prompts.filler");
  text.threads = threads_for_rank(given_cores(std::getenv), 1, 1);
  return text;
}

Texts texts_needed(const ReadoutsConfig& readouts) {
  return readouts.copying || readouts.reencode ? Texts::kept : Texts::forgotten;
}

SweepSetup prepare_sweep(const ConfigValues& values, std::string device, std::string dtype,
                         const StoredSweep* stored, Texts texts) {
  SweepConfig config = parse_sweep_config(values);
  ModelConfig model = load_model_config(config.model_path);
  WeightSource weights = find_weights(config.model_path, model, config.random_weights);
  Tokenizer tokenizer = Tokenizer::load(config.model_path);
  RegexFamilies families = read_families(config.readouts);
  if (device.empty()) device = resolve_device(config.device);
  if (dtype.empty()) dtype = resolve_dtype(config.dtype, device);
  TokenSets token_sets = read_token_sets(config, tokenizer);
  const PlanText text = plan_text(config, tokenizer);
  FileFingerprints files;
  const PromptSource prompts = [&](const PromptSink& sink) {
    PromptSet set = read_pairs(config, text, sink);
    files.prompts = hex(set.fingerprint);
    return std::move(set.pairs);
  };
  Plan plan = stored != nullptr ? stored_plan(*stored, model, text, texts)
                                : make_plan({config, model, prompts, text, device, dtype, texts});
  if (stored != nullptr) files.prompts = stored_identity(*stored).files.prompts;
  check_vocabulary(plan, model);
  if (config.readouts.keywords) files.families = hex(xxh3(families.text));
  add_fingerprints(config, token_sets, text, plan, files);
  return {std::move(config),   std::move(model),      std::move(weights), std::move(tokenizer),
          std::move(families), std::move(token_sets), std::move(files),   std::move(device),
          std::move(dtype),    std::move(plan)};
}

SweepIdentity identity_of(const SweepSetup& setup, int threads) {
  SweepIdentity identity;
  identity.schema_version = schema_version;
  identity.rvsweep_version = version_number();
  identity.git_commit = git_commit();
  identity.config = setup.config.lines;
  identity.model_path = setup.config.model_path.string();
  identity.tokenizer_fingerprint = hex(setup.tokenizer.fingerprint());
  identity.files = setup.files;
  identity.n_layers = setup.model.n_layers;
  identity.early_layer = setup.plan.early_layer;
  identity.late_layer = setup.plan.late_layer;
  identity.window = setup.config.window;
  identity.bundle_rows = setup.plan.bundle_rows;
  identity.device = setup.device;
  const Placement placement = place_rank(setup.device, setup.dtype, 0);
  identity.hardware = hardware_name(placement);
  identity.dtype = setup.dtype;
  identity.threads = threads;
  identity.libtorch_version = libtorch_version();
  identity.gpu_libraries = gpu_libraries(placement);
  return identity;
}

SweepFacts facts_of(const SweepSetup& setup, const SweepIdentity& identity) {
  SweepFacts facts;
  facts.attributes = attributes_of(identity);
  facts.fingerprint = fingerprint_of(identity);
  for (const Arm& arm : setup.plan.arms) {
    facts.arms.label.push_back(arm.label);
    facts.arms.kind.push_back(kind_name(arm));
    facts.arms.spec.push_back(arm.canonical());
  }
  facts.prompt_columns = prompt_columns(setup.config, setup.model);
  facts.row_columns =
      row_columns(setup.config, setup.model, setup.plan.arms, setup.families.families);
  return facts;
}

}  // namespace rvsweep
