"""The explicit reference checked against Hugging Face and against what science makes it satisfy. Needs no binary."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import donors
import hf_kv_reference as hf_kv
import hf_reference as hf
import philox
import readouts
import tiny_models
from controls import OF_KV_CACHE, OF_SITES, Study, compiled
from explicit_model import SITES, Cells, ExplicitModel
from prompt_texts import pairs_of_lengths
from reference_run import Trajectory, run
from row_spec import Pair, Prompt, Refusal, RowSpec, joint, keyword_tokens, read_prompt, select

STEPS = 8
LENGTHS = [(23, 30), (26, 26), (31, 20)]
CLOSE = {"atol": 2e-4, "rtol": 1e-5}
ARM = RowSpec("kv_cache", (1, 2, 3))


@pytest.fixture(scope="module", params=["llama", "llama31", "qwen2", "qwen3", "mistral", "olmo2", "gemma2", "gemma3_text", "gpt_neox", "phi3"])
def folder(request, tiny_model):
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def module(folder):
    torch.set_num_threads(1)
    return hf.load_model(folder)


@pytest.fixture(scope="module")
def model(folder):
    return ExplicitModel(folder)


@pytest.fixture(scope="module")
def pairs(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = pairs_of_lengths(tokenizer, LENGTHS, seed=3)
    return [Pair(p["pair"], read_prompt(tokenizer, p["base"]), read_prompt(tokenizer, p["source"])) for p in made]


@pytest.fixture(scope="module")
def study(model, pairs):
    return Study(model, pairs, seed=1, filler=Prompt("", tuple(range(10, 80))))


def go(study: Study, row: RowSpec, pair: Pair, control: str | None = None, forced=None, steps: int = STEPS):
    made = compiled(study, row, pair, control)
    if isinstance(made, Refusal):
        return made
    return run(study.model, made.row, made.recipient, made.donors, steps, forced=forced)


def assert_same(a: Trajectory, b: Trajectory, **tolerance) -> None:
    assert a.tokens == b.tokens
    torch.testing.assert_close(a.logits, b.logits, **(tolerance or CLOSE))


def assert_is_hf(ours: Trajectory, theirs: hf.Trajectory) -> None:
    assert ours.tokens == theirs.tokens
    np.testing.assert_allclose(ours.logits.numpy(), theirs.logits, **CLOSE)
    for mine, rows in zip(ours.v_prompt, theirs.v_prompt):
        np.testing.assert_allclose(mine.numpy(), rows, **CLOSE)
    for mine, rows in zip(ours.v_fed, theirs.v_generated):
        np.testing.assert_allclose(mine.numpy(), rows, **CLOSE)


# Against Hugging Face


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_every_familys_folder_is_read_as_transformers_reads_it(tiny_model, family):
    """Frequencies, and logits after every token of a text."""
    module, model = hf.load_model(tiny_model(family)), ExplicitModel(tiny_model(family))
    for layer in range(model.n_layers if model.spec.rotates else 0):
        np.testing.assert_allclose(model.inv_freq[layer], hf_kv.inverse_frequencies(module, layer), rtol=1e-6)
    tokens = list(range(5, 595, 10))
    expected = hf.feed(module, tokens, 0)
    residuals = model.forward(tokens, range(len(tokens))).activations["resid_post"][-1].flatten(1)
    torch.testing.assert_close(model.unembed(residuals), expected, **CLOSE)


def test_weights_that_no_definition_names_are_refused(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("qwen2"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(ValueError, match="k_proj.bias"):
        ExplicitModel(folder)


def test_unpatched_rows_are_what_generate_gives(module, study, pairs):
    for pair, side in itertools.product(pairs, ("base", "source")):
        tokens = getattr(pair, side).tokens
        ours = go(study, RowSpec(side), pair)
        output = module.generate(
            torch.tensor([tokens]),
            attention_mask=torch.ones(1, len(tokens), dtype=torch.long),
            max_new_tokens=STEPS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        assert ours.tokens == output.sequences[0, len(tokens) :].tolist() and ours.stop_reason == "length"
        torch.testing.assert_close(ours.logits, torch.cat(output.logits), **CLOSE)
        assert_is_hf(ours, hf.generate(module, tokens, STEPS))


def test_end_of_text_stops_a_row(study, pairs):
    tokens = go(study, RowSpec("base"), pairs[0]).tokens
    stopped = run(study.model, RowSpec("base"), pairs[0].base, None, STEPS, {tokens[3]})
    assert stopped.tokens == tokens[: tokens.index(tokens[3]) + 1] and stopped.stop_reason == "eos"


def test_full_swap_is_the_continuation_of_the_donor_with_the_last_base_token(module, study, pairs):
    for pair in pairs:
        ours = go(study, RowSpec("v_proj"), pair, "full_swap")
        theirs = hf.generate(module, [*pair.source.tokens[:-1], pair.base.tokens[-1]], STEPS)
        assert ours.tokens == theirs.tokens
        np.testing.assert_allclose(ours.logits.numpy(), theirs.logits, **CLOSE)


@pytest.mark.parametrize("decode", ["prefill", "persist"])
@pytest.mark.parametrize("layers", [(3,), (1, 2), (0, 4)])
def test_v_proj_is_what_hooks_give(module, study, pairs, decode, layers):
    for pair in pairs:
        ours = go(study, RowSpec("v_proj", layers, decode=decode), pair)
        theirs = hf.generate_v_proj(module, pair.base.tokens, pair.source.tokens, layers, decode, STEPS)
        assert_is_hf(ours, theirs)
        heads = study.model.n_kv_heads * len(layers)
        assert ours.proof.cells_changed == heads * (16 + (STEPS - 1 if decode == "persist" else 0))


def first(module, *names):
    """The first of these that the module has."""
    return next(getattr(module, name) for name in names if hasattr(module, name))


def output_of(half: str, block):
    """What adds to the stream: the norm after the half, or its last product."""
    after = {"attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}[half]
    if hasattr(block, "post_feedforward_layernorm"):
        return getattr(block, after)
    return o_proj(block) if half == "attn" else first(block.mlp, "down_proj", "dense_4h_to_h", "c_proj")


def o_proj(block):
    return first(hf.attention_of(block), "o_proj", "dense", "c_proj")


HOOKED = {
    "resid_post": lambda block: block,
    "attn_out": lambda block: output_of("attn", block),
    "mlp_out": lambda block: output_of("mlp", block),
    "q_proj": None,
    "k_proj": None,
}
INPUTS = {"resid_pre": lambda block: block, "z": o_proj}


@pytest.mark.parametrize(
    "positions, rows", [("window", slice(-16, None)), ("first:9", slice(9)), ("span:2:5", slice(-5, -2))]
)
@pytest.mark.parametrize("site", [*HOOKED, *INPUTS])
def test_every_site_is_what_hooks_give(module, study, pairs, site, positions, rows):
    """One pass over the prompt, hooks on inputs or outputs of the module that has the site."""
    layer = 2
    part = hf.projection(module, layer, site) if site.endswith("_proj") else None
    block = part.module if part else (HOOKED | INPUTS)[site](hf.blocks(module)[layer])
    for pair in pairs:
        taken = []

        def keep(_, x, y=None):
            value = x[0] if y is None else part.of(y) if part else y
            taken.append(value[0, rows].clone())

        def put(_, x, y=None):
            if part:
                return part.replaced(y, taken[0], rows)
            value = (x[0] if y is None else y).clone()
            value[0, rows] = taken[0]
            return (value, *x[1:]) if y is None else value

        add = block.register_forward_hook if site in HOOKED else block.register_forward_pre_hook
        handle = add(keep)
        hf.feed(module, pair.source.tokens, 0)
        handle.remove()
        handle = add(put)
        expected = hf.feed(module, pair.base.tokens, 0)[-1]
        handle.remove()
        ours = go(study, RowSpec(site, (layer,), site_positions=positions), pair, steps=1)
        torch.testing.assert_close(ours.steps[0], expected, **CLOSE)
        difference = float((expected - go(study, RowSpec("base"), pair, steps=1).steps[0]).abs().max())
        assert difference > 1e-2


@pytest.mark.parametrize("growth", ["append", "frozen", "compound"])
@pytest.mark.parametrize("entry", ["hold_last", "refeed"])
@pytest.mark.parametrize("align", ["as_is", "rerotate"])
def test_kv_cache_is_cache_arithmetic_on_hugging_faces_cache(module, study, pairs, entry, growth, align):
    """refeed, as_is with frozen and compound are the notebook's two procedures."""
    for pair, layers in itertools.product(pairs, [(1, 2, 3), (0, 4)]):
        ours = go(study, RowSpec("kv_cache", layers, entry=entry, growth=growth, align=align), pair)
        theirs = hf_kv.generate_kv_cache(
            module, pair.base.tokens, pair.source.tokens, layers, entry, growth, align, STEPS, forced=ours.tokens
        )
        assert_is_hf(ours, theirs)


def test_forced_tokens_and_step_trace(study, pairs):
    row = go(study, ARM, pairs[0])
    again = go(study, ARM, pairs[0], forced=row.tokens[:5])
    torch.testing.assert_close(again.logits, row.logits[:5])
    trace = readouts.step_trace(row, 16)
    assert trace.shape == (5, STEPS) and np.isfinite(trace).all()
    for layer, step in ((0, 0), (2, 3), (4, STEPS - 1)):
        rows = torch.cat([row.v_prompt[layer], row.v_fed[layer]])[: len(row.v_prompt[layer]) + step]
        gram = rows[-16:].double() @ rows[-16:].double().T
        np.testing.assert_allclose(trace[layer, step], float(gram.trace() ** 2 / (gram**2).sum()), rtol=1e-9)


def test_readouts_of_logits(study, pairs):
    base, row = go(study, RowSpec("base"), pairs[0]), go(study, ARM, pairs[0])
    forced = go(study, ARM, pairs[0], forced=base.tokens)
    p, q = (torch.softmax(x.logits.double(), -1) for x in (base, forced))
    expected = torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(-1).mean()
    result = readouts.forced(base, forced)
    np.testing.assert_allclose(result.kl, float(expected), rtol=1e-9)
    nll = [torch.nn.functional.cross_entropy(x.logits.double(), torch.tensor(base.tokens)) for x in (base, forced)]
    np.testing.assert_allclose(result.logprob, float(nll[0] - nll[1]), rtol=1e-9)
    assert readouts.forced(base, base).kl == 0 and (readouts.kl(base.logits, forced.logits) >= 0).all()
    weights = row.steps[0].double().exp()
    np.testing.assert_allclose(
        readouts.lse_difference(row.steps[0], [3, 5, 8], [4, 9]),
        float((weights[[3, 5, 8]].sum() / weights[[4, 9]].sum()).log()),
        rtol=1e-9,
    )


def test_logit_lens(module, study, pairs):
    """transformers' hidden states; the last layer's lens is the model itself."""
    base = go(study, RowSpec("base"), pairs[0])
    states = module(torch.tensor([pairs[0].base.tokens]), output_hidden_states=True).hidden_states
    decoder = module.base_model
    final_norm = decoder.norm if hasattr(decoder, "norm") else decoder.final_layer_norm
    for layer in range(4):
        normed = final_norm(states[layer + 1][0, -1])
        logits = module.get_output_embeddings()(normed).double()
        if cap := getattr(module.config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        logits = logits.log_softmax(-1)
        ids, values = readouts.logit_lens(study.model, base, layer)
        assert ids == logits.topk(5).indices.tolist()
        np.testing.assert_allclose(values, logits.topk(5).values.detach(), atol=1e-4)
    ids, values = readouts.logit_lens(study.model, base, 4)
    np.testing.assert_allclose(values, base.steps[0].double().log_softmax(-1)[ids], atol=1e-6)


# Invariants


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("control", ["self", None])
def test_patching_base_with_itself_or_with_nothing_of_the_donor_is_base(study, pairs, site, control):
    for pair in pairs:
        row = RowSpec(site, (1, 3), alpha=1.0 if control else 0.0)
        patched = go(study, row, pair, control)
        assert_same(patched, go(study, RowSpec("base"), pair))
        rounding = 0 if control else 1e-6  # base's own values, of a pass over other tokens
        assert patched.proof.change_norm <= rounding * patched.proof.written_norm
        assert patched.proof.cells_changed > 0


@pytest.mark.parametrize("positions", ["all", "last:7", "span:2:9", "first:5", "bos", "not_bos"])
def test_a_cache_patched_with_itself_or_with_nothing_of_the_donor_is_base(study, pairs, positions):
    for pair in pairs:
        row = replace(ARM, positions=positions)
        base = go(study, RowSpec("base"), pair)
        assert_same(go(study, row, pair, "self"), base)
        equal_lengths = len(pair.base.tokens) == len(pair.source.tokens)
        if equal_lengths or positions != "all":
            nothing = go(study, replace(row, alpha=0.0), pair)
            assert_same(nothing, base)
            assert nothing.proof.change_norm < 1e-4 * nothing.proof.written_norm


GROWTHS = [{"entry": e, "growth": g} for e in ("hold_last", "refeed") for g in ("append", "frozen", "compound")]


@pytest.mark.parametrize("settings", GROWTHS, ids=lambda s: "-".join(s.values()))
def test_all_heads_are_the_union_of_their_parts(study, pairs, settings):
    """Cells with heads 0 and then the others written are those with all written."""
    pair = pairs[0]
    row = replace(ARM, positions="last:9", **settings)
    every = tuple(range(study.model.n_kv_heads))
    whole, listed = go(study, row, pair), go(study, replace(row, heads=every), pair)
    assert_same(whole, listed, atol=0, rtol=0)
    parts = [go(study, replace(row, heads=(head,)), pair).proof for head in every]
    assert sum(p.cells_changed for p in parts) == whole.proof.cells_changed
    np.testing.assert_allclose(sum(p.squared_change for p in parts), whole.proof.squared_change, rtol=1e-6)


@pytest.mark.parametrize("settings", GROWTHS, ids=lambda s: "-".join(s.values()))
def test_keys_then_values_are_both(study, pairs, settings):
    for pair in pairs:
        row = replace(ARM, positions="last:9", **settings)
        both = go(study, row, pair)
        assert_same(go(study, joint([replace(row, what="k"), replace(row, what="v")]), pair), both, atol=0, rtol=0)
        parts = [go(study, replace(row, what=what), pair) for what in "kv"]
        np.testing.assert_allclose(sum(p.proof.squared_change for p in parts), both.proof.squared_change, rtol=1e-9)
        assert {p.proof.cells_changed for p in parts} == {both.proof.cells_changed}
        assert all((p.logits - both.logits).abs().max() > 1e-2 for p in parts)


def test_heads_in_sequence_are_all_heads(study, pairs):
    row = replace(ARM, positions="last:9")
    rows = [replace(row, heads=(head,)) for head in range(study.model.n_kv_heads)]
    assert_same(go(study, joint(rows), pairs[0]), go(study, row, pairs[0]), atol=0, rtol=0)


def test_reversing_twice_changes_nothing(study, pairs):
    for pair in pairs:
        back = replace(ARM, direction="base_to_source")
        assert_same(go(study, back, pair, "reverse"), go(study, ARM, pair), atol=0, rtol=0)
        swapped = Pair(pair.id, pair.source, pair.base)
        assert_same(go(study, ARM, pair, "reverse"), go(study, ARM, swapped), atol=0, rtol=0)


def test_alignments_agree_on_equal_lengths_only(study, pairs):
    for pair in pairs:
        rerotate, as_is, matched = (go(study, replace(ARM, align=a), pair) for a in ("rerotate", "as_is", "matched"))
        if len(pair.base.tokens) == len(pair.source.tokens):
            assert_same(rerotate, as_is, atol=0, rtol=0)
            assert_same(rerotate, matched, atol=0, rtol=0)
        else:
            assert isinstance(matched, Refusal)
            assert (rerotate.logits[0] - as_is.logits[0]).abs().max() > 1e-3


@pytest.mark.parametrize("entry", ["hold_last", "refeed"])
def test_copies_are_ln_t_on_the_logits_of_p(study, pairs, entry, monkeypatch):
    """The same attention with each cell once and ln of its number of copies added to its logit."""
    model = study.model
    for pair in pairs:
        row = replace(ARM, entry=entry, growth="compound")
        copied = go(study, row, pair)
        plain = ExplicitModel.attend

        def attend(self, queries, seen, bias):
            seen = seen[int(bias.isinf().sum()) :]  # cells beyond a sliding window come first
            cells = torch.cat((seen.keys.flatten(1), seen.values.flatten(1)), 1).numpy()
            _, first, copies = np.unique(cells, axis=0, return_index=True, return_counts=True)
            return plain(self, queries, Cells(seen.keys[first], seen.values[first]), torch.tensor(copies).float().log())

        made = compiled(study, row, pair)  # prompts are read before the attention is exchanged
        monkeypatch.setattr(ExplicitModel, "attend", attend)
        biased = run(model, made.row, made.recipient, made.donors, STEPS)
        monkeypatch.setattr(ExplicitModel, "attend", plain)
        assert_same(copied, biased)


# Geometry of positions, hand-computed


def test_selections():
    assert select("all", 4, 6).written == tuple(zip(range(6), range(-2, 4)))
    assert select("last:3", 5, 7).written == ((4, 2), (5, 3), (6, 4))
    assert select("last:9", 5, 3).written == ((0, 2), (1, 3), (2, 4))
    assert select("span:1:3", 5, 7).written == ((4, 2), (5, 3))
    assert select("span:4:9", 5, 7).written == ((2, 0),)
    assert select("span:5:9", 5, 7).written == ()
    first = select("first:3", 5, 2)
    assert first.written == ((0, 0), (1, 1)) and not first.rotated
    assert select("bos", 5, 7).written == ((0, 0),)
    shorter, longer = select("not_bos", 5, 3), select("not_bos", 3, 5)
    assert (shorter.written, shorter.dropped) == (((1, 3), (2, 4)), 0)
    assert (longer.written, longer.dropped) == (((3, 1), (4, 2)), 2)
    words = select("keywords", 3, 5, [0, 1, 4])
    assert (words.written, words.dropped) == (((4, 2),), 2)


def test_keyword_tokens_lie_within_a_listed_word():
    text = "The Self, itself: naïve self's SELF"
    spans = ((0, 0), (0, 3), (3, 8), (8, 9), (9, 12), (12, 16), (16, 24), (24, 28), (28, 30), (30, 33), (33, 35))
    prompt = Prompt(text, tuple(range(len(spans))), spans)
    assert keyword_tokens(prompt, frozenset({"self"}), len(spans)) == [2, 9, 10]
    assert keyword_tokens(prompt, frozenset({"self"}), len(spans) - 1) == [2, 9]
    assert keyword_tokens(prompt, frozenset({"itself", "self's"}), len(spans)) == [4, 5, 7, 8]
    assert keyword_tokens(prompt, frozenset({"naïve", "missing"}), len(spans)) == []


def test_future_keys_and_dropped_cells(study, pairs):
    n, m = LENGTHS[0]
    heads = study.model.n_kv_heads * len(ARM.layers)
    for entry, held in (("hold_last", 1), ("refeed", 0)):
        as_is = go(study, replace(ARM, align="as_is", entry=entry), pairs[0])
        assert as_is.proof.future_keys == len([j for j in range(m - held) if j > n - held])
        assert go(study, replace(ARM, align="as_is", what="v", positions="last:5"), pairs[0]).proof.future_keys == 0
        assert go(study, replace(ARM, entry=entry), pairs[0]).proof.future_keys == 0
        rest = go(study, replace(ARM, positions="not_bos", entry=entry), pairs[0])
        assert rest.proof.cells_changed == (n - held - 1) * heads
        assert rest.proof.cells_dropped == (m - n) * heads


# Donors


def test_philox_known_answers():
    """kat_vectors of the authors' Random123."""
    ones = 0xFFFFFFFF
    vectors = [
        ((0,) * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ones,) * 4, (ones, ones), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ]
    for counter, key, expected in vectors:
        words = philox.philox4x32_10(np.array([[c] for c in counter], np.uint64), key)
        assert " ".join(f"{int(w):08x}" for w in words[:, 0]) == expected


def test_draws():
    x = philox.normals(philox.key64(1, "pair", "gaussian", 3, "k"), 100_001)
    assert len(x) == 100_001 and abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    orders = [philox.permutation(philox.key64(seed, "pair", "shuffled"), 1, 9) for seed in range(50)]
    assert all(order[0] == 0 and sorted(order) == list(range(10)) for order in orders)
    assert len(set(map(tuple, orders))) > 40


def test_donors_of_controls(study, pairs):
    pair, model = pairs[0], study.model
    own = donors.of_prompt(model, pair.source)
    drawn = donors.gaussian(own, "kv_cache", 1, pair.id)
    for a, b in zip(own.cells, drawn.cells):
        torch.testing.assert_close(a.keys.norm(dim=-1), b.keys.norm(dim=-1))
        torch.testing.assert_close(a.values.norm(dim=-1), b.values.norm(dim=-1))
        assert (a.keys - b.keys).abs().max() > 0.1
    mixed = donors.shuffled(model, own, 20, 1, pair.id)
    order = philox.permutation(philox.key64(1, pair.id, "shuffled"), 1, 19)
    again = model.forward([pair.source.tokens[j] for j in order], range(20))  # layer 0 depends on the token alone
    torch.testing.assert_close(mixed.cells[0].keys, again.cells[0].keys, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mixed.cells[0].values, again.cells[0].values)
    averaged = donors.mean(model, tuple(p.source for p in pairs) + (pair.source,))
    assert averaged.n_tokens == 20
    tails = [model.forward(p.source.tokens[-20:], range(20)).cells[0] for p in pairs]
    for name in ("keys", "values"):
        expected = sum(getattr(t, name) for t in tails) / len(tails)
        torch.testing.assert_close(getattr(averaged.cells[0], name), expected, atol=1e-4, rtol=1e-4)


def test_every_control_runs_or_says_why(study, pairs):
    for pair, control in itertools.product(pairs, OF_KV_CACHE):
        result = go(study, ARM, pair, control, steps=2)
        assert isinstance(result, Trajectory) == (control != "wrong_band"), control
    assert go(study, replace(ARM, layers=(3, 4)), pairs[0], "wrong_band", steps=2).proof.change_norm > 0
    for pair, control, site in itertools.product(pairs, OF_SITES, SITES):
        assert isinstance(go(study, RowSpec(site, (1,), decode="persist"), pair, control, steps=2), Trajectory)


def test_other_prompts_go_round(study, pairs):
    bases = [compiled(study, ARM, pair, "other_base").donors[0].prompt.text for pair in pairs]
    assert sorted(bases) == sorted(p.base.text for p in pairs)
    assert all(text != pair.base.text for text, pair in zip(bases, pairs))
    alone = Study(study.model, pairs[:1], 1)
    assert isinstance(compiled(alone, ARM, pairs[0], "other_source"), Refusal)


def test_refusals(study, pairs):
    unequal, equal = pairs[0], pairs[1]
    for settings in ({"what": "k"}, {"what": "v"}, {"heads": (0,)}, {"alpha": 0.5}):
        assert isinstance(go(study, replace(ARM, **settings), unequal), Refusal)
        assert isinstance(go(study, replace(ARM, **settings), equal), Trajectory)
        assert isinstance(go(study, replace(ARM, positions="last:40", **settings), unequal), Trajectory)
    assert isinstance(go(study, replace(ARM, positions="span:40:50"), unequal), Refusal)
    assert isinstance(go(study, replace(ARM, positions="keywords:f"), unequal), Refusal)
    short = Pair("short", unequal.base.cut(9), unequal.source)
    assert isinstance(go(study, RowSpec("v_proj", (1,)), short), Refusal)
    shrunk = go(study, RowSpec("v_proj", (1,), window_policy="shrink"), short)
    assert shrunk.proof.cells_changed == 9 * study.model.n_kv_heads
