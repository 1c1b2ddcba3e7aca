#pragma once
// A small bundle on a random model, and what its rows are compared with.
#include "experiment/decode.hpp"
#include "experiment/prefill.hpp"
#include "plan/arm_forms.hpp"
#include "rvsweep/experiment/bundle_runner.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep::testing {

/// 64 one-letter tokens, as many as the tiny model has; `before` is what each begins with.
inline Tokenizer letters(const std::string& before = "") {
  std::string file =
      R"({"version":"1.0","added_tokens":[],"normalizer":null,"post_processor":null,)"
      R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},)"
      R"("decoder":{"type":"ByteLevel"},"model":{"type":"BPE","merges":[],"vocab":{)";
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,";
  for (std::size_t i = 0; i < 64; ++i)
    file += (i ? ",\"" : "\"") + before + alphabet[i] + "\":" + std::to_string(i);
  const TemporaryFolder folder;
  folder.write("tokenizer.json", file + "}}}");
  return Tokenizer::load(folder.path());
}

/// A bundle over two prompts and the arms as rows.
struct Study {
  Transformer model = testing::tiny_transformer();
  Tokenizer tokenizer = letters();
  SweepConfig config;
  SweepSettings settings;
  mutable Bundle bundle;  // with_reach
  MeanDonors means;
  NaturalStates natural;

  explicit Study(const std::vector<std::string>& arms, std::int64_t n = 20, std::int64_t m = 23) {
    std::vector<ConfigValue> lines;
    for (const auto& arm : arms) lines.push_back({arm, "test"});
    config.window = settings.window = 4;
    config.generation.max_new_tokens = 10;
    config.generation.temperature = 1.0;
    config.readouts.reencode = config.readouts.forced = config.readouts.step_trace = true;
    config.readouts.logit_lens = {"0:100%", "test"};
    settings.logit_lens_layers = {0, 1, 2, 3};
    settings.token_sets = {{1, 2}, {3}};
    settings.generation = config.generation;
    settings.readouts = config.readouts;
    settings.arms = parse_arms(lines, model.config(), 4);
    settings.early_layer = 1;
    settings.late_layer = 3;
    bundle.shape = {8, 32, 8};
    bundle.contexts = {{PromptIndex(0), some_tokens(n, 1), "base text", true},
                       {PromptIndex(1), some_tokens(m, 2), "source text", true}};
    for (std::int32_t a = 0; a < std::ssize(settings.arms); ++a) add_row(a, 0, 1);
  }

  void add_row(std::int32_t arm, std::int32_t base, std::int32_t donor) {
    BundleRow row;
    row.row = RowIndex(std::ssize(bundle.rows));
    row.arm = ArmIndex(arm);
    row.pair_hash = 99;
    const Arm& of = settings.arms[arm];
    row.base = !of.is_patched() && of.direction == Direction::base_to_source ? donor : base;
    row.donors.assign(of.patches.size(), {donor});
    row.reference = base;
    row.counterpart = donor;
    bundle.rows.push_back(row);
  }

  std::vector<ColumnSpec> columns_of_rows() const {
    const bool has_answers = std::ranges::any_of(
        bundle.rows, [](const BundleRow& row) { return row.answers != PairAnswers(); });
    return row_columns(config, model.config(), settings.arms, settings.families, has_answers);
  }

  BundleResult run(StepObserver observe_step = {}) const {
    const BundleRunner runner{.model = model,
                              .tokenizer = tokenizer,
                              .settings = settings,
                              .prompt_columns = prompt_columns(config, model.config()),
                              .row_columns = columns_of_rows(),
                              .means = means,
                              .natural = natural,
                              .observe_step = std::move(observe_step)};
    return runner.run(with_reach());
  }

  PreparedBundle prepare() const { return prepare_bundle(model, settings, with_reach(), means); }

  /// As it is planned for the arms and the window of today's settings.
  const Bundle& with_reach() const {
    give_reach(settings.arms, settings.window,
               settings.windows.empty() ? settings.window : std::ranges::max(settings.windows), 0,
               bundle.shape);
    return bundle;
  }

  /// All rows, decoded side by side.
  DecodedBatch decode(const PreparedBundle& prepared, StepObserver observe_step = {}) const {
    const RowBatch batch{bundle.rows, prepared.rows};
    const auto steps = std::max<std::int64_t>(settings.generation.max_new_tokens, 1);
    return rvsweep::decode(
        prepared, batch, prepare_rows(prepared, batch.compiled, steps),
        {.generation = settings.generation, .observe_step = std::move(observe_step)});
  }
};

/// Rows 0 to 3 are base, source, a patch and base again, for another pair; 4 is base of a third
/// prompt and 5 the patch of 2 by that prompt.
inline Study study_of_equal_rows(double temperature) {
  Study study({"base", "source", "kv_cache layers=1:3"});
  study.config.generation.temperature = study.settings.generation.temperature = temperature;
  study.bundle.contexts.push_back({PromptIndex(2), some_tokens(30, 5), "other", true});
  study.add_row(0, 0, 2);
  study.add_row(0, 2, 1);
  study.add_row(2, 0, 2);
  for (const int row : {3, 4, 5}) study.bundle.rows[row].pair_hash = 100 + row;
  return study;
}

/// Logits [tokens, vocab] of a text that is read from its first token on, alone.
inline at::Tensor logits_of(const Transformer& model, const std::vector<std::int32_t>& tokens) {
  KvCache cache = KvCache::allocate(model.config(), model.placement(), 1, std::ssize(tokens));
  ForwardInput input;
  input.last_kv_layer = model.config().n_layers;
  input.outputs = Outputs::every_query;
  return model.unembed(feed_prompts(model, {tokens}, input, cache))[0];
}

/// The n most likely tokens after a prompt, the whole text read again for each of them.
inline std::vector<std::int32_t> greedy_tokens(const Transformer& model,
                                               std::vector<std::int32_t> text, std::int64_t n) {
  const auto prompt = std::ssize(text);
  for (std::int64_t i = 0; i < n; ++i)
    text.push_back(logits_of(model, text)[std::ssize(text) - 1].argmax().item<std::int32_t>());
  return {text.begin() + prompt, text.end()};
}

}  // namespace rvsweep::testing
