"""The Hugging Face reference checked against itself, against transformers' own generate and against the
explicit model in float64. Needs no binary: if these fail, a parity failure elsewhere says nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import DynamicCache

import geometry
import hf_kv_reference as kv
import hf_reference as hf
from explicit_model import Cells, ExplicitModel, joined
from prompt_texts import pairs_of_lengths, text_of_length

STEPS = 8
COMBINATIONS = list(
    itertools.product(("hold_last", "refeed"), ("append", "frozen", "compound"), ("as_is", "rerotate"))
)


def prompts(folder, n, m):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    (pair,) = pairs_of_lengths(tokenizer, [(n, m)])
    base, source = (tokenizer.encode(pair[side]).ids for side in ("base", "source"))
    assert (len(base), len(source)) == (n, m)
    return base, source


@pytest.fixture(scope="module", params=["llama", "llama31", "qwen2", "qwen3", "mistral", "olmo2", "gemma2", "gemma3_text", "gpt_neox", "phi3"])
def folder(request, tiny_model):
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def model(folder):
    torch.set_num_threads(1)  # threads wait for one another longer than they save
    return hf.load_model(folder)


def notebook_generate(model, prompt, max_new_tokens, eos):
    """transformers' generate, greedy: new tokens and logits."""
    output = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=eos,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    return output.sequences[0, len(prompt) :].tolist(), torch.cat(output.logits).numpy()


def test_unpatched_generation_is_what_generate_gives(model, folder):
    base, _ = prompts(folder, 23, 30)
    tokens, logits = notebook_generate(model, base, 24, None)
    ours = hf.generate(model, base, 24)
    assert ours.tokens == tokens and ours.stop_reason == "length"
    np.testing.assert_allclose(ours.logits, logits, atol=1e-4)

    eos = next(token for i, token in enumerate(tokens) if i >= 5 and token not in tokens[:i])
    stopped = hf.generate(model, base, 24, {eos})
    assert stopped.tokens == notebook_generate(model, base, 24, [eos])[0] == tokens[: tokens.index(eos) + 1]
    assert stopped.stop_reason == "eos"
    assert [len(rows) for rows in stopped.v_generated] == [len(stopped.tokens) - 1] * len(stopped.v_generated)


def notebook_hook(projection, source_v):
    """patch_v_during_forward of the notebook: the last rows of every pass, one row in a decoding step."""

    def hook(module, inputs, output):
        width = min(16, output.shape[1], source_v.shape[0])
        return projection.replaced(output, source_v[-width:], slice(-width, None))

    return hook


@pytest.mark.parametrize("n, m", [(23, 30), (9, 30), (30, 9)])
def test_persist_is_generate_under_the_notebooks_hook(model, folder, n, m):
    base, source = prompts(folder, n, m)
    source_v = hf.prompt_v(model, tuple(source))
    projection = hf.v_projections(model)[3]
    handle = projection.module.register_forward_hook(notebook_hook(projection, torch.from_numpy(source_v[3])))
    tokens, logits = notebook_generate(model, base, 16, None)
    handle.remove()
    ours = hf.generate_v_proj(model, base, source, [3], "persist", 16)
    assert ours.tokens == tokens
    np.testing.assert_allclose(ours.logits, logits, atol=1e-4)
    width = min(16, n, m)
    np.testing.assert_array_equal(ours.v_prompt[3][-width:], source_v[3][-width:])
    np.testing.assert_array_equal(ours.v_generated[3], np.repeat(source_v[3][-1:], 15, axis=0))
    assert not np.allclose(ours.v_prompt[4][-1], hf.prompt_v(model, tuple(base))[4][-1], atol=1e-3)


def test_prefill_patches_the_prompt_only(model, folder):
    base, source = prompts(folder, 23, 30)
    source_v = hf.prompt_v(model, tuple(source))
    ours = hf.generate_v_proj(model, base, source, [1, 3], "prefill", 16)
    np.testing.assert_array_equal(ours.v_prompt[3][-16:], source_v[3][-16:])
    # The same row in one forward pass whose hook replaces rows [n-W, n) of the whole sequence.
    sequence = base + ours.tokens[:-1]
    handles = []
    for layer in (1, 3):

        projection = hf.v_projections(model)[layer]

        def patch(module, inputs, output, projection=projection, rows=torch.from_numpy(source_v[layer][-16:])):
            return projection.replaced(output, rows, slice(len(base) - 16, len(base)))

        handles.append(projection.module.register_forward_hook(patch))
    whole = hf.feed(model, sequence, 0)[len(base) - 1 :].numpy()
    for handle in handles:
        handle.remove()
    np.testing.assert_allclose(ours.logits, whole, atol=1e-4)
    assert not np.allclose(ours.v_generated[3][0], source_v[3][-1], atol=1e-3)


def test_a_self_patch_changes_nothing(model, folder):
    base, _ = prompts(folder, 23, 30)
    plain = hf.generate(model, base, 16)
    for patched in (
        hf.generate_v_proj(model, base, base, [2], "prefill", 16),
        kv.generate_kv_cache(model, base, base, range(1, 4), "hold_last", "append", "as_is", 16),
    ):
        assert patched.tokens == plain.tokens
        np.testing.assert_allclose(patched.logits, plain.logits, atol=1e-4)
        for ours, expected in zip(patched.v_prompt + patched.v_generated, plain.v_prompt + plain.v_generated):
            np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("n, m", [(20, 31), (31, 20), (25, 25)])
def test_full_swap_is_the_donors_own_continuation(model, folder, n, m):
    base, source = prompts(folder, n, m)
    everywhere = range(model.config.num_hidden_layers)
    swapped = kv.generate_kv_cache(model, base, source, everywhere, "hold_last", "append", "rerotate", 16)
    expected = hf.generate(model, source[:-1] + base[-1:], 16, forced=swapped.tokens)
    np.testing.assert_allclose(swapped.logits, expected.logits, atol=1e-3)
    for ours, theirs in zip(swapped.v_prompt, expected.v_prompt):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def token_by_token(model: ExplicitModel, tokens, first_position=0) -> list[Cells]:
    """The cells of a prompt, per layer; no mask is needed."""
    cells = None
    for position, token in enumerate(tokens, start=first_position):
        own = model.forward([token], [position], cells).cells
        cells = own if cells is None else [joined(pair) for pair in zip(cells, own)]
    return cells


def logits_written_out(model: ExplicitModel, base, source, layers, entry, growth, align, path) -> np.ndarray:
    """Logits [len(path), vocab] of a kv_cache arm whose generated tokens are `path`.

    rerotate reads the donor at positions moved by n-m, which is the same as turning its keys afterwards; compound counts
    each of the donor's cells t times, which is the same as repeating them, as is done where a sliding window counts
    them.
    """
    cut = -1 if entry == "hold_last" else None
    cells = token_by_token(model, base[:cut])
    donor = token_by_token(model, source[:cut], len(base) - len(source) if align == "rerotate" else 0)
    prompt = [donor[l] if l in layers else cells[l] for l in range(model.n_layers)]
    fed, logits = [[] for _ in prompt], []
    for t, token in enumerate([base[-1], *path[:-1]], start=1):
        seen, copies = [], []
        for l, (kept, later) in enumerate(zip(prompt, fed)):
            hidden = l in layers and growth == "frozen"
            compound = t if l in layers and growth == "compound" else 1
            repeats = compound if model.spec.windows[l] else 1
            seen.append(kept if hidden else joined([*[kept] * repeats, *later]))
            copies.append(torch.ones(len(seen[l]), dtype=torch.float64))
            if repeats < compound:
                copies[l][: len(kept)] = t
        passed = model.forward([token], [len(base[:cut]) + t - 1], seen, copies=copies)
        logits.append(passed.logits)
        for later, own in zip(fed, passed.cells):
            later.append(own)
    return torch.stack(logits).numpy()


@pytest.mark.parametrize("entry, growth, align", COMBINATIONS)
def test_cache_arithmetic_is_attention_written_out(model, folder, entry, growth, align):
    explicit = ExplicitModel(folder, torch.float64)
    for n, m, layers in ((12, 17, [0, 1, 3]), (17, 12, [2, 3])):
        base, source = prompts(folder, n, m)
        patched = kv.generate_kv_cache(model, base, source, layers, entry, growth, align, STEPS)
        expected = logits_written_out(explicit, base, source, layers, entry, growth, align, patched.tokens)
        np.testing.assert_allclose(patched.logits, expected, atol=2e-4)


def test_compound_is_frozen_at_the_first_step_only(model, folder):
    base, source = prompts(folder, 20, 31)
    frozen, compound = (
        kv.generate_kv_cache(model, base, source, [2, 3], "refeed", growth, "as_is", STEPS, forced=base[:STEPS])
        for growth in ("frozen", "compound")
    )
    np.testing.assert_array_equal(frozen.logits[0], compound.logits[0])
    assert np.abs(frozen.logits[1] - compound.logits[1]).max() > 1e-2


@pytest.mark.parametrize("growth", ["frozen", "compound"])
def test_presets_are_the_notebooks_loop(model, folder, growth):
    """The notebook's loop as it stands: positions come from layer 0's cache, which is base's own here."""
    base, source = prompts(folder, 20, 31)
    layers = [2, 3]
    with torch.no_grad():
        source_kv, base_kv = DynamicCache(), DynamicCache()  # of all cells, also where windows are sliding
        for tokens, cache in ((source, source_kv), (base, base_kv)):
            model(torch.tensor([tokens]), use_cache=True, past_key_values=cache)
        cells = list(base_kv)
        cells = [(list(source_kv)[l] if l in layers else cell)[:2] for l, cell in enumerate(cells)]
        tokens, logits = list(base), []
        for _ in range(STEPS):
            output = model(torch.tensor([tokens[-1:]]), past_key_values=DynamicCache(cells), use_cache=True)
            logits.append(output.logits[0, -1].numpy())
            tokens.append(int(logits[-1].argmax()))
            cells = [cell[:2] for cell in output.past_key_values]
            for l in layers:
                keys, values = list(source_kv)[l][:2]
                if growth == "compound":
                    keys, values = torch.cat([keys, cells[l][0]], dim=2), torch.cat([values, cells[l][1]], dim=2)
                cells[l] = (keys, values)
    ours = kv.generate_kv_cache(model, base, source, layers, "refeed", growth, "as_is", STEPS)
    assert ours.tokens == tokens[len(base) :]
    np.testing.assert_allclose(ours.logits, np.stack(logits), atol=1e-4)


def test_turned_keys_are_those_of_a_prompt_read_elsewhere(model, folder):
    _, source = prompts(folder, 20, 31)
    cells = kv.prompt_cache(model, tuple(source))
    moved = DynamicCache()
    hf.feed(model, source, -7, moved)
    for index, ((keys, _), layer) in enumerate(zip(cells, moved.layers)):
        np.testing.assert_allclose(kv.rotate_keys(model, index, keys, -7).numpy(), layer.keys.numpy(), atol=1e-4)


def test_the_prompt_window_is_what_the_first_step_attends_to(model, folder):
    base, source = prompts(folder, 20, 31)
    base_v, source_v = hf.prompt_v(model, tuple(base)), hf.prompt_v(model, tuple(source))
    held = kv.generate_kv_cache(model, base, source, [2, 3], "hold_last", "append", "as_is", STEPS)
    refed = kv.generate_kv_cache(model, base, source, [2, 3], "refeed", "append", "as_is", STEPS)
    assert [len(rows) for rows in held.v_prompt] == [20, 20, 31, 31, 20]
    np.testing.assert_allclose(held.v_prompt[2][:-1], source_v[2][:-1], atol=1e-5)
    np.testing.assert_allclose(held.v_prompt[2][-1], base_v[2][-1], atol=1e-5)  # layers below are unpatched
    assert np.abs(held.v_prompt[3][-1] - base_v[3][-1]).max() > 1e-2
    np.testing.assert_allclose(refed.v_prompt[3], source_v[3], atol=1e-5)
    np.testing.assert_allclose(refed.v_prompt[4], base_v[4], atol=1e-5)
    assert [len(rows) for rows in refed.v_generated] == [STEPS - 1] * 5


def test_forcing_the_references_own_tokens_changes_nothing(model, folder):
    base, source = prompts(folder, 20, 31)
    for generate, *arguments in (
        (hf.generate, model, base),
        (hf.generate_v_proj, model, base, source, [2, 3], "persist"),
        (hf.generate_v_proj, model, base, source, [2, 3], "prefill"),
        (kv.generate_kv_cache, model, base, source, [2, 3], "refeed", "compound", "as_is"),
    ):
        free = generate(*arguments, STEPS)
        forced = generate(*arguments, STEPS, forced=free.tokens)
        assert forced.tokens == free.tokens and forced.stop_reason == free.stop_reason == "length"
        np.testing.assert_allclose(forced.logits, free.logits, atol=1e-4)
        for ours, expected in zip(forced.v_prompt + forced.v_generated, free.v_prompt + free.v_generated):
            np.testing.assert_allclose(ours, expected, atol=1e-4)
        cut = generate(*arguments, STEPS, forced=free.tokens[:3])
        assert cut.stop_reason == "forced_end" and len(cut.logits) == 3
        assert generate(*arguments, STEPS, forced=free.tokens[:1]).tokens == free.tokens[:1]
        stopped = generate(*arguments, STEPS, {free.tokens[2]}, forced=free.tokens)
        assert stopped.stop_reason == "eos" and stopped.tokens == free.tokens[: free.tokens.index(free.tokens[2]) + 1]


def test_margins_are_between_the_two_largest_logits():
    steps = hf.Trajectory([1, 0], np.array([[1.0, 4.0, 2.5], [3.0, 3.0, -1.0]]), "length", [], [])
    np.testing.assert_array_equal(steps.margins, [1.5, 0.0])


def test_metrics_of_a_known_block():
    rows = np.diag([3.0, 2.0, 1.0, 0.0])
    spectra = geometry.window_spectra([rows, rows[:2]], 4)
    np.testing.assert_allclose(spectra[0], [3, 2, 1, 0])
    assert np.isnan(spectra[1]).all()
    values = {name: value[0] for name, value in geometry.metrics(spectra).items()}
    p, q = np.array([9, 4, 1]) / 14, np.array([3, 2, 1]) / 6
    expected = {
        "pr": 14**2 / (81 + 16 + 1),
        "effective_rank": np.exp(-(q * np.log(q)).sum()),
        "spectral_entropy": -(p * np.log(p)).sum(),
        "stable_rank": 14 / 9,
        "nuclear_ratio": 36 / 14,
    }
    assert values == pytest.approx(expected)


@pytest.mark.parametrize("n_tokens", [2, 3, 16, 61])
def test_texts_have_the_asked_length(folder, n_tokens):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = text_of_length(tokenizer, n_tokens, seed=5)
    assert len(tokenizer.encode(text).ids) == n_tokens
