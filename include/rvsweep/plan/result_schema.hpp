#pragma once
// The datasets that bundles fill, below /prompts and /rows. Read-outs that are off have none.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/plan/sweep_config.hpp"
#include "rvsweep/text/regex_families.hpp"

namespace rvsweep {

inline constexpr int schema_version = 1;

/// Every column that bundles fill but those of regex families, which are named by their file; what
/// each holds is said in result_schema.cpp.
namespace columns {

// /prompts
inline constexpr ColumnKey<float> spectra{"spectra"}, gram_sums{"gram_sums"},
    window_pr{"window_pr"};
inline constexpr ColumnKey<double> pr{"pr"}, pr_centred{"pr_centred"}, pr_corrected{"pr_corrected"},
    r_v_centred{"r_v_centred"}, r_v_corrected{"r_v_corrected"}, effective_rank{"effective_rank"},
    spectral_entropy{"spectral_entropy"}, stable_rank{"stable_rank"},
    nuclear_ratio{"nuclear_ratio"}, r_v{"r_v"};
inline constexpr ColumnKey<std::vector<float>> logprob{"logprob"};

// /rows: outcome and proof
inline constexpr ColumnKey<std::int8_t> status{"status"};  // RowStatus
inline constexpr ColumnKey<std::string> reason{"reason"}, geometry_reason{"geometry_reason"};
inline constexpr ColumnKey<std::int64_t> cells_changed{"cells_changed"},
    patch_cells_changed{"patch_cells_changed"}, cells_dropped{"cells_dropped"};
inline constexpr ColumnKey<double> change_norm{"change_norm"},
    patch_change_norm{"patch_change_norm"};
inline constexpr ColumnKey<std::int32_t> future_keys{"future_keys"};

// /rows: generation
inline constexpr ColumnKey<std::int32_t> tokens{"tokens"}, n_generated{"n_generated"},
    n_generated_v{"n_generated_v"};
inline constexpr ColumnKey<std::string> text{"text"}, stop_reason{"stop_reason"};

// /rows: geometry
inline constexpr ColumnKey<float> spectra_prompt{"spectra_prompt"},
    spectra_generated{"spectra_generated"}, gram_sums_prompt{"gram_sums_prompt"},
    gram_sums_generated{"gram_sums_generated"}, window_pr_prompt{"window_pr_prompt"},
    window_pr_generated{"window_pr_generated"}, step_pr{"step_pr"};
inline constexpr ColumnKey<double> r_v_prompt{"r_v_prompt"},
    r_v_prompt_centred{"r_v_prompt_centred"}, r_v_prompt_corrected{"r_v_prompt_corrected"},
    r_v_generated{"r_v_generated"}, r_v_generated_centred{"r_v_generated_centred"},
    r_v_generated_corrected{"r_v_generated_corrected"}, r_v_reencoded{"r_v_reencoded"},
    r_v_notebook{"r_v_notebook"};

// /rows: behaviour
inline constexpr ColumnKey<std::int32_t> keyword_count{"keyword_count"},
    keyword_count_new{"keyword_count_new"}, repetitive{"repetitive"}, malformed{"malformed"};
inline constexpr ColumnKey<double> keyword_rate{"keyword_rate"}, copied_ngrams{"copied_ngrams"},
    repeated_ngrams{"repeated_ngrams"};

// /rows: logits
inline constexpr ColumnKey<double> kl_first{"kl_first"}, lse_difference{"lse_difference"},
    kl_forced_source{"kl_forced_source"}, logprob_source{"logprob_source"},
    kl_forced_base{"kl_forced_base"}, logprob_base{"logprob_base"};
inline constexpr ColumnKey<double> logit_diff{"logit_diff"},
    answer_prob_source{"answer_prob_source"}, answer_prob_base{"answer_prob_base"};
inline constexpr ColumnKey<std::int32_t> answer_rank_source{"answer_rank_source"},
    answer_rank_base{"answer_rank_base"}, answer_in_text{"answer_in_text"};
inline constexpr ColumnKey<std::int32_t> logit_lens_token{"logit_lens_token"};
inline constexpr ColumnKey<float> logit_lens_logprob{"logit_lens_logprob"};

// /rows: states
inline constexpr ColumnKey<float> state_distance{"state_distance"};

// /rows: attention
inline constexpr ColumnKey<float> attention_bos{"attention_bos"},
    attention_donor{"attention_donor"}, attention_base{"attention_base"},
    attention_fed{"attention_fed"}, attention_entropy{"attention_entropy"};

}  // namespace columns

/// The column that has of a site what `column` has of V.
std::string of_site(const std::string& column, Site site);

/// /prompts: spectra [L,W] and, per layer, the metrics of its singular values; r_v; spectra, PR and
/// r_v of the sites that are asked for; logprob by token where it is on.
std::vector<ColumnSpec> prompt_columns(const SweepConfig& config, const ModelConfig& model);

/// Tokens that the logit lens keeps of every layer.
inline constexpr std::int64_t logit_lens_top = 5;

/// /rows: status and reason, tokens and text, and the read-outs that are on; one column per regex
/// family with the keywords; those of answers where some pair has one.
std::vector<ColumnSpec> row_columns(const SweepConfig& config, const ModelConfig& model,
                                    const std::vector<Arm>& arms,
                                    const std::vector<RegexFamily>& families,
                                    bool has_answers = false);

/// The columns of /rows that a study may be about: numbers of a row but for facts and proof.
std::vector<std::string> readout_names(const std::vector<ColumnSpec>& row_columns);

}  // namespace rvsweep
