#include "plan/activation_columns.hpp"

#include <algorithm>
#include <string>

#include "plan/define_column.hpp"
#include "rvsweep/plan/result_schema.hpp"

// Shapes: L layers, K windows.

namespace rvsweep {
namespace {

/// Of the last W prompt positions at each site that is asked for. `spectra`, `window_pr` and `r_v`
/// are those of V in the same table; `whose`: what the values are of.
std::vector<ColumnSpec> columns_of_sites(const SweepConfig& config, std::int64_t L,
                                         ColumnKey<float> spectra, ColumnKey<float> window_pr,
                                         ColumnKey<double> r_v, const std::string& whose) {
  const auto K = std::max<std::int64_t>(std::ssize(config.windows), 1);
  std::vector<ColumnSpec> result;
  const auto add = [&](auto key, Site site, ColumnSpec spec) {
    const std::string name = of_site(key.name, site);
    key.name = name.c_str();
    result.push_back(define(key, std::move(spec)));
  };
  for (const Site site : config.readouts.spectra_sites) {
    const std::string x = info_of(site).name + " of the last W " + whose;
    add(spectra, site,
        {.shape = {L, config.window},
         .description = "singular values of " + x +
                        " at every layer, descending; NaN where there "
                        "are fewer (" +
                        info_of(site).name + ": " + info_of(site).description + ")",
         .definition = "spectra/1, heads side by side"});
    add(window_pr, site,
        {.shape = {K, L, 3},
         .description = "participation ratio of " + x +
                        ", raw, centred and corrected, by W of model.window and layer; NaN where "
                        "there are fewer",
         .definition = "pr/1, pr_centred/1, pr_corrected/1"});
    add(r_v, site,
        {.description = "R_V of " + of_site(spectra.name, site),
         .definition = "r_v_site/1: pr[late] / pr[early], pr/1 of the site's window"});
  }
  return result;
}

}  // namespace

std::vector<ColumnSpec> site_columns(const SweepConfig& config, std::int64_t n_layers) {
  return columns_of_sites(config, n_layers, columns::spectra, columns::window_pr, columns::r_v,
                          "prompt positions");
}

std::vector<ColumnSpec> row_site_columns(const SweepConfig& config, std::int64_t n_layers) {
  return columns_of_sites(
      config, n_layers, columns::spectra_prompt, columns::window_pr_prompt, columns::r_v_prompt,
      "tokens of the row's prompt, site patches included: the last as step 0 feeds it, or with "
      "refeed as the prompt's pass had it");
}

std::vector<ColumnSpec> logit_lens_columns(std::int64_t n_layers) {
  const std::vector<std::int64_t> shape{n_layers, logit_lens_top};
  return {
      define(columns::logit_lens_token,
             {.shape = shape,
              .units = "token id",
              .description = "logit lens at the first generated position: the most likely tokens "
                             "when the residual stream after each chosen layer goes through the "
                             "final norm and the head, by layer as in readouts.logit_lens, "
                             "descending"}),
      define(columns::logit_lens_logprob,
             {.shape = shape,
              .units = "nats",
              .description = "log-probabilities of logit_lens_token",
              .definition = "logit_lens/1: log_softmax(head(norm(resid_post)))"}),
  };
}

std::vector<ColumnSpec> attention_columns(const ModelConfig& model) {
  const std::vector<std::int64_t> shape{model.n_layers, model.n_kv_heads};
  const std::string where =
      " of the query that the first token is drawn from, which is fed b[n-1], by layer and KV "
      "head; NaN in layers that readouts.attention leaves out";
  const auto mass = [&](ColumnKey<float> key, const std::string& cells) {
    return define(key, {.shape = shape,
                        .description = "attention on " + cells + where,
                        .definition = "attention/1: sum over these cells of the softmax of scores, "
                                      "mean over the query heads of a KV head; donor + base + fed "
                                      "= 1"});
  };
  return {
      mass(columns::attention_bos, "the first cell that is seen, token 0 of what lies there"),
      mass(columns::attention_donor,
           "cells of the prompt that patches of kv_cache, k_proj or "
           "v_proj have written in this layer and head"),
      mass(columns::attention_base, "other cells of the prompt"),
      mass(columns::attention_fed, "the fed token's own cell"),
      define(columns::attention_entropy,
             {.shape = shape,
              .units = "nats",
              .description = "entropy of the attention" + where,
              .definition = "attention_entropy/1: -sum a ln a over the cells that are seen, mean "
                            "over the query heads of a KV head"}),
  };
}

std::vector<ColumnSpec> state_columns(std::int64_t n_layers) {
  return {define(
      columns::state_distance,
      {.shape = {n_layers},
       .description = "distance of the residual stream after each layer, of the query that the "
                      "first token is drawn from, from the nearest such state of other prompts "
                      "that nothing patches; 1: as far as these are from each other; NaN in "
                      "layers that readouts.state_distance leaves out",
       .definition = "state_distance/1: Euclidean distance from the nearest of the sweep's "
                     "prompts, at most 256, but the row's own, over the lower median of the "
                     "same distance of these prompts"})};
}

}  // namespace rvsweep
