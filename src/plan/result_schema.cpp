#include "rvsweep/plan/result_schema.hpp"

#include <algorithm>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

using enum ColumnType;

const char* const r_v_definition =
    "r_v/1: pr[late] / pr[early], pr/1 of the window's V at the sweep's late and early layer";

}  // namespace

std::vector<ColumnSpec> prompt_columns(const SweepConfig& config, const ModelConfig& model) {
  const auto L = model.n_layers, W = config.window;
  return {
      {"spectra",
       float32,
       {L, W},
       "1",
       "singular values of V of the last W prompt positions at every layer, descending; NaN where "
       "the "
       "prompt has no geometry (see reason)",
       "spectra/1: singular values, computed in float64, of the [W, n_kv_heads*head_dim] output of "
       "v_proj"},
      {"pr",
       float64,
       {L},
       "1",
       "participation ratio of V by layer",
       "pr/1: (sum lambda)^2 / sum lambda^2, lambda = sigma^2"},
      {"effective_rank",
       float64,
       {L},
       "1",
       "effective rank of V by layer (Roy & Vetterli 2007)",
       "effective_rank/1: exp(-sum q ln q), q = sigma / sum sigma"},
      {"spectral_entropy",
       float64,
       {L},
       "nats",
       "entropy of the normalised spectrum of V by layer",
       "spectral_entropy/1: -sum p ln p, p = lambda / sum lambda"},
      {"stable_rank",
       float64,
       {L},
       "1",
       "stable rank of V by layer",
       "stable_rank/1: sum lambda / lambda_max"},
      {"nuclear_ratio",
       float64,
       {L},
       "1",
       "squared nuclear over squared Frobenius norm by layer",
       "nuclear_ratio/1: (sum sigma)^2 / sum sigma^2"},
      {"r_v", float64, {}, "1", "R_V of the prompt", r_v_definition},
  };
}

namespace {

/// Columns that exist where tokens are generated.
std::vector<ColumnSpec> generation_columns(std::int64_t N) {
  return {
      {"tokens", int32, {N}, "token id", "generated tokens, EOS included; -1 after the end", ""},
      {"n_generated", int32, {}, "tokens", "number of generated tokens, EOS counted", ""},
      {"text", utf8, {}, "1", "generated text without special tokens", ""},
      {"stop_reason", utf8, {}, "1", "eos or length", ""},
      {"n_generated_v",
       int32,
       {},
       "tokens",
       "generated tokens that were fed and so have V: all but the last one",
       ""}};
}

/// Read-outs of logits; L layers, N new tokens at most.
void add_logit_columns(const ReadoutsConfig& readouts, std::int64_t L, std::int64_t N,
                       std::vector<ColumnSpec>& columns) {
  const auto add = [&](ColumnSpec spec) { columns.push_back(std::move(spec)); };
  if (readouts.first_token) {
    add({"kl_first",
         float64,
         {},
         "nats",
         "KL(unpatched reference || row) at the position that the first token is drawn from; the "
         "reference is the recipient's prompt, the pair's base for unpatched rows",
         "kl_first/1: sum p (ln p - ln q) over the vocabulary in float64, temperature 1"});
    add({"lse_difference",
         float64,
         {},
         "nats",
         "log-sum-exp of the recursive token set less that of the task token set, at the position "
         "that the first token is drawn from",
         "lse_difference/1: LSE(logits of recursive set) - LSE(logits of task set)"});
  }
  if (readouts.forced && N > 0)
    for (const std::string of : {"source", "base"}) {
      const std::string along =
          "the greedy unpatched continuation of the " +
          std::string(of == "base" ? "reference prompt" : "pair's other prompt");
      add({"kl_forced_" + of,
           float64,
           {},
           "nats",
           "mean over the tokens of " + along + ", fed to both, of KL(unpatched reference || row)",
           "kl_forced/1: kl_first/1 at every position that a token of it is predicted from"});
      add({"logprob_" + of,
           float64,
           {},
           "nats per token",
           "mean log-likelihood of " + along + ", row minus unpatched reference",
           "logprob/1: mean of ln q(token) - ln p(token)"});
    }
  if (const auto lens = logit_lens_layers(readouts, L); !lens.empty()) {
    const std::vector<std::int64_t> shape{std::ssize(lens), logit_lens_top};
    add({"logit_lens_token", int32, shape, "token id",
         "logit lens at the first generated position: the most likely tokens when the residual "
         "stream after each chosen layer goes through the final norm and the head, by layer as "
         "in readouts.logit_lens, descending",
         ""});
    add({"logit_lens_logprob", float32, shape, "nats", "log-probabilities of logit_lens_token",
         "logit_lens/1: log_softmax(head(norm(resid_post)))"});
  }
  if (readouts.step_trace && N > 0)
    add({"step_pr",
         float32,
         {L, N},
         "1",
         "participation ratio of V of the last W tokens, prompt and fed ones, after the t-th fed "
         "token (t = 0: the prompt's last); NaN where there are fewer or none was fed",
         "pr/1"});
}

}  // namespace

LayerSet logit_lens_layers(const ReadoutsConfig& readouts, std::int64_t n_layers) {
  if (readouts.logit_lens.text == "none") return {};
  try {
    std::set<std::int64_t> layers;
    for (const std::string& part : split(readouts.logit_lens.text, ','))
      for (const LayerSet& set : parse_layer_sets(part, n_layers))
        layers.insert(set.begin(), set.end());
    return {layers.begin(), layers.end()};
  } catch (const InputError& error) {
    throw InputError(readouts.logit_lens.where,
                     std::string("readouts.logit_lens: ") + error.what());
  }
}

std::vector<ColumnSpec> row_columns(const SweepConfig& config, const ModelConfig& model,
                                    const std::vector<Arm>& arms,
                                    const std::vector<RegexFamily>& families) {
  const auto L = model.n_layers, W = config.window, N = config.generation.max_new_tokens;
  std::vector<ColumnSpec> columns{
      {"status",
       status,
       {},
       "1",
       "whether the row ran: ok, refused, failed (pending: not yet)",
       ""},
      {"reason", utf8, {}, "1", "why the row was refused or failed; empty where it is ok", ""},
      {"cells_changed",
       int64,
       {},
       "cells",
       "proof that the patch fired: (layer, position, KV head) donor cells written",
       ""},
      {"cells_dropped", int64, {}, "cells", "donor cells outside base, left out", ""},
      {"change_norm",
       float64,
       {},
       "1",
       "proof that the patch fired: sqrt(sum (new - old)^2) over written K and V, old being base's "
       "cell at the aligned position, 0 where there is none",
       "change_norm/1"},
      {"future_keys",
       int32,
       {},
       "cells",
       "donor keys whose rotation exceeds the first fed query's position",
       ""},
      {"geometry_reason",
       utf8,
       {},
       "1",
       "why geometry of the row is NaN; empty where it is not",
       ""},
  };
  const auto add = [&](ColumnSpec spec) { columns.push_back(std::move(spec)); };
  if (N > 0)
    for (ColumnSpec& spec : generation_columns(N)) add(std::move(spec));
  if (config.readouts.spectra_prompt) {
    add({"spectra_prompt",
         float32,
         {L, W},
         "1",
         "singular values of the row's own V, patch included, of the last W prompt positions as "
         "the "
         "first generated position attends to them; NaN where a layer has fewer than W",
         "spectra/1"});
    add({"r_v_prompt", float64, {}, "1", "R_V of spectra_prompt", r_v_definition});
  }
  if (config.readouts.spectra_generated && N > 0) {
    add({"spectra_generated",
         float32,
         {L, W},
         "1",
         "singular values of the row's own V of the last W fed generated tokens; NaN where "
         "n_generated_v < W",
         "spectra/1"});
    add({"r_v_generated", float64, {}, "1", "R_V of spectra_generated", r_v_definition});
  }
  if (config.readouts.reencode && N > 0)
    add({"r_v_reencoded",
         float64,
         {},
         "1",
         "R_V of prompt + \" \" + text read again by the unpatched model, cut at 512 tokens, as in "
         "the "
         "notebook (measure_rv_on_text)",
         r_v_definition});
  const bool notebook_b =
      std::any_of(arms.begin(), arms.end(), [](const Arm& a) { return a.preset == "notebook_b"; });
  if (notebook_b)
    add({"r_v_notebook",
         float64,
         {},
         "1",
         "notebook_b rows only: R_V from V captured before the patch was applied (the notebook's "
         "hook "
         "order), which the patch cannot move at its own layer; not a result",
         r_v_definition});
  if (config.readouts.keywords && N > 0) {
    add({"keyword_count",
         int32,
         {},
         "1",
         "how many of the notebook's 24 keywords occur in the text",
         "keyword_count/1: substrings of the lower-cased text, presence not count, 0..24"});
    add({"keyword_rate",
         float64,
         {},
         "per 100 words",
         "words equal to one of the 24 keywords, per 100 words; NaN for a text without words",
         "keyword_rate/1: whole words"});
    for (const RegexFamily& family : families)
      add({family.name, int32, {}, "matches", family.description, family.definition});
  }
  if (config.readouts.copying) {
    add({"keyword_count_new",
         int32,
         {},
         "1",
         "how many of the notebook's 24 keywords occur in the text and not in the donor's prompt "
         "(the row's own where it has no donor)",
         "keyword_count_new/1: substrings of the lower-cased text that are none of the lower-cased "
         "prompt, presence not count, 0..24"});
    add({"copied_ngrams",
         float64,
         {},
         "1",
         "share of the text's word 4-grams that occur in the donor's prompt (the row's own where "
         "it "
         "has no donor); NaN for a text of fewer than 4 words",
         "copied_ngrams/1: 4-grams of the text found in the prompt / 4-grams of the text, over "
         "lower-cased words (runs of letters, digits, apostrophes and bytes beyond ASCII)"});
    add({"repeated_ngrams",
         float64,
         {},
         "1",
         "share of the text's word 4-grams that occurred earlier in it; NaN for a text of fewer "
         "than 4 words",
         "repeated_ngrams/1: 1 - distinct 4-grams / all 4-grams, over words as copied_ngrams has "
         "them (seq-rep-4 of Welleck et al. 2020)"});
    add({"repetitive",
         int32,
         {},
         "1",
         "1 where the text repeats itself so much that its other scores mean little, else 0",
         "repetitive/1: repeated_ngrams >= 0.3"});
  }
  add_logit_columns(config.readouts, L, N, columns);
  return columns;
}

}  // namespace rvsweep
