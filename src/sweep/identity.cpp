#include "rvsweep/sweep/identity.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

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

/// Facts of the launch that do not decide a row's bits.
bool decides_results(const std::string& attribute) {
  static const std::set<std::string> others{"git_commit", "model_path", "config"};
  return !others.contains(attribute);
}

/// Settings that name a file or folder; what lies there is compared by its fingerprint.
bool is_path(const std::string& key) {
  return key == "model.path" || key == "prompts.file" || key == "prompts.filler" ||
         key == "readouts.families" || key == "readouts.token_sets";
}

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

/// Files beside the prompts that decide rows: only what some row reads.
std::vector<std::pair<std::string, std::string>> file_fingerprints(const SweepConfig& config,
                                                                   const TokenSets& sets,
                                                                   const PlanText& text,
                                                                   const Plan& plan) {
  std::vector<std::pair<std::string, std::string>> result;
  if (config.readouts.first_token) {
    std::string ids;
    for (const auto& set : {sets.recursive, sets.task})
      for (const std::int64_t id : set) ids += std::to_string(id) + (id == set.back() ? ";" : ",");
    result.emplace_back("token_sets_fingerprint", hex(xxh3(ids)));
  }
  if (std::any_of(plan.arms.begin(), plan.arms.end(),
                  [](const Arm& arm) { return arm.takes_from(DonorPrompt::filler); }))
    result.emplace_back("filler_fingerprint", hex(xxh3(text.filler)));
  const std::set<std::string> word_lists = keyword_files(plan.arms);
  std::string words;
  for (const std::string& file : word_lists)
    for (const std::string& word : read_word_list(file)) words += word + "\n";
  if (!word_lists.empty()) result.emplace_back("keywords_fingerprint", hex(xxh3(words)));
  return result;
}

/// section.key -> values of a dumped configuration, without [run].
std::map<std::string, std::string> config_lines(const std::string& text) {
  std::map<std::string, std::string> lines;
  std::istringstream stream(text);
  std::string line, section;
  while (std::getline(stream, line)) {
    if (line.starts_with('[')) section = line.substr(1, line.size() - 2);
    const auto equals = line.find(" = ");
    if (equals == std::string::npos || section == "run") continue;
    std::string& values = lines[section + "." + line.substr(0, equals)];
    values += (values.empty() ? "" : " | ") + line.substr(equals + 3);
  }
  return lines;
}

std::string config_without_run(const std::string& text) {
  std::string result;
  for (const auto& [key, value] : config_lines(text))
    if (!is_path(key)) result += key + " = " + value + "\n";
  return result;
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
  std::uint64_t prompts_fingerprint = 0;
  const PromptSource prompts = [&](const PromptSink& sink) {
    PromptSet set = read_pairs(config, text, sink);
    prompts_fingerprint = set.fingerprint;
    return std::move(set.pairs);
  };
  Plan plan = stored != nullptr ? stored_plan(*stored, model, text, texts)
                                : make_plan(config, model, prompts, text, device, dtype, texts);
  if (stored != nullptr) prompts_fingerprint = stored_prompts_fingerprint(*stored);
  check_vocabulary(plan, model);
  auto fingerprints = file_fingerprints(config, token_sets, text, plan);
  return {std::move(config),   std::move(model),    std::move(weights),    std::move(tokenizer),
          prompts_fingerprint, std::move(families), std::move(token_sets), std::move(fingerprints),
          std::move(device),   std::move(dtype),    std::move(plan)};
}

SweepFacts sweep_identity(const SweepSetup& setup, const ArithmeticIdentity& identity,
                          const std::string& model_fingerprint) {
  const Plan& plan = setup.plan;
  SweepFacts facts;
  facts.attributes = {
      {"schema_version", std::to_string(schema_version)},
      {"rvsweep_version", version_number()},
      {"git_commit", git_commit()},
      {"config", setup.config.text},
      {"model_path", setup.config.model_path.string()},
      {"model_fingerprint", model_fingerprint},
      {"tokenizer_fingerprint", hex(setup.tokenizer.fingerprint())},
      {"prompts_fingerprint", hex(setup.prompts_fingerprint)},
      {"n_layers", std::to_string(setup.model.n_layers)},
      {"early_layer", std::to_string(plan.early_layer)},
      {"late_layer", std::to_string(plan.late_layer)},
      {"window", std::to_string(setup.config.window)},
      {"bundle_rows", std::to_string(plan.bundle_rows)},
      {"device_type", identity.device},
      {identity.device == "cuda" ? "gpu_model" : "cpu_capability", identity.hardware},
      {"dtype", identity.dtype},
      {"threads_per_rank", std::to_string(identity.threads)},
      {"libtorch_version", libtorch_version()},
  };
  if (setup.config.readouts.keywords)
    facts.attributes.emplace_back("families_fingerprint", hex(xxh3(setup.families.text)));
  for (const auto& named : setup.file_fingerprints) facts.attributes.push_back(named);
  Hasher hasher;
  for (const auto& [name, value] : facts.attributes)
    if (decides_results(name)) hasher.update(name + "=" + value + "\n");
  hasher.update(config_without_run(setup.config.text));
  facts.fingerprint = hasher.digest();
  return facts;
}

SweepFacts sweep_facts(const SweepSetup& setup, const ArithmeticIdentity& identity,
                       const std::string& model_fingerprint) {
  const Plan& plan = setup.plan;
  SweepFacts facts = sweep_identity(setup, identity, model_fingerprint);
  for (const Arm& arm : plan.arms) {
    facts.arms.label.push_back(arm.label);
    facts.arms.kind.push_back(kind_name(arm));
    facts.arms.spec.push_back(arm.canonical());
  }
  facts.prompt_columns = prompt_columns(setup.config, setup.model);
  facts.row_columns = row_columns(setup.config, setup.model, plan.arms, setup.families.families);
  return facts;
}

std::string attribute(const SweepFacts& facts, const std::string& name) {
  for (const auto& [key, value] : facts.attributes)
    if (key == name) return value;
  return "";
}

std::vector<std::string> differences(const SweepFacts& stored, const SweepFacts& asked) {
  std::vector<std::string> lines;
  const auto compare = [&](const std::string& name, const std::string& was, const std::string& is) {
    if (was != is) lines.push_back(name + " was \"" + was + "\", is now \"" + is + "\"");
  };
  const auto was = config_lines(attribute(stored, "config"));
  const auto is = config_lines(attribute(asked, "config"));
  std::set<std::string> keys;
  for (const auto& [key, value] : was) keys.insert(key);
  for (const auto& [key, value] : is) keys.insert(key);
  for (const auto& key : keys) {
    if (is_path(key)) continue;
    compare(key, was.contains(key) ? was.at(key) : "", is.contains(key) ? is.at(key) : "");
  }
  for (const auto& [name, value] : asked.attributes)
    if (decides_results(name)) compare(name, attribute(stored, name), value);
  return lines;
}

}  // namespace rvsweep
