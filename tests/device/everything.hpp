#pragma once
// A bundle in which everything occurs that a row can be.
#include "experiment/study.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep::testing {

/// Every site, every setting of kv_cache and every preset.
inline std::vector<std::string> all_arms() {
  return {"base",
          "source",
          "v_proj layers=2 decode=persist",
          "v_proj layers=1:3 heads=1",
          "q_proj layers=2 decode=persist alpha=0.5",
          "k_proj layers=0 decode=prefill",
          "z layers=3 decode=persist heads=0+2",
          "attn_out layers=1 decode=persist from_step=2 until_step=5",
          "mlp_out layers=1:3 decode=prefill op=scale factor=0.5",
          "resid_pre layers=2 decode=persist",
          "resid_pre layers=2 decode=persist op=add scale=2",
          "resid_pre layers=2 op=add scale=0.5n",
          "resid_pre layers=2 op=project_out",
          "mlp_out layers=2 alpha=0.5 mix=spherical",
          "resid_post layers=3 decode=persist window_policy=shrink",
          "v_proj layers=1 direction=base_to_source",
          "kv_cache layers=1:3",
          "kv_cache layers=0:4 entry=refeed align=as_is",
          "kv_cache layers=1:4 growth=frozen",
          "kv_cache layers=0:2 entry=refeed growth=compound align=as_is",
          "kv_cache layers=0:4 growth=compound",
          "kv_cache layers=1:3 what=k positions=last:8 at_step=3",
          "kv_cache layers=1:3 what=v positions=first:8",
          "kv_cache layers=1:3 positions=span:4:12 heads=1",
          "kv_cache layers=1:3 positions=not_bos alpha=0.25",
          "kv_cache layers=1:3 positions=bos direction=base_to_source",
          "resid_pre layers=2 positions=all",
          "v_proj layers=1:3 positions=first:3 decode=persist heads=1",
          "mlp_out layers=1 positions=not_bos direction=base_to_source",
          "preset:notebook_b layers=3",
          "preset:notebook_c_v1 layers=2:4",
          "preset:notebook_c_v2 layers=2:4"};
}

/// All arms in one bundle with every read-out, then a cache and a site patched by every derived
/// donor, by the row's own state and by another pair's prompt.
inline Study study_of_everything() {
  Study study(all_arms());
  ReadoutsConfig& readouts = study.config.readouts;
  readouts.spectra_sites = {Site::resid_pre, Site::k};
  readouts.attention = {"0:100%", "test"};
  study.settings.readouts = readouts;
  study.settings.attention_layers = {0, 1, 2, 3};
  Bundle& bundle = study.bundle;
  bundle.contexts.push_back({PromptIndex(2), some_tokens(30, 5), "other text", true});
  bundle.derived = {{Derivation::gaussian, 1, 23, 0, "pair"},
                    {Derivation::shuffled, 1, 23, 22, "pair"},
                    {Derivation::zero, -1, 23},
                    {Derivation::mean, -1, 23},
                    {Derivation::last_row, 1, 23, 22}};
  const auto n_contexts = static_cast<std::int32_t>(std::ssize(bundle.contexts));
  const auto n_donors = n_contexts + static_cast<std::int32_t>(std::ssize(bundle.derived));
  for (const std::int32_t arm : {3, 16})  // v_proj, kv_cache
    for (std::int32_t donor = 0; donor < n_donors; ++donor)
      if (donor != 1) {
        study.add_row(arm, 0, 1);
        bundle.rows.back().donors = {{donor}};
        bundle.rows.back().pair_hash = static_cast<std::uint64_t>(100 + donor);
      }
  for (BundleRow& row : bundle.rows) row.answers = {{"a", "b"}, {"c"}};
  bundle.shape.rows = canonical_rows(std::ssize(bundle.rows));
  return study;
}

}  // namespace rvsweep::testing
