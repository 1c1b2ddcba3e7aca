"""Every control as the arm that it is of with some settings and the donor replaced, or a refusal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import directions
import donors
from donors import Donor
from explicit_model import ExplicitModel
from philox import key64, permutation
from row_spec import Pair, Prompt, Refusal, RowSpec, joint

OF_SITES = ("self", "other_base", "other_source", "gaussian", "zero", "reverse", "random_layers")
LATER = ("same_length", "last_row")  # of sites too
SEVERAL = ("other_base", "other_source", "random_layers", "same_length")  # a config may ask for NAME*K; copy k > 1 is called NAME:k
WITHOUT_DONOR = ("reverse", "random_layers")
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
    control, _, copy = (control or "").partition(":")
    number = int(copy or 1)
    row = control_row(arm, control, study.model.n_layers, study.seed, number, only)
    if isinstance(row, Refusal):
        return row
    recipient, source = pair.roles(row.direction)
    if not recipient.tokens:
        return Refusal("empty prompt")
    donors = []
    for place, patch in enumerate(row.patches, 1):
        of_patch = control if only in (0, place) else ""
        of_patch = "self" if patch.op == "scale" else of_patch  # it reads no donor
        if patch.along:
            donors.append(along(study, patch, pair, recipient, of_patch))
        else:
            donors.append(control_donor(study, patch, pair, recipient, source, of_patch, number))
        if isinstance(donors[-1], Refusal):
            return donors[-1]
    return Compiled(row, recipient, tuple(donors))


def control_row(
    arm: RowSpec, control: str, n_layers: int, seed: int, number: int, only: int = 0
) -> RowSpec | Refusal:
    if control == "full_swap":
        return RowSpec("kv_cache", tuple(range(n_layers)), arm.direction)
    patches = list(arm.patches)
    changed = [place for place in range(len(patches)) if only in (0, place + 1)]
    bands = [patches[place].layers for place in changed]
    if control == "reverse":
        patches = [replace(patch, direction=reversed_direction(arm.direction)) for patch in patches]
    elif control == "wrong_band":
        bands = [wrong_band(layers, n_layers) for layers in bands]
        if None in bands:
            return Refusal("no band of this width beside the arm's layers")
    elif control == "random_layers":
        bands = drawn_layers(bands, n_layers, seed, number)
        if bands is None:
            return Refusal("too few other sets of as many layers")
    for place, layers in zip(changed, bands):
        patches[place] = replace(patches[place], layers=layers)
    return Refusal("bands of two caches overlap") if caches_conflict(patches) else joint(patches)


def caches_conflict(patches: Sequence[RowSpec]) -> bool:
    """Two caches of one layer that differ in growth or step, or replace all of its cells."""
    caches = [patch for patch in patches if patch.kind == "kv_cache"]
    return any(
        set(one.layers) & set(other.layers)
        and (one.growth != other.growth or one.at_step != other.at_step or "all" in (one.positions, other.positions))
        for one, other in itertools.combinations(caches, 2)
    )


def wrong_band(layers: Sequence[int], n_layers: int) -> tuple[int, ...] | None:
    width, first, end = len(layers), min(layers), max(layers) + 1
    if width <= first:
        return tuple(range(width))
    return tuple(range(n_layers - width, n_layers)) if end <= n_layers - width else None


def drawn_layers(
    bands: Sequence[tuple[int, ...]], n_layers: int, seed: int, number: int
) -> list[tuple[int, ...]] | None:
    """The `number`-th choice of as many layers for each patch that is neither `bands` nor an earlier one."""
    found = [[tuple(sorted(layers)) for layers in bands]]
    own = "/".join(layers_text(layers) for layers in bands)
    for draw in range(1000):
        orders = [permutation(key64(seed, "random_layers", own, p, draw), 0, n_layers - 1) for p in range(len(bands))]
        drawn = [tuple(sorted(order[: len(layers)])) for order, layers in zip(orders, bands)]
        if drawn not in found:
            found.append(drawn)
        if len(found) > number:
            return drawn
    return None


def layers_text(layers: tuple[int, ...]) -> str:
    """As /arms/spec writes them: 3 for one layer, 2:5 for a run, joined by +."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return "+".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}:{run[-1] + 1}" for run in runs)


def reversed_direction(direction: str) -> str:
    return "base_to_source" if direction == "source_to_base" else "source_to_base"


def along(study: Study, row: RowSpec, pair: Pair, recipient: Prompt, control: str) -> Donor | Refusal:
    if any(directions.untestable(study.pairs, study.seed, pair, name) for name in (row.along, row.orthogonal_to)):
        return Refusal("the direction is fitted on this pair")
    vectors = directions.vectors(study.model, study.pairs, study.seed, row.kind, row.along)
    if row.orthogonal_to != "none":
        to = directions.vectors(study.model, study.pairs, study.seed, row.kind, row.orthogonal_to)
        vectors = [directions.orthogonal(*both) for both in zip(vectors, to)]
    if control == "gaussian":
        to = "" if row.orthogonal_to == "none" else f" orthogonal_to={directions.content(row.orthogonal_to)}"
        name = f"gaussian:{directions.content(row.along)}{to}"
        vectors = directions.drawn(row.kind, study.seed, vectors, name)
    return directions.donor(study.model, vectors, row.kind, recipient)


def control_donor(
    study: Study, row: RowSpec, pair: Pair, recipient: Prompt, source: Prompt, control: str, number: int
) -> Donor | Refusal:
    model = study.model
    if control == "self":
        return donors.of_prompt(model, recipient)
    if control in ("other_base", "other_source", "same_length"):
        other = next_pair_prompt(study, pair, row.direction, recipient, control, number)
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
    if control == "last_row":
        n_cells = donor.n_tokens - (1 if row.entry == "hold_last" else 0)
        return donors.last_row(model, donor, n_cells) if n_cells else donor
    if control == "shuffled":
        n_cells = donor.n_tokens - (1 if row.entry == "hold_last" else 0)
        return donors.shuffled(model, donor, n_cells, study.seed, pair.id) if n_cells else donor
    return donors.zeros(donor) if control == "zero" else donor


def _of(model: ExplicitModel, prompt: Prompt) -> Donor | Refusal:
    return donors.of_prompt(model, prompt) if prompt.tokens else Refusal("empty donor")


def next_pair_prompt(
    study: Study, pair: Pair, direction: str, recipient: Prompt, control: str, number: int
) -> Prompt | None:
    """Of the pairs in a random cyclic order: the next ones' prompts of that side, each text once and none the
    recipient's; the `number`-th of them. Of the same length: of the donor's side, none its text."""
    donor = pair.roles(direction)[1]
    order = permutation(key64(study.seed, "derangement"), 0, len(study.pairs) - 1)
    place = next(i for i, index in enumerate(order) if study.pairs[index].id == pair.id)
    found = {recipient.text: recipient}
    for step in range(1, len(order)):
        roles = study.pairs[order[(place + step) % len(order)]].roles(direction)
        other = roles[0 if control == "other_base" else 1]
        if control == "same_length" and (other.text == donor.text or len(other.tokens) != len(donor.tokens)):
            continue
        found.setdefault(other.text, other)
        if len(found) > number:
            return other
    return None
