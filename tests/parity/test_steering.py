"""Steering by hooks on transformers' model: the whole text is read again, and a hook changes the stream where a row says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from parity_study import NEAR_TIE, LoadedModel, load
from prompt_texts import pairs_of_lengths, write_pairs
from rvsweep_cli import Results, read_results, run, write_config

LAYER, WINDOW, MAX_NEW_TOKENS = 2, 6, 12
LENGTHS = [(16, 23), (40, 20), (33, 33), (12, 30), (25, 18), (19, 21)]

Change = Callable[[Tensor], Tensor]  # of values [..., hidden]


@dataclass
class Steering:
    loaded: LoadedModel
    pairs: list[dict[str, str]]
    results: Results
    vector: Tensor  # of the file, at LAYER

    def ids(self, pair: dict[str, str], side: str) -> list[int]:
        return self.loaded.tokenizer.encode(pair[side]).ids


def arms(file: Path) -> list[str]:
    along = f"resid_pre layers={LAYER} direction={file}"
    mean = f"resid_pre layers={LAYER} op=add direction=mean_difference:source-base"
    return [
        "base",
        f"{along} op=add scale=4 decode=persist",
        f"{along} op=add scale=-0.5n",
        f"{along} op=project_out decode=persist from_step=1",
        f"{mean} scale=3 decode=persist until_step=4",
        f"resid_pre layers={LAYER} op=scale factor=0.5 decode=persist from_step=2 until_step=6",
    ]


@pytest.fixture(scope="module")
def steering(rvsweep, tiny_model, tmp_path_factory) -> Steering:
    loaded = load(tiny_model("llama"))
    folder = tmp_path_factory.mktemp("steering")
    hidden = loaded.model.config.hidden_size
    vectors = torch.randn(loaded.n_layers, hidden, generator=torch.Generator().manual_seed(5))
    save_file({"direction": vectors}, folder / "direction.safetensors")
    pairs = pairs_of_lengths(loaded.tokenizer, LENGTHS)
    config = write_config(folder / "study.cfg", loaded.folder, write_pairs(folder / "pairs.jsonl", pairs),
                          arms(folder / "direction.safetensors"), 1, 3, MAX_NEW_TOKENS, WINDOW)  # fmt: skip
    run(rvsweep, "run", "--config", config, "--out", folder / "out", "--device", "cpu", "--dtype", "float32")
    return Steering(loaded, pairs, read_results(folder / "out/results.h5"), vectors[LAYER])


@contextmanager
def changed(model: torch.nn.Module, positions: Sequence[int], change: Change):
    def hook(module, arguments, keywords):
        hidden = arguments[0].clone()
        at = [p for p in positions if p < hidden.shape[1]]
        hidden[:, at] = change(hidden[:, at])
        return (hidden, *arguments[1:]), keywords

    handle = model.model.layers[LAYER].register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def logits(model: torch.nn.Module, ids: Sequence[int]) -> Tensor:
    with torch.no_grad():
        return model(torch.tensor([list(ids)]), use_cache=False).logits[0]


def positions(n: int, first: int, last: int) -> list[int]:
    """Those of the steps [first, last): of step 0 the prompt's last WINDOW, of step t that of the t-th new token."""
    return (list(range(n - WINDOW, n)) if first == 0 else []) + [n - 1 + t for t in range(max(first, 1), last)]


def expect(steering: Steering, arm: int, steps: tuple[int, int], change: Change) -> None:
    """Every pair's tokens are the likeliest, each to NEAR_TIE, and kl_first is that of the first one's logits."""
    model, ran = steering.loaded.model, 0
    for pair in steering.pairs:
        row = steering.results.row(pair["pair"], arm)
        if steering.results.rows["status"][row] == "refused":
            continue
        ran += 1
        base, tokens = steering.ids(pair, "base"), steering.results.tokens(row)
        with changed(model, positions(len(base), *steps), change):
            given = logits(model, base + tokens[:-1])[len(base) - 1 :]
        gaps = given.max(dim=1).values - given[torch.arange(len(tokens)), torch.tensor(tokens)]
        assert float(gaps.max()) < NEAR_TIE, f"{pair['pair']}, arm {arm}: {gaps.tolist()}"
        plain, patched = (x.double().log_softmax(-1) for x in (logits(model, base)[-1], given[0]))
        kl = float((plain.exp() * (plain - patched)).sum())
        assert steering.results.rows["kl_first"][row] == pytest.approx(kl, rel=1e-3, abs=1e-6)
    assert ran >= 3


def test_a_vector_is_added_to_the_window_and_to_every_new_token(steering):
    expect(steering, 1, (0, MAX_NEW_TOKENS), lambda x: x + 4 * steering.vector)


def test_a_vector_is_scaled_by_the_streams_own_norm(steering):
    unit = steering.vector / steering.vector.norm()
    expect(steering, 2, (0, 1), lambda x: x - 0.5 * x.norm(dim=-1, keepdim=True) * unit)


def test_a_component_is_projected_out_of_new_tokens(steering):
    unit = steering.vector / steering.vector.norm()
    expect(steering, 3, (1, MAX_NEW_TOKENS), lambda x: x - (x @ unit)[..., None] * unit)


def test_a_mean_difference_is_of_the_pairs_that_are_not_tested(steering):
    """hidden_states[LAYER] is what the layer is given."""
    model, results = steering.loaded.model, steering.results
    status = {p["pair"]: results.rows["status"][results.row(p["pair"], 4)] for p in steering.pairs}
    fitted = [p for p in steering.pairs if status[p["pair"]] == "refused"]
    assert len(fitted) == len(steering.pairs) // 2

    def mean(side: str) -> Tensor:
        with torch.no_grad():
            passes = [model(torch.tensor([steering.ids(p, side)]), output_hidden_states=True) for p in fitted]
        return torch.stack([p.hidden_states[LAYER][0, -1] for p in passes]).mean(0)

    difference = mean("source") - mean("base")
    assert np.linalg.norm(difference) > 0.1
    expect(steering, 4, (0, 4), lambda x: x + 3 * difference)


def test_the_stream_is_halved_for_some_steps(steering):
    expect(steering, 5, (2, 6), lambda x: x / 2)
