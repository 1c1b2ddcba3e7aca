"""Attention where the first token is drawn, and spectra of the residual stream, against Hugging Face's eager attention
and hidden states over its own caches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.special import entr
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, DynamicCache

import geometry
import tiny_models
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import read_results, run, write_config

LENGTHS = [(20, 20), (27, 27)]
W = 6


@dataclass(frozen=True)
class Patch:
    """Of the prompt's cache: cells from the end, heads; all where None."""

    line: str
    layers: tuple[int, ...] = ()
    last: int | None = None
    heads: tuple[int, ...] | None = None
    refeeds: bool = False


ARMS = (
    Patch("base"),
    Patch("kv_cache layers=1:3 align=as_is", (1, 2)),
    Patch("kv_cache layers=1:3 growth=frozen align=as_is", (1, 2)),
    Patch("kv_cache layers=0+3 growth=compound positions=last:5 heads=0 align=as_is", (0, 3), 5, (0,)),
    Patch("kv_cache layers=2:4 entry=refeed growth=compound what=k positions=last:7 align=as_is", (2, 3), 7, None, True),
)


@pytest.fixture(scope="module", params=["demo", *tiny_models.FAMILIES])
def folder(request):
    get = request.getfixturevalue
    return get("demo_model") if request.param == "demo" else get("tiny_model")(request.param)


@pytest.fixture(scope="module")
def study(folder, rvsweep, tmp_path_factory):
    out = tmp_path_factory.mktemp("attention")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = pairs_of_lengths(tokenizer, LENGTHS, seed=12)
    arms = [arm.line for arm in ARMS]
    config = write_config(out / "job.cfg", folder, write_pairs(out / "p.jsonl", texts), arms, 1, 3, 2, W, False)
    sets = ("readouts.attention=true", "readouts.spectra_sites=resid_pre", "run.threads=1")
    words = [word for one in sets for word in ("--set", one)]
    run(rvsweep, "run", "--config", config, "--out", out / "out", "--device", "cpu", "--dtype", "float32", *words)
    ids = [[tokenizer.encode(text[side]).ids for side in ("base", "source")] for text in texts]
    return read_results(out / "out" / "results.h5"), ids


@pytest.fixture(scope="module")
def model(folder):
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def fed(model, ids: list[int], first: int, cache: DynamicCache):
    positions = torch.arange(first, first + len(ids))[None]
    return model(
        torch.tensor([ids]),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        output_attentions=True,
        output_hidden_states=True,
    )


@dataclass
class Fed:
    """What b[n-1] met: attention by layer [n_heads, C], cells that were written [n_heads, C - 1], resid_pre by layer."""

    attention: list[np.ndarray]
    written: list[np.ndarray]
    stream: list[np.ndarray]  # of the prompt's tokens, [n, hidden]


def fed_last(model, base: list[int], source: list[int], arm: Patch) -> Fed:
    count = len(base) - (not arm.refeeds)
    caches, passes = [DynamicCache(), DynamicCache()], []
    for ids, cache in zip((base, source), caches):
        passes.append(fed(model, ids[:count], 0, cache))
    n_heads = model.config.num_attention_heads
    written = [np.zeros((n_heads, count), bool) for _ in caches[0].layers]
    for l in arm.layers:
        own, donor = caches[0].layers[l], caches[1].layers[l]
        heads = list(range(own.keys.shape[1])) if arm.heads is None else list(arm.heads)
        cells = slice(0 if arm.last is None else count - arm.last, count)
        own.keys[:, heads, cells] = donor.keys[:, heads, cells]
        if "what=k" not in arm.line:
            own.values[:, heads, cells] = donor.values[:, heads, cells]
        group = n_heads // own.keys.shape[1]
        for head in heads:
            written[l][head * group : (head + 1) * group, cells] = True
    last = fed(model, base[-1:], count, caches[0])
    streams = [states[0].numpy() for states in passes[0].hidden_states]
    if not arm.refeeds:
        streams = [np.concatenate([own, now[0].numpy()]) for own, now in zip(streams, last.hidden_states)]
    return Fed([weights[0, :, 0].double().numpy() for weights in last.attentions], written, streams)


def rows_of(study, model):
    results, ids = study
    for place, (base, source) in enumerate(ids):
        for index, arm in enumerate(ARMS):
            row = results.row(results.pairs["id"][place], index)
            assert results.rows["status"][row] == "ok"
            yield arm, row, fed_last(model, base, source, arm)


def test_attention(study, model):
    results, _ = study
    seen = []
    for arm, row, reference in rows_of(study, model):
        column = lambda name: results.rows[f"attention_{name}"][row]  # [L, KV heads]
        n_kv_heads = column("bos").shape[1]
        for layer, (weights, written) in enumerate(zip(reference.attention, reference.written)):
            mean = lambda of_heads: of_heads.reshape(n_kv_heads, -1).mean(1)
            of_prompt = weights[:, :-1]
            expected = {
                "bos": weights[:, 0],
                "donor": (of_prompt * written).sum(1),
                "base": (of_prompt * ~written).sum(1),
                "fed": weights[:, -1],
                "entropy": entr(weights).sum(1),
            }
            for name, of_heads in expected.items():
                what = f"{arm.line}, layer {layer}: {name}"
                np.testing.assert_allclose(column(name)[layer], mean(of_heads), atol=2e-5, rtol=1e-4, err_msg=what)
        np.testing.assert_allclose(column("donor") + column("base") + column("fed"), 1, atol=1e-5)
        seen.append((arm.line, column("donor").max()))
    assert all((donor == 0) == (line == "base") for line, donor in seen)


def test_growth_does_not_reach_the_first_token(study):
    results, _ = study
    for name in ("bos", "donor", "base", "fed", "entropy"):
        append, frozen = (results.rows[f"attention_{name}"][results.rows["arm"] == arm] for arm in (1, 2))
        np.testing.assert_array_equal(append, frozen)


def test_spectra_of_the_stream(study, model):
    results, _ = study
    for arm, row, reference in rows_of(study, model):
        expected = geometry.window_spectra(reference.stream[:-1], W)
        floor = 1e-4 * expected.max()
        actual = results.rows["spectra_prompt_resid_pre"][row]
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=floor, err_msg=arm.line)
        if arm.line == "base":
            prompt = results.pairs["base"][results.rows["pair"][row]]
            of_prompt = results.prompts["spectra_resid_pre"][prompt]
            np.testing.assert_allclose(of_prompt, expected, rtol=1e-3, atol=floor)
