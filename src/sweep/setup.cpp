#include "rvsweep/sweep/setup.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <tuple>

#include "rvsweep/core/builtin_files.hpp"
#include "rvsweep/core/cores.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/core/version.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/model_config/deciding_bytes.hpp"
#include "rvsweep/plan/directions.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/direction_file.hpp"
#include "rvsweep/storage/prompt_logprob.hpp"
#include "rvsweep/text/keyword_tokens.hpp"
#include "rvsweep/text/named_spans.hpp"
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

/// Of token sets and filler.
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
}

/// What the files of directions hold, which must be what the configuration says.
DirectionFiles read_directions(const std::vector<Arm>& arms, const ModelConfig& model) {
  DirectionFiles files;
  std::set<std::tuple<Site, std::string, std::string>> read;  // by many arms
  for (const Arm& arm : arms)
    for (const Patch& patch : arm.patches)
      for (const auto& [name, file] : patch.donor.files) {
        const Site site = patch.site()->site;
        if (!read.emplace(site, file, name).second) continue;
        if (name != direction::file + hex(xxh3(read_file(file).value_or(""))))
          throw InputError(file, "no longer holds the direction of this sweep",
                           "put the file back, or give another --out");
        files[{site, name}] =
            read_direction(file, model.n_layers, site_heads(site, model) * site_dim(site, model));
      }
  return files;
}

/// Log-probabilities that prompts are matched by, from prompts.matched_on.
std::function<double(const Prompt&)> logprobs_of(const Pairing& pairing, FileFingerprints& files) {
  const auto known = read_prompt_logprobs(pairing.matched_on);
  Hasher hasher;
  for (const auto& [text, logprob] : known) hasher.update(fmt::format("{} {}\n", text, logprob));
  files.logprobs = hex(hasher.digest());
  return [known, file = pairing.matched_on](const Prompt& prompt) {
    const auto found = known.find(prompt.text_hash());
    if (found == known.end())
      throw InputError(
          file, "has no log-probability of the prompt \"" + prompt.text.substr(0, 40) + "...\"",
          "make it by a sweep of all prompts of the groups");
    return found->second;
  };
}

/// The prompts file, a bank paired under the tokens that its rows will have; prompts go to `sink`.
PromptSet read_pairs(const SweepConfig& config, const PlanText& text, const ChatTemplate* chat,
                     FileFingerprints& files, const PromptSink& sink) {
  const Pairing& pairing = config.pairing;
  if (pairing.kind == PairingKind::listed) return read_prompts(config.prompts_file, sink, chat);
  PromptMeasures measures{
      [&](const Prompt& prompt) { return std::ssize(text.encode_prompt(prompt).encoding.ids); }};
  if (pairing.kind == PairingKind::matched) measures.logprob = logprobs_of(pairing, files);
  PromptSet set = pair_bank(read_bank(config.prompts_file, chat), pairing, config.seed, measures);
  if (pairing.kind == PairingKind::matched)
    spdlog::info(
        "prompts.pairing = matched: {} of {} possible pairs are within {} standard "
        "deviations of length and log-probability",
        set.pairs.size(), set.most_pairs, pairing.caliper);
  if (std::ssize(set.pairs) < pairing.pairs)
    spdlog::warn("prompts.pairs = {}, but these groups and this pairing make {} pairs",
                 pairing.pairs, set.pairs.size());
  for (Prompt& prompt : set.prompts) sink(std::move(prompt));
  set.prompts.clear();
  return set;
}

/// A GPU's memory as run.device_memory says, else what it has, in whole GB so that drivers which
/// keep a little more for themselves plan the same bundles.
double resolve_memory(const SweepConfig& config, const Target& target) {
  if (target.device == "cpu") return 0;
  if (config.device_memory > 0) return config.device_memory;
  if (target.memory > 0) return target.memory;
  return std::floor(total_memory(place_rank(target.device, target.dtype, 0)) / 1e9) * 1e9;
}

/// Tokens that the template puts around a prompt of one token.
std::int64_t tokens_around(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  return std::ssize(encode_prompt(tokenizer, &chat, "a").encoding.ids) - 1;
}

/// Warns of a named template where the model has been found to have another.
void warn_of_foreign(const ChatTemplate& chat, const SweepConfig& config,
                     const Tokenizer& tokenizer) {
  if (find_chat_template(config.chat_template) == nullptr ||
      !std::filesystem::exists(own_template_file(config.model_path)))
    return;
  const auto own = load_chat_template("own", config.model_path);
  if (own->user == chat.user) return;
  spdlog::warn(
      "prompts.template = {} is not the model's own chat template: it puts {} tokens around a "
      "prompt, the model's own {}; set prompts.template = own unless that is meant",
      chat.name, tokens_around(chat, tokenizer), tokens_around(*own, tokenizer));
}

/// A primary read-out that no row will have.
void check_primary(const ConfigValue& primary, const std::vector<ColumnSpec>& row_columns) {
  const auto names = readout_names(row_columns);
  if (primary.text.empty() || std::ranges::find(names, primary.text) != names.end()) return;
  throw InputError(
      primary.where,
      "study.primary is \"" + primary.text + "\", which this sweep does not read out",
      fmt::format("it reads out {}; [readouts] turns on more", fmt::join(names, ", ")));
}

/// Warns of prompts that already hold what the tokenizer or the template puts around them.
void warn_of_doubled(const Plan& plan, const SweepConfig& config, const ChatTemplate* chat,
                     const Tokenizer& tokenizer) {
  std::set<std::int32_t> special;
  if (chat != nullptr)
    for (const std::string& token : chat->special)
      special.insert(tokenizer.encode(token, /*add_special_tokens=*/false).front());
  const auto specials_of = [&](const auto& ids) {
    return std::ranges::count_if(ids, [&](std::int32_t id) { return special.contains(id); });
  };
  const auto of_template = specials_of(encode_prompt(tokenizer, chat, "a").encoding.ids);
  const std::vector<std::int32_t> around = tokenizer.encode("");
  std::string doubled, templated;  // the first such prompt
  for (std::size_t p = 0; p < plan.prompts.size(); ++p) {
    const std::vector<std::int32_t> ids = plan.tokens[p];
    if (doubled.empty() && special.empty() && ids.size() > 1 && !around.empty() &&
        ids[0] == around[0] && ids[1] == around[0])
      doubled = plan.prompt_ids[p];
    if (templated.empty() && !special.empty() && !ids.empty() && !plan.openings.contains(p) &&
        specials_of(ids) > of_template)
      templated = plan.prompt_ids[p];
  }
  if (!doubled.empty())
    spdlog::warn(
        "prompt {} begins with the token that the tokenizer puts in front, which the model "
        "then sees twice: leave it out of the text",
        doubled);
  if (!templated.empty())
    spdlog::warn(
        "prompt {} holds special tokens of prompts.template = {}, which is written around "
        "it once more: give the user's words alone, or prompts.template = none",
        templated, config.chat_template);
}

/// Throws InputError for an answer without a first token; warns of pairs without a logit difference
/// because both answers begin alike.
void check_answers(const Plan& plan, const SweepConfig& config, const Tokenizer& tokenizer) {
  std::vector<std::string> alike;
  for (const PromptPair& pair : plan.pairs) {
    try {
      const AnswerTokens tokens = first_tokens(pair.answers, tokenizer);
      if (!tokens.source.empty() && !tokens.base.empty() && !tokens.differ())
        alike.push_back(pair.id);
    } catch (const InputError& error) {
      throw InputError(config.prompts_file.string(), "pair " + pair.id + ": " + error.what());
    }
  }
  if (!alike.empty())
    spdlog::warn(
        "{}: the answers of {} of {} pairs begin with the same token, first those of pair {}: "
        "their logit_diff is NaN; give answers whose first tokens differ",
        config.prompts_file.string(), alike.size(), plan.pairs.size(), alike.front());
}

/// Many chat models are published with a penalty, which is part of how they are known to speak.
void note_penalty(const SweepConfig& config, ModelConfig& model) {
  const double asked = model.repetition_penalty, set = config.generation.repetition_penalty;
  if (asked != 1 && asked != set)
    model.notes.push_back(fmt::format(
        "generation_config.json asks for repetition_penalty = {}, generation.repetition_penalty "
        "is {}",
        asked, set));
}

}  // namespace

PlanText plan_text(const SweepConfig& config, const Tokenizer& tokenizer) {
  PlanText text;
  const auto chat = load_chat_template(config.chat_template, config.model_path);
  if (chat != nullptr) check_chat_template(*chat, tokenizer);
  text.encode_prompt = [&tokenizer, chat](const Prompt& prompt) {
    return encode_prompt(tokenizer, chat.get(), prompt.text, prompt.opening);
  };
  text.encode = [&tokenizer](const std::string& words) { return tokenizer.encode(words); };
  text.keyword_tokens = [&tokenizer, chat](const std::set<std::string>& words,
                                           const Prompt& prompt) {
    const PromptEncoding encoded =
        encode_prompt(tokenizer, chat.get(), prompt.text, prompt.opening);
    return keyword_tokens(prompt.text, encoded.encoding.spans, words);
  };
  text.span_tokens = [&tokenizer, chat](const std::string& name, const Prompt& prompt) {
    const PromptEncoding encoded =
        encode_prompt(tokenizer, chat.get(), prompt.text, prompt.opening);
    return span_tokens(prompt.spans, name, prompt.text, encoded.encoding.spans);
  };
  text.filler = builtin_or_file(config.filler, "filler.txt", "prompts.filler");
  text.threads = threads_for_rank(given_cores(std::getenv), 1, 1);
  return text;
}

Texts texts_needed(const ReadoutsConfig& readouts) {
  return readouts.copying || readouts.reencode ? Texts::kept : Texts::forgotten;
}

SweepSetup prepare_sweep(const ConfigValues& values, Target target, const StoredSweep* stored,
                         Texts texts) {
  SweepConfig config = parse_sweep_config(values);
  ModelConfig model = load_model_config(config.model_path);
  note_penalty(config, model);
  WeightSource weights = find_weights(config.model_path, model, config.random_weights);
  if (stored == nullptr)
    for (const std::string& note : model.notes) spdlog::warn("model: {}", note);
  Tokenizer tokenizer = Tokenizer::load(config.model_path);
  RegexFamilies families = read_families(config.readouts);
  if (target.device.empty()) target.device = resolve_device(config.device);
  if (target.dtype.empty()) target.dtype = resolve_dtype(config.dtype, target.device);
  target.memory = resolve_memory(config, target);
  TokenSets token_sets = read_token_sets(config, tokenizer);
  const PlanText text = plan_text(config, tokenizer);
  const auto chat = load_chat_template(config.chat_template, config.model_path);
  FileFingerprints files;
  if (chat != nullptr && find_chat_template(config.chat_template) == nullptr)
    files.chat_template = hex(fingerprint_of(*chat));
  const PromptSource prompts = [&](const PromptSink& sink) {
    PromptSet set = read_pairs(config, text, chat.get(), files, sink);
    files.prompts = hex(set.fingerprint);
    return std::move(set.pairs);
  };
  Plan plan = stored != nullptr ? stored_plan(*stored, model, text, texts)
                                : make_plan({config, model, prompts, text, target.device,
                                             target.dtype, texts, nullptr, target.memory});
  if (stored != nullptr) {
    const FileFingerprints of_stored = stored_identity(*stored).files;
    files.prompts = of_stored.prompts;
    files.logprobs = of_stored.logprobs;
  }
  for (std::size_t p = 0; p < plan.prompts.size(); ++p) {
    const std::string where = "prompt " + std::string(plan.prompt_ids[p]);
    for (const std::int32_t token : plan.tokens[p]) check_token(token, model, where);
  }
  DirectionFiles directions = read_directions(plan.arms, model);
  check_primary(config.study.primary,
                row_columns(config, model, plan.arms, families.families, plan.has_answers()));
  if (stored == nullptr) {
    if (chat != nullptr) warn_of_foreign(*chat, config, tokenizer);
    warn_of_doubled(plan, config, chat.get(), tokenizer);
    check_answers(plan, config, tokenizer);
  }
  if (config.readouts.keywords) files.families = hex(xxh3(families.text));
  add_fingerprints(config, token_sets, text, plan, files);
  return {std::move(config),   std::move(model),      std::move(weights), std::move(tokenizer),
          std::move(families), std::move(token_sets), std::move(files),   std::move(target),
          std::move(plan),     std::move(directions)};
}

SweepIdentity identity_of(const SweepSetup& setup, int threads) {
  SweepIdentity identity;
  identity.schema_version = schema_version;
  identity.rvsweep_version = version_number();
  identity.git_commit = git_commit();
  identity.config = setup.config.lines;
  if (setup.target.device == "cpu")  // where it means nothing
    std::erase_if(identity.config,
                  [](const auto& line) { return line.first == "run.device_memory"; });
  identity.model_path = setup.config.model_path.string();
  identity.tokenizer_fingerprint = hex(setup.tokenizer.fingerprint());
  identity.model_notes = fmt::format("{}", fmt::join(setup.model.notes, "\n"));
  identity.files = setup.files;
  identity.n_layers = setup.model.n_layers;
  identity.early_layer = setup.plan.early_layer;
  identity.late_layer = setup.plan.late_layer;
  identity.window = setup.config.window;
  identity.bundle_rows = setup.plan.bundle_rows;
  identity.device = setup.target.device;
  const Placement placement = place_rank(setup.target.device, setup.target.dtype, 0);
  identity.hardware = hardware_name(placement);
  identity.device_memory = static_cast<std::int64_t>(setup.target.memory);
  identity.dtype = setup.target.dtype;
  identity.threads = threads;
  identity.libtorch_version = libtorch_version();
  identity.gpu_libraries = gpu_libraries(placement);
  return identity;
}

void add_model_fingerprint(const SweepSetup& setup, SweepIdentity& identity) {
  const auto [digest, tensors] = model_fingerprint(setup.weights, deciding_bytes(setup.model));
  identity.model_fingerprint = hex(digest);
  identity.tensor_fingerprints = tensors;
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
  facts.row_columns = row_columns(setup.config, setup.model, setup.plan.arms,
                                  setup.families.families, setup.plan.has_answers());
  return facts;
}

}  // namespace rvsweep
