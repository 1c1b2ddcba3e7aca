#include "rvsweep/plan/result_schema.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "plan/activation_columns.hpp"
#include "plan/answer_columns.hpp"
#include "plan/define_column.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/readout_layers.hpp"

// Shapes: L layers, W tokens of the window, N new tokens at most.

namespace rvsweep {
namespace {

const char* const r_v_definition =
    "r_v/1: pr[late] / pr[early], pr/1 of the window's V at the sweep's late and early layer";
const char* const r_v_centred_definition =
    "r_v_centred/1: r_v/1 with pr_centred/1 in place of pr/1";
const char* const r_v_corrected_definition =
    "r_v_corrected/1: r_v/1 with pr_corrected/1 in place of pr/1";

/// What pr_centred and pr_corrected are made of, of the V that `spectra` has.
ColumnSpec gram_sums_of(ColumnKey<float> key, std::int64_t L, const std::string& spectra) {
  return define(key, {.shape = {L, 3},
                      .description = "of the Gram matrix of the V of " + spectra +
                                     " less the mean of its rows: trace, sum of squares, sum of "
                                     "the squared diagonal",
                      .definition = "gram_sums/1"});
}

/// PR of several windows that end where `spectra` ends.
ColumnSpec window_pr_of(ColumnKey<float> key, const SweepConfig& config, std::int64_t L,
                        const std::string& spectra) {
  return define(key, {.shape = {std::ssize(config.windows), L, 3},
                      .description = "participation ratio of V where " + spectra +
                                     " ends, raw, centred and corrected, by window as in "
                                     "model.window and layer; NaN where there are fewer tokens",
                      .definition = "pr/1, pr_centred/1, pr_corrected/1"});
}

}  // namespace

std::string of_site(const std::string& column, Site site) {
  return column + "_" + info_of(site).name;
}

std::vector<ColumnSpec> prompt_columns(const SweepConfig& config, const ModelConfig& model) {
  const auto L = model.n_layers, W = config.window;
  std::vector<ColumnSpec> result{
      define(columns::spectra,
             {.shape = {L, W},
              .description = "singular values of V of the last W prompt positions at every layer, "
                             "descending; NaN where the prompt has no geometry (see reason)",
              .definition = "spectra/1: singular values, computed in float64, of the "
                            "[W, n_kv_heads*head_dim] output of v_proj"}),
      define(columns::pr, {.shape = {L},
                           .description = "participation ratio of V by layer",
                           .definition = "pr/1: (sum lambda)^2 / sum lambda^2, lambda = sigma^2"}),
      define(columns::pr_centred,
             {.shape = {L},
              .description = "participation ratio of V less the mean of its rows by layer",
              .definition = "pr_centred/1: (tr G)^2 / tr G^2, G the Gram matrix of the rows less "
                            "their mean"}),
      define(columns::pr_corrected,
             {.shape = {L},
              .description = "pr_centred with the bias of W rows corrected by layer, as if they "
                             "were independent; NaN where it cannot be estimated",
              .definition = "pr_corrected/1: gamma_row of Chun et al. 2025 (arXiv 2509.26560)"}),
      gram_sums_of(columns::gram_sums, L, "spectra"),
      define(columns::effective_rank,
             {.shape = {L},
              .description = "effective rank of V by layer (Roy & Vetterli 2007)",
              .definition = "effective_rank/1: exp(-sum q ln q), q = sigma / sum sigma"}),
      define(columns::spectral_entropy,
             {.shape = {L},
              .units = "nats",
              .description = "entropy of the normalised spectrum of V by layer",
              .definition = "spectral_entropy/1: -sum p ln p, p = lambda / sum lambda"}),
      define(columns::stable_rank, {.shape = {L},
                                    .description = "stable rank of V by layer",
                                    .definition = "stable_rank/1: sum lambda / lambda_max"}),
      define(columns::nuclear_ratio,
             {.shape = {L},
              .description = "squared nuclear over squared Frobenius norm by layer",
              .definition = "nuclear_ratio/1: (sum sigma)^2 / sum sigma^2"}),
      define(columns::r_v, {.description = "R_V of the prompt", .definition = r_v_definition}),
      define(columns::r_v_centred, {.description = "R_V of the prompt from pr_centred",
                                    .definition = r_v_centred_definition}),
      define(columns::r_v_corrected, {.description = "R_V of the prompt from pr_corrected",
                                      .definition = r_v_corrected_definition}),
  };
  if (!config.windows.empty())
    result.push_back(window_pr_of(columns::window_pr, config, L, "spectra"));
  std::ranges::move(site_columns(config, L), std::back_inserter(result));
  if (config.readouts.prompt_logprob)
    result.push_back(define(
        columns::logprob,
        {.units = "nats",
         .description = "log-probability of every token of the prompt, given those before it, "
                        "under the unpatched model; NaN for the first; empty for a prompt that "
                        "was not run",
         .definition = "prompt_logprob/1: log_softmax of the logits, in float64"}));
  return result;
}

namespace {

std::vector<ColumnSpec> outcome_columns() {
  return {
      define(columns::status,
             {.description = "whether the row ran: ok, refused, failed (pending: not yet)"}),
      define(columns::reason,
             {.description = "why the row was refused or failed; empty where it is ok"}),
      define(columns::cells_changed,
             {.units = "cells",
              .description = "proof that the patch fired: (layer, position, KV head) donor cells "
                             "written"}),
      define(columns::cells_dropped,
             {.units = "cells", .description = "donor cells outside base, left out"}),
      define(columns::change_norm,
             {.description = "proof that the patch fired: sqrt(sum (new - old)^2) over written K "
                             "and V, old being base's cell at the aligned position, 0 where there "
                             "is none",
              .definition = "change_norm/1"}),
      define(columns::future_keys,
             {.units = "cells",
              .description = "donor keys whose rotation exceeds the first fed query's position"}),
      define(columns::geometry_reason,
             {.description = "why geometry of the row is NaN; empty where it is not"}),
  };
}

/// `most`: patches of the arm that has most of them.
std::vector<ColumnSpec> patch_columns(std::int64_t most) {
  return {
      define(columns::patch_cells_changed,
             {.shape = {most},
              .units = "cells",
              .description = "cells_changed of each patch of the arm, in the order of its text; -1 "
                             "beyond them, and in rows from before an extension that brought "
                             "the first arm of several"}),
      define(columns::patch_change_norm,
             {.shape = {most},
              .description = "change_norm of each patch of the arm, old being base's own cell also "
                             "where patches before it have written; NaN where "
                             "patch_cells_changed is -1",
              .definition = "change_norm/1"}),
  };
}

std::vector<ColumnSpec> generation_columns(std::int64_t N) {
  return {
      define(columns::tokens, {.shape = {N},
                               .units = "token id",
                               .description = "generated tokens, EOS included; -1 after the end"}),
      define(columns::n_generated,
             {.units = "tokens", .description = "number of generated tokens, EOS counted"}),
      define(columns::text, {.description = "generated text without special tokens"}),
      define(columns::stop_reason, {.description = "eos or length"}),
      define(columns::n_generated_v,
             {.units = "tokens",
              .description = "generated tokens that were fed and so have V: all but the last one"}),
  };
}

std::vector<ColumnSpec> prompt_window_columns(std::int64_t L, std::int64_t W) {
  return {
      define(columns::spectra_prompt,
             {.shape = {L, W},
              .description = "singular values of the row's own V, patch included, of the last W "
                             "prompt positions as the first generated position attends to them; "
                             "NaN where a layer has fewer than W",
              .definition = "spectra/1"}),
      gram_sums_of(columns::gram_sums_prompt, L, "spectra_prompt"),
      define(columns::r_v_prompt,
             {.description = "R_V of spectra_prompt", .definition = r_v_definition}),
      define(columns::r_v_prompt_centred,
             {.description = "R_V of the same V less the mean of its rows",
              .definition = r_v_centred_definition}),
      define(columns::r_v_prompt_corrected,
             {.description = "that with the bias of W rows corrected",
              .definition = r_v_corrected_definition}),
  };
}

std::vector<ColumnSpec> generated_window_columns(std::int64_t L, std::int64_t W) {
  return {
      define(columns::spectra_generated,
             {.shape = {L, W},
              .description = "singular values of the row's own V of the last W fed generated "
                             "tokens; NaN where n_generated_v < W",
              .definition = "spectra/1"}),
      gram_sums_of(columns::gram_sums_generated, L, "spectra_generated"),
      define(columns::r_v_generated,
             {.description = "R_V of spectra_generated", .definition = r_v_definition}),
      define(columns::r_v_generated_centred,
             {.description = "R_V of the same V less the mean of its rows",
              .definition = r_v_centred_definition}),
      define(columns::r_v_generated_corrected,
             {.description = "that with the bias of W rows corrected",
              .definition = r_v_corrected_definition}),
  };
}

std::vector<ColumnSpec> reencoded_columns() {
  return {define(columns::r_v_reencoded,
                 {.description = "R_V of prompt + \" \" + text read again by the unpatched model, "
                                 "cut at " +
                                 std::to_string(notebook_truncation) +
                                 " tokens, as in the notebook (measure_rv_on_text)",
                  .definition = r_v_definition})};
}

std::vector<ColumnSpec> notebook_columns() {
  return {define(columns::r_v_notebook,
                 {.description = "notebook_b rows only: R_V from V captured before the patch was "
                                 "applied (the notebook's hook order), which the patch cannot move "
                                 "at its own layer; not a result",
                  .definition = r_v_definition})};
}

std::vector<ColumnSpec> keyword_columns(const std::vector<RegexFamily>& families) {
  std::vector<ColumnSpec> result{
      define(columns::keyword_count,
             {.description = "how many of the notebook's 24 keywords occur in the text",
              .definition = "keyword_count/1: substrings of the lower-cased text, presence not "
                            "count, 0..24"}),
      define(columns::keyword_rate,
             {.units = "per 100 words",
              .description = "words equal to one of the 24 keywords, per 100 words; NaN for a text "
                             "without words",
              .definition = "keyword_rate/1: whole words"}),
  };
  for (const RegexFamily& family : families)
    result.push_back(define(
        ColumnKey<std::int32_t>{family.name.c_str()},
        {.units = "matches", .description = family.description, .definition = family.definition}));
  return result;
}

std::vector<ColumnSpec> copying_columns() {
  return {
      define(columns::keyword_count_new,
             {.description = "how many of the notebook's 24 keywords occur in the text and not in "
                             "the donor's prompt (the row's own where it has no donor)",
              .definition = "keyword_count_new/1: substrings of the lower-cased text that are none "
                            "of the lower-cased prompt, presence not count, 0..24"}),
      define(columns::copied_ngrams,
             {.description = "share of the text's word 4-grams that occur in the donor's prompt "
                             "(the row's own where it has no donor); NaN for a text of fewer than "
                             "4 words",
              .definition = "copied_ngrams/1: 4-grams of the text found in the prompt / 4-grams of "
                            "the text, over lower-cased words (runs of letters, digits, "
                            "apostrophes and bytes beyond ASCII)"}),
      define(columns::repeated_ngrams,
             {.description = "share of the text's word 4-grams that occurred earlier in it; NaN "
                             "for a text of fewer than 4 words",
              .definition = "repeated_ngrams/1: 1 - distinct 4-grams / all 4-grams, over words as "
                            "copied_ngrams has them (seq-rep-4 of Welleck et al. 2020)"}),
      define(columns::repetitive,
             {.description = "1 where the text repeats itself so much that its other scores mean "
                             "little, else 0",
              .definition = "repetitive/1: repeated_ngrams >= 0.3"}),
  };
}

std::vector<ColumnSpec> first_token_columns() {
  return {
      define(columns::kl_first,
             {.units = "nats",
              .description = "KL(unpatched reference || row) at the position that the first token "
                             "is drawn from; the reference is the recipient's prompt, the pair's "
                             "base for unpatched rows",
              .definition = "kl_first/1: sum p (ln p - ln q) over the vocabulary in float64, "
                            "temperature 1"}),
      define(columns::lse_difference,
             {.units = "nats",
              .description = "log-sum-exp of the recursive token set less that of the task token "
                             "set, at the position that the first token is drawn from",
              .definition = "lse_difference/1: LSE(logits of recursive set) - LSE(logits of task "
                            "set)"}),
  };
}

std::vector<ColumnSpec> forced_columns(ColumnKey<double> kl, ColumnKey<double> logprob,
                                       const std::string& prompt) {
  const std::string along = "the greedy unpatched continuation of the " + prompt;
  return {
      define(kl, {.units = "nats",
                  .description = "mean over the tokens of " + along +
                                 ", fed to both, of KL(unpatched reference || row)",
                  .definition = "kl_forced/1: kl_first/1 at every position that a token of it is "
                                "predicted from"}),
      define(logprob,
             {.units = "nats per token",
              .description = "mean log-likelihood of " + along + ", row minus unpatched reference",
              .definition = "logprob/1: mean of ln q(token) - ln p(token)"}),
  };
}

std::vector<ColumnSpec> malformed_columns() {
  return {define(columns::malformed,
                 {.description = "1 where the generated tokens are not the bytes of a text, else 0",
                  .definition = "malformed/1: the text holds U+FFFD, which stands for bytes that "
                                "are no UTF-8; those that end a text of stop_reason length, which "
                                "may be cut inside a character, do not count"})};
}

std::vector<ColumnSpec> step_trace_columns(std::int64_t L, std::int64_t N) {
  return {define(columns::step_pr,
                 {.shape = {L, N},
                  .description = "participation ratio of V of the last W tokens, prompt and fed "
                                 "ones, after the t-th fed token (t = 0: the prompt's last); NaN "
                                 "where there are fewer or none was fed",
                  .definition = "pr/1"})};
}

}  // namespace

std::vector<ColumnSpec> row_columns(const SweepConfig& config, const ModelConfig& model,
                                    const std::vector<Arm>& arms,
                                    const std::vector<RegexFamily>& families, bool has_answers) {
  const ReadoutsConfig& readouts = config.readouts;
  const auto L = model.n_layers, W = config.window, N = config.generation.max_new_tokens;
  const auto lens = std::ssize(logit_lens_layers(readouts, L));
  const bool generates = N > 0;
  const bool notebook_b = std::ranges::find(arms, "notebook_b", &Arm::preset) != arms.end();
  std::vector<ColumnSpec> result;
  const auto add = [&](std::vector<ColumnSpec> group) {
    std::move(group.begin(), group.end(), std::back_inserter(result));
  };
  add(outcome_columns());
  std::size_t most = 0;
  for (const Arm& arm : arms) most = std::max(most, arm.patches.size());
  if (most > 1) add(patch_columns(static_cast<std::int64_t>(most)));
  if (generates) add(generation_columns(N));
  if (readouts.spectra_prompt) add(prompt_window_columns(L, W));
  if (readouts.spectra_generated && generates) add(generated_window_columns(L, W));
  if (readouts.spectra_prompt && !config.windows.empty())
    add({window_pr_of(columns::window_pr_prompt, config, L, "spectra_prompt")});
  if (readouts.spectra_generated && generates && !config.windows.empty())
    add({window_pr_of(columns::window_pr_generated, config, L, "spectra_generated")});
  add(row_site_columns(config, L));
  if (readouts.reencode && generates) add(reencoded_columns());
  if (notebook_b) add(notebook_columns());
  if (readouts.keywords && generates) add(keyword_columns(families));
  if (readouts.copying) add(copying_columns());
  if (readouts.first_token) add(first_token_columns());
  if (readouts.first_token && has_answers) add(answer_columns());
  if (generates && has_answers) add(answer_text_columns());
  if (readouts.forced && generates) {
    add(forced_columns(columns::kl_forced_source, columns::logprob_source, "pair's other prompt"));
    add(forced_columns(columns::kl_forced_base, columns::logprob_base, "reference prompt"));
  }
  if (readouts.malformed && generates) add(malformed_columns());
  if (lens > 0) add(logit_lens_columns(lens));
  if (!attention_layers(readouts, L).empty()) add(attention_columns(model));
  if (!state_distance_layers(readouts, L).empty()) add(state_columns(L));
  if (readouts.step_trace && generates) add(step_trace_columns(L, N));
  return result;
}

std::vector<std::string> readout_names(const std::vector<ColumnSpec>& row_columns) {
  static const std::set<std::string> facts{columns::change_norm.name, columns::future_keys.name,
                                           columns::n_generated.name, columns::n_generated_v.name};
  std::vector<std::string> names;
  for (const ColumnSpec& spec : row_columns)
    if ((spec.type == ColumnType::int32 || spec.type == ColumnType::float64) &&
        spec.shape.empty() && !facts.contains(spec.name))
      names.push_back(spec.name);
  return names;
}

}  // namespace rvsweep
