"""Deliberate faults, each one edit of one file, and the test that must fail with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    what: str
    file: str
    old: str  # occurs once in the file
    new: str
    program: str  # a module's C++ tests, or random_arms: tests/reference/test_random_arms.py
    test: str

    def table_line(self) -> str:
        """As CONTRIBUTING.md lists it."""
        return f"| {self.what} | `{self.file.removeprefix('src/')}` | `{self.test}` |"


def fault(what: str, file: str, old: str, new: str, test: str) -> Fault:
    """`test`: "<program> <test>"."""
    return Fault(what, "src/" + file, old, new, *test.split(" "))


FAULTS = [
    fault(
        "rotation sign",
        "kernels/rotation.cpp",
        "at::mul_out(first, a, cos).addcmul_(b, sin, -1);\n  at::mul_out(second, b, cos).addcmul_(a, sin);",
        "at::mul_out(first, a, cos).addcmul_(b, sin);\n  at::mul_out(second, b, cos).addcmul_(a, sin, -1);",
        "model Rope.PairsDimensionIWithIPlusHalf",
    ),
    fault(
        "rotation sign of heads that turn together",
        "kernels/cpu/rotate.cpp",
        "round_to(to_float(a_c) - b * to_float(s), x[i]);",
        "round_to(to_float(a_c) + b * to_float(s), x[i]);",
        "kernels Tables/RotateAndWrite.TurnsQueriesAndKeysAndFillsTheLastColumns/cpu_float32",
    ),
    fault(
        "gate and up of the MLP exchanged",
        "kernels/cpu/swiglu_row.hpp",
        "const T* __restrict gate, const T* __restrict up,",
        "const T* __restrict up, const T* __restrict gate,",
        "kernels SwiGlu.IsSiluTimesUp",
    ),
    fault(
        "gate and up of libtorch's MLP exchanged",
        "kernels/aten.cpp",
        "at::silu(halves[0]).mul_(halves[1])",
        "at::silu(halves[1]).mul_(halves[0])",
        "kernels Tables/Product.SwigluIsSiluOfGateTimesUp/aten_float32",
    ),
    fault(
        "keys and values written a column early",
        "kernels/cpu/operations.cpp",
        "x.narrow(2, x.size(2) - T, T)",
        "x.narrow(2, x.size(2) - T - 1, T)",
        "kernels Tables/RotateAndWrite.TurnsQueriesAndKeysAndFillsTheLastColumns/cpu_float32",
    ),
    fault(
        "rows of k and v exchanged",
        "model_config/parameters.cpp",
        '{qkv_proj, "model.layers.{}.self_attn.k_proj.weight", {D, H}, product},\n'
        '      {qkv_proj, "model.layers.{}.self_attn.v_proj.weight", {D, H}, product},',
        '{qkv_proj, "model.layers.{}.self_attn.v_proj.weight", {D, H}, product},\n'
        '      {qkv_proj, "model.layers.{}.self_attn.k_proj.weight", {D, H}, product},',
        "model_config Parameters.AreHuggingFacesInTheOrderOfTheirUse",
    ),
    fault(
        "a family's own sliding window forgotten",
        "model_config/model_config.cpp",
        "return family.sliding_window;",
        "return std::nullopt;",
        "model_config Config.TakesFromItsFamilyWhatFamiliesDifferIn",
    ),
    fault(
        "tied head left out of the products",
        "model/weights.cpp",
        "if (config.tied_head) parameters.push_back",
        "if (!config.tied_head) parameters.push_back",
        "model WeightLayout.GivesTheMatricesOfProductsInTheOrderOfTheirUse",
    ),
    fault(
        "biases drawn as ones",
        "model/weight_source.cpp",
        "parameter.role == Role::bias ? 0.0F : 1.0F",
        "1.0F",
        "model Sources.DrawnNumbersAreNearlyNormal",
    ),
    fault(
        "wrong KV head for a group of query heads",
        "kernels/aten.cpp",
        "return q.view({B, T, n_kv_heads, group, hd})\n      .permute({0, 2, 3, 1, 4})",
        "return q.view({B, T, group, n_kv_heads, hd})\n      .permute({0, 3, 2, 1, 4})",
        "kernels Tables/Attention.IsTheSoftmaxOfScoresTimesValues/aten_float32",
    ),
    fault(
        "causal mask shows the next token",
        "kernels/aten.cpp",
        "(cell <= own) &",
        "(cell <= own + 1) &",
        "model Transformer.TokenByTokenEqualsAllAtOnce",
    ),
    fault(
        "patch one layer too late",
        "model/site_edit.cpp",
        "edit.site == site && edit.layer == layer",
        "edit.site == site && edit.layer + 1 == layer",
        "model SiteEdit.WeightOneGivesTheValuesBitsAndZeroKeepsTheOldOnes",
    ),
    fault(
        "keys turned by m - n instead of n - m",
        "intervention/compiled_row.cpp",
        "patch.rotate_by = plan.n - patch.m;",
        "patch.rotate_by = patch.m - plan.n;",
        "intervention CompiledRow.HoldLastFeedsTheLastTokenAtItsOwnPosition",
    ),
    fault(
        "last token fed twice with hold_last",
        "intervention/compiled_row.cpp",
        "plan.cached = plan.refeeds ? plan.n : plan.n - 1;",
        "plan.cached = plan.n;",
        "intervention CompiledRow.HoldLastFeedsTheLastTokenAtItsOwnPosition",
    ),
    fault(
        "patched decode where prefill was asked for",
        "intervention/compiled_row.cpp",
        "patch.persist = target.decode == Decode::persist;",
        "patch.persist = true;",
        "intervention CompiledRow.DonorTokensOfASite",
    ),
    fault(
        "windows of donor and base aligned on the left",
        "intervention/compiled_row.cpp",
        "return i - end + donor_end;",
        "return i;",
        "intervention CompiledRow.DonorTokensOfASite",
    ),
    fault(
        "what=k writes V too",
        "intervention/compiled_row.cpp",
        "patch.writes_v = target.what != What::k;",
        "patch.writes_v = true;",
        "random_arms test_change_norm",
    ),
    fault(
        "base's cells one column off, the last token among them",
        "intervention/prompt_cache.cpp",
        "const auto held_back = plans[r].n - plans[r].cached;",
        "const auto held_back = 0;",
        "intervention PromptCache.BasesCellsEndInTheLastColumnWithoutTheTokenHeldBack",
    ),
    fault(
        "donor's cells read one column off",
        "intervention/prompt_cache.cpp",
        "column[p][at] = T - patch.m + cell.donor;",
        "column[p][at] = T - patch.m + cell.donor + 1;",
        "intervention PromptCache.WritesTheDonorsCellsOfTheChosenHeadLayerAndComponent",
    ),
    fault(
        "all heads of a cache written, the mask ignored",
        "intervention/prompt_cache.cpp",
        "patch.heads[head] ? 1.0F : 0.0F",
        "1.0F",
        "intervention PromptCache.BasesCellsEndInTheLastColumnWithoutTheTokenHeldBack",
    ),
    fault(
        "alpha as base's share",
        "intervention/prompt_cache.cpp",
        "alpha[p] = patch.alpha;",
        "alpha[p] = 1.0 - patch.alpha;",
        "intervention PromptCache.AlphaIsTheDonorsShare",
    ),
    fault(
        "dropped cells left out of the proof",
        "intervention/prompt_cache.cpp",
        "proofs[r].cells_dropped += patch.cells_dropped * times;",
        "",
        "intervention PromptCache.ProvesWhatWasWritten",
    ),
    fault(
        "donor's cells right-aligned one cell off",
        "plan/positions.cpp",
        "for (std::int64_t j = 0; j < donor_cached; ++j) map.cells.push_back({j, j + shift});",
        "for (std::int64_t j = 0; j < donor_cached; ++j) map.cells.push_back({j, j + shift + 1});",
        "plan MapCells.AllTakesTheDonorsWholeCacheRightAligned",
    ),
    fault(
        "cells without a place not counted as dropped",
        "plan/positions.cpp",
        "++map.dropped;",
        "map.dropped += 0;",
        "plan MapCells.NotBosKeepsBasesFirstCell",
    ),
    fault(
        "compound growth adds ln t instead of ln(t + 1)",
        "kernels/cpu/operations.cpp",
        "own - seen.fed + 1)",
        "own - seen.fed)",
        "kernels Tables/Attention.IsTheSoftmaxOfScoresTimesValues/cpu_float32",
    ),
    fault(
        "compound growth of tokens fed at once adds ln t",
        "kernels/aten.cpp",
        "p - seen.fed + 1)",
        "p - seen.fed)",
        "kernels Tables/Attention.IsTheSoftmaxOfScoresTimesValues/aten_float32",
    ),
    fault(
        "frozen growth goes on seeing earlier fed tokens",
        "kernels/cpu/operations.cpp",
        "if (row.frozen && seen.fed < own)",
        "if (row.frozen && own < seen.fed)",
        "kernels Tables/Attention.IsTheSoftmaxOfScoresTimesValues/cpu_float32",
    ),
    fault(
        "frozen growth of tokens fed at once sees earlier ones",
        "kernels/aten.cpp",
        "(cell < own), false)",
        "(cell < seen.fed), false)",
        "kernels Tables/Attention.IsTheSoftmaxOfScoresTimesValues/aten_float32",
    ),
    fault(
        "growth of a donor's cells at every layer",
        "intervention/compiled_row.cpp",
        "if (patch.layers[layer]) growth = patch.growth;",
        "growth = patch.growth;",
        "intervention VisibilityOf.UnpatchedLayersSeeBaseAndAllFedTokens",
    ),
    fault(
        "every layer sees what the first class sees",
        "intervention/visibility.cpp",
        "push_back(found->second)",
        "push_back(0)",
        "intervention VisibilityOf.LayersThatSeeAlikeShareAClass",
    ),
    fault(
        "gaussian without the donor's norms",
        "intervention/derived_donors.cpp",
        "return drawn * (norm / drawn.norm(2, {-1}, /*keepdim=*/true));",
        "return drawn;",
        "intervention DerivedDonors.GaussianHasTheNormOfEveryHeadAndToken",
    ),
    fault(
        "shuffled keys not turned to their new positions",
        "intervention/derived_donors.cpp",
        "by.push_back(i - from.back());",
        "by.push_back(0);",
        "intervention DerivedDonors.ShuffledMovesTokensAndTurnsTheirKeysToTheNewPosition",
    ),
    fault(
        "mean over keys with their rotation",
        "intervention/derived_donors.cpp",
        "turned(model, last(cache.k), back)",
        "turned(model, last(cache.k), 0 * back)",
        "intervention DerivedDonors.MeanAveragesKeysWithoutTheirPositions",
    ),
    fault(
        "positions of the patched suffix one too far",
        "intervention/site_patch.cpp",
        "at::tensor(positions, at::kLong).to(device).view({std::ssize(plans), queries});",
        "at::tensor(positions, at::kLong).to(device).view({std::ssize(plans), queries}) + 1;",
        "experiment BundleRunner.SelfPatchEqualsBaseBitForBit",
    ),
    fault(
        "stream of the patched suffix one token early",
        "intervention/site_patch.cpp",
        "back[r][q] = plans[r].n - 1 - plans[r].cached + queries - q;",
        "back[r][q] = plans[r].n - plans[r].cached + queries - q;",
        "experiment BundleRunner.SelfPatchEqualsBaseBitForBit",
    ),
    fault(
        "decode attention reads another KV head",
        "kernels/cpu/decode_attention.cpp",
        "i % nkv * x.stride(1)",
        "(i + 1) % nkv * x.stride(1)",
        "kernels Tables/Attention.IsTheSoftmaxOfScoresTimesValues/cpu_float32",
    ),
    fault(
        "all heads of a site written, the mask ignored",
        "intervention/site_patch.cpp",
        "patch->heads[head] && plans[r].donor_token",
        "plans[r].donor_token",
        "random_arms test_change_norm",
    ),
    fault(
        "alpha of a site as base's share",
        "intervention/site_patch.cpp",
        "static_cast<float>(plan.sites[index].alpha) : 0",
        "static_cast<float>(1 - plan.sites[index].alpha) : 0",
        "experiment BundleRunner.AlphaIsTheDonorsShare",
    ),
    fault(
        "KL with its arguments exchanged",
        "metrics/logits.cpp",
        "return terms.mul_(log_p.exp().index_select(0, p_of)).sum(-1);",
        "return terms.neg_().mul_(log_q.exp()).sum(-1);",
        "metrics Logits.KlIsTheExpectationUnderItsFirstArgument",
    ),
    fault(
        "small singular values from the Gram matrix",
        "metrics/spectra.cpp",
        "least_eigenvalue = 1e-6;",
        "least_eigenvalue = -1;",
        "metrics SingularValues.KeepTheTail",
    ),
    fault(
        "spectrum of a shared block given to every window",
        "experiment/geometry.cpp",
        "index_of[i] * found",
        "index_of[0] * found",
        "experiment WindowSpectra.AreThoseOfEveryWindowAlsoWhereRowsShareCells",
    ),
    fault(
        "prompt window without the last token",
        "experiment/geometry_readouts.cpp",
        "plan.refeeds ? T : T + 1",
        "T",
        "experiment BundleRunner.WindowsOfARowAreThoseOfAPromptWithItsTokens",
    ),
    fault(
        "generated window one token off",
        "experiment/geometry_readouts.cpp",
        "generated.push_back({row, T + 1 + fed.back()});",
        "generated.push_back({row, T + fed.back()});",
        "experiment BundleRunner.WindowsOfARowAreThoseOfAPromptWithItsTokens",
    ),
    fault(
        "step trace one token late",
        "experiment/geometry_readouts.cpp",
        "first = prepared.bundle.shape.prompt_length + 1 - W;",
        "first = prepared.bundle.shape.prompt_length - W;",
        "experiment BundleRunner.WindowsOfARowAreThoseOfAPromptWithItsTokens",
    ),
    fault(
        "copied words looked for in base's prompt",
        "experiment/bundle_runner.cpp",
        "row.donors.empty() ? row.base : row.donors.front().index",
        "row.base",
        "experiment BundleRunner.CopyingIsFromTheDonorOrElseFromTheRowsOwnPrompt",
    ),
    fault(
        "logit lens before its layer",
        "experiment/decode.cpp",
        "captures.push_back({Site::resid_post, layer, 1});",
        "captures.push_back({Site::resid_pre, layer, 1});",
        "random_arms test_logit_lens",
    ),
    fault(
        "self-check with bounds twelve times as wide",
        "experiment/self_check.cpp",
        "return {4 * u, 0.75 * u};",
        "return {48 * u, 9 * u};",
        "experiment Dtypes/SelfCheck.CatchesAFaultInEveryOperation/BFloat16",
    ),
    fault(
        "greedy choices left out of the self-check",
        "experiment/self_check.cpp",
        'observe_choices(all, model, feed(all, "tokens fed at once", prepared, fed, at_once));',
        'feed(all, "tokens fed at once", prepared, fed, at_once);',
        "experiment Dtypes/SelfCheck.CatchesAFaultInEveryOperation/Float",
    ),
]
