"""One sweep of rvsweep beside the reference's trajectories along the tokens that rvsweep chose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

import geometry
import hf_reference as hf
from explicit_model import ExplicitModel
from parity_arms import Arm
from prompt_texts import write_pairs
from rvsweep_cli import Results, sweep, write_config

NEAR_TIE = 1e-3  # logits of the reference closer than this may be ranked either way
WINDOW = 16


@dataclass(frozen=True)
class LoadedModel:
    folder: Path
    model: torch.nn.Module
    tokenizer: Tokenizer
    stop_ids: frozenset[int]

    @cached_property
    def explicit(self) -> ExplicitModel:
        return ExplicitModel(self.folder)

    @property
    def n_layers(self) -> int:
        return self.model.config.num_hidden_layers

    @property
    def early_layer(self) -> int:
        return self.n_layers // 8 + 1

    @property
    def late_layer(self) -> int:
        return self.n_layers * 4 // 5


def load(folder: Path) -> LoadedModel:
    """Also sets PyTorch to one thread: at batch 1, threads spend more time on waiting for one another than they save."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = hf.load_model(folder)
    return LoadedModel(folder, model, tokenizer, frozenset(stop_ids(folder, tokenizer)))


def stop_ids(folder: Path, tokenizer: Tokenizer) -> set[int]:
    """eos ids of config.json, generation_config.json and the tokenizer together."""
    ids: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        eos = json.loads((folder / name).read_text()).get("eos_token_id")
        ids |= set(eos) if isinstance(eos, list) else {eos} - {None}
    token = json.loads((folder / "tokenizer_config.json").read_text()).get("eos_token")
    if token:
        ids.add(tokenizer.token_to_id(token if isinstance(token, str) else token["content"]))
    return ids


@dataclass(frozen=True)
class FollowedRow:
    """A row of results.h5 and the reference along the tokens that rvsweep chose."""

    name: str
    row: int
    tokens: list[int]  # rvsweep's
    reference_tokens: list[int]  # the same up to where the reference stops
    stop_reason: str
    choices: np.ndarray  # [steps] the reference's own greedy token
    gaps: np.ndarray  # [steps] logit of that token minus logit of rvsweep's
    spectra_prompt: np.ndarray  # [L, W]
    spectra_generated: np.ndarray  # [L, W]
    n_generated_v: int


def followed(name: str, row: int, tokens: list[int], reference: hf.Trajectory) -> FollowedRow:
    kept = reference.tokens
    return FollowedRow(
        name,
        row,
        tokens,
        kept,
        reference.stop_reason,
        reference.logits.argmax(axis=1),
        reference.logits.max(axis=1) - reference.logits[np.arange(len(kept)), kept],
        geometry.window_spectra(reference.v_prompt, WINDOW),
        geometry.window_spectra(reference.v_generated, WINDOW),
        len(reference.v_generated[0]),
    )


@dataclass
class Study:
    loaded: LoadedModel
    pairs: list[dict[str, str]]
    arms: list[Arm]
    max_new_tokens: int
    results: Results

    def ids(self, pair: dict[str, str], side: str) -> list[int]:
        return self.loaded.tokenizer.encode(pair[side]).ids

    def follow(self, arm: Arm, pair: dict[str, str], row: int) -> FollowedRow:
        """`arm`'s reference along the tokens of `row`, which need not be a row of that arm."""
        name = f"{pair['pair']}, {arm.spec}"
        status, reason = self.results.rows["status"][row], self.results.rows["reason"][row]
        assert status == "ok", f"{name}: {status} ({reason})"
        tokens = self.results.tokens(row)
        assert tokens, f"{name}: nothing was generated"
        base, source = self.ids(pair, "base"), self.ids(pair, "source")
        loaded = self.loaded
        reference = arm.reference(loaded.model, base, source, self.max_new_tokens, loaded.stop_ids, tokens)
        return followed(name, row, tokens, reference)

    @cached_property
    def rows(self) -> list[FollowedRow]:
        return [
            self.follow(arm, pair, self.results.row(pair["pair"], index))
            for pair in self.pairs
            for index, arm in enumerate(self.arms)
        ]


def run_study(
    binary: Path,
    folder: Path,
    loaded: LoadedModel,
    pairs: list[dict[str, str]],
    arms: list[Arm],
    max_new_tokens: int,
    reencode: bool = False,
    settings: Sequence[str] = (),
) -> Study:
    folder.mkdir(parents=True)
    config = write_config(
        folder / "study.cfg",
        loaded.folder,
        write_pairs(folder / "pairs.jsonl", pairs),
        [arm.spec for arm in arms],
        loaded.early_layer,
        loaded.late_layer,
        max_new_tokens,
        WINDOW,
        reencode=reencode,
    )
    return Study(loaded, pairs, arms, max_new_tokens, sweep(binary, folder, config, settings))


def near_ties(followed: FollowedRow) -> int:
    """Number of steps at which the reference ranks another token first by less than NEAR_TIE.

    The reference was fed rvsweep's tokens. Up to the first such step its own greedy run is the same run,
    token by token; at that step its top-two margin is below NEAR_TIE, and from there on it is teacher-forced.
    """
    name, tokens, gaps = followed.name, followed.tokens, followed.gaps
    assert followed.reference_tokens == tokens, f"{name}: the reference stops after {len(gaps)} of {tokens}"
    wrong = np.flatnonzero(gaps >= NEAR_TIE)
    assert wrong.size == 0, (
        f"{name}: at step {wrong[0]} of {len(tokens)} token {tokens[wrong[0]]} was chosen; the reference's choice is "
        f"{followed.choices[wrong[0]]}, ahead by {gaps[wrong[0]]:.4g}; {wrong.size} such steps"
    )
    return int((gaps > 0).sum())
