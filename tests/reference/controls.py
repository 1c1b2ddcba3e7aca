"""Every control as the arm that it is of with some settings and the donor replaced, or a refusal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import donors
from donors import Donor
from explicit_model import ExplicitModel
from philox import key64, permutation
from row_spec import Pair, Prompt, Refusal, RowSpec, joint

OF_SITES = ("self", "other_base", "other_source", "gaussian", "zero", "reverse")
OF_KV_CACHE = (*OF_SITES, "full_swap", "filler", "shuffled", "mean", "wrong_band")


@dataclass(frozen=True)
class Study:
    """What controls draw on beside the pair itself."""

    model: ExplicitModel
    pairs: Sequence[Pair]
    seed: int
    filler: Prompt | None = None


@dataclass(frozen=True)
class Compiled:
    row: RowSpec
    recipient: Prompt
    donors: tuple[Donor | None, ...]  # one a patch


def compiled(
    study: Study, arm: RowSpec, pair: Pair, control: str | None = None, only: int = 0
) -> Compiled | Refusal:
    """What `run` takes for one row. `only`: the one patch that the control changes, from 1; 0: all."""
    if not arm.patched:
        return Compiled(arm, pair.base if arm.kind == "base" else pair.source, ())
    row = control_row(arm, control, study.model.n_layers, only)
    if isinstance(row, Refusal):
        return row
    recipient, source = pair.roles(row.direction)
    if not recipient.tokens:
        return Refusal("empty prompt")
    donors = []
    for place, patch in enumerate(row.patches, 1):
        of_patch = control if only in (0, place) else None
        donors.append(control_donor(study, patch, pair, recipient, source, of_patch))
        if isinstance(donors[-1], Refusal):
            return donors[-1]
    return Compiled(row, recipient, tuple(donors))


def control_row(arm: RowSpec, control: str | None, n_layers: int, only: int = 0) -> RowSpec | Refusal:
    if control == "full_swap":
        return RowSpec("kv_cache", tuple(range(n_layers)), arm.direction)
    patches = []
    for place, patch in enumerate(arm.patches, 1):
        if control == "reverse":
            patch = replace(patch, direction=reversed_direction(arm.direction))
        elif control == "wrong_band" and only in (0, place):
            layers = wrong_band(patch.layers, n_layers)
            if layers is None:
                return Refusal("no band of this width beside the arm's layers")
            patch = replace(patch, layers=layers)
        patches.append(patch)
    return Refusal("bands of two caches overlap") if caches_conflict(patches) else joint(patches)


def caches_conflict(patches: Sequence[RowSpec]) -> bool:
    """Two caches of one layer that differ in growth or replace all of its cells."""
    caches = [patch for patch in patches if patch.kind == "kv_cache"]
    return any(
        set(one.layers) & set(other.layers)
        and (one.growth != other.growth or "all" in (one.positions, other.positions))
        for one, other in itertools.combinations(caches, 2)
    )


def wrong_band(layers: Sequence[int], n_layers: int) -> tuple[int, ...] | None:
    width, first, end = len(layers), min(layers), max(layers) + 1
    if width <= first:
        return tuple(range(width))
    return tuple(range(n_layers - width, n_layers)) if end <= n_layers - width else None


def reversed_direction(direction: str) -> str:
    return "base_to_source" if direction == "source_to_base" else "source_to_base"


def control_donor(
    study: Study, row: RowSpec, pair: Pair, recipient: Prompt, source: Prompt, control: str | None
) -> Donor | Refusal:
    model = study.model
    if control == "self":
        return donors.of_prompt(model, recipient)
    if control in ("other_base", "other_source"):
        other = next_pair_prompt(study, pair, row.direction, recipient, control)
        return Refusal("no other pair's prompt differs") if other is None else _of(model, other)
    if control == "filler":
        if study.filler is None or len(study.filler.tokens) < len(source.tokens):
            return Refusal("the filler text is shorter than the donor")
        return _of(model, study.filler.cut(len(source.tokens)))
    if control == "mean":
        prompts = tuple(p.roles(row.direction)[1] for p in study.pairs)
        return donors.mean(model, prompts) if any(p.tokens for p in prompts) else Refusal("no donor prompt has a token")
    donor = _of(model, source)
    if isinstance(donor, Refusal):
        return donor
    if control == "gaussian":
        return donors.gaussian(donor, row.kind, study.seed, pair.id)
    if control == "shuffled":
        n_cells = donor.n_tokens - (1 if row.entry == "hold_last" else 0)
        return donors.shuffled(model, donor, n_cells, study.seed, pair.id) if n_cells else donor
    return donors.zeros(donor) if control == "zero" else donor


def _of(model: ExplicitModel, prompt: Prompt) -> Donor | Refusal:
    return donors.of_prompt(model, prompt) if prompt.tokens else Refusal("empty donor")


def next_pair_prompt(study: Study, pair: Pair, direction: str, recipient: Prompt, control: str) -> Prompt | None:
    """Of the pairs in a random cyclic order, the next one's prompt of that side whose text is not the recipient's."""
    order = permutation(key64(study.seed, "derangement"), 0, len(study.pairs) - 1)
    place = next(i for i, index in enumerate(order) if study.pairs[index].id == pair.id)
    for step in range(1, len(order)):
        roles = study.pairs[order[(place + step) % len(order)]].roles(direction)
        other = roles[0 if control == "other_base" else 1]
        if other.text != recipient.text:
            return other
    return None
